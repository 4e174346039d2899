//! One TCP connection, from its first record to its end.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};
use tracing::error;

use super::Service;
use super::counters::Connected;
use super::session::{Pause, Piece, Session};
use super::transmit;

/// A connection that is silent for so long gives its buffers back.
const SILENT: Duration = Duration::from_secs(1);

pub(super) struct Connection {
    stream: TcpStream,
    service: Arc<Service>,
    client: Connected,
    stopped: watch::Receiver<bool>,
}

impl Connection {
    pub(super) fn new(
        stream: TcpStream,
        service: Arc<Service>,
        client: Connected,
        stopped: watch::Receiver<bool>,
    ) -> Self {
        Self {
            stream,
            service,
            client,
            stopped,
        }
    }

    /// Answers until the peer closes, misbehaves, or the service stops.
    pub(super) async fn run(mut self) -> io::Result<()> {
        self.stream.set_nodelay(true)?;
        let (peer, local) = (self.stream.peer_addr()?, self.stream.local_addr()?);
        let mut session = Session::new(Arc::clone(&self.service), peer, local);
        let mut cut_at = None;
        while !*self.stopped.borrow() {
            let answered = session.answer_eagerly();
            let pause = match answered {
                Ok(Pause::MustBlock) => {
                    // What is ready need not wait for what is not.
                    self.send(&mut session, false).await?;
                    let (back, pause) = self.answer_patiently(session).await?;
                    session = back;
                    pause
                }
                pause => pause,
            };
            match pause {
                Ok(Pause::Send(piece)) => self.send_piece(&mut session, &piece).await?,
                Ok(Pause::Enough | Pause::MustBlock) => self.send(&mut session, false).await?,
                Ok(Pause::Starved) => {
                    self.send(&mut session, false).await?;
                    cut_at = session.records.is_partial().then(|| {
                        cut_at
                            .unwrap_or_else(|| Instant::now() + self.service.options.record_timeout)
                    });
                    if !self.receive(&mut session, cut_at).await? {
                        break;
                    }
                }
                Err(error) => {
                    self.client.discarded();
                    self.send(&mut session, false).await?;
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Waits for bytes and takes them; `false` when there will be none.
    async fn receive(
        &mut self,
        session: &mut Session,
        cut_at: Option<Instant>,
    ) -> io::Result<bool> {
        loop {
            if cut_at.is_some_and(|cut_at| cut_at <= Instant::now()) {
                return Err(io::ErrorKind::TimedOut.into());
            }
            match self.stream.try_read(session.records.space()) {
                Ok(0) => return Ok(false),
                Ok(count) => {
                    session.records.filled(count);
                    return Ok(true);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            let patience = match cut_at {
                Some(cut_at) => cut_at.saturating_duration_since(Instant::now()),
                None => SILENT,
            };
            let readable = async {
                tokio::select! {
                    readable = self.stream.readable() => readable.map(|()| true),
                    _ = self.stopped.changed() => Ok(false),
                }
            };
            match timeout(patience, readable).await {
                Ok(Ok(true)) => continue,
                Ok(stopped) => return stopped,
                Err(_) if cut_at.is_some() => continue,
                Err(_) => {}
            }
            session.records.shrink();
            session.out = Vec::new();
            tokio::select! {
                readable = self.stream.readable() => readable?,
                _ = self.stopped.changed() => return Ok(false),
            }
        }
    }

    /// Answers on a blocking thread. Permits bound how many there are at once.
    async fn answer_patiently(
        &self,
        mut session: Session,
    ) -> io::Result<(Session, io::Result<Pause>)> {
        let permit = self.permit().await?;
        let answer = move || {
            let pause = session.answer_patiently();
            drop(permit);
            (session, pause)
        };
        spawn_blocking(answer).await.map_err(|fault| {
            // A panic in the call ends this connection, and no other.
            error!(%fault, "an NFS call was lost to a fault of ours");
            io::Error::other(fault)
        })
    }

    /// Sends the replies there are.
    async fn send(&self, session: &mut Session, more: bool) -> io::Result<()> {
        if session.out.is_empty() {
            return Ok(());
        }
        transmit::bytes(&self.stream, &session.out, more).await?;
        self.count(session, session.out.len() as u64);
        session.out.clear();
        Ok(())
    }

    /// Sends the replies there are and the piece that belongs to the last of them.
    async fn send_piece(&self, session: &mut Session, piece: &Piece) -> io::Result<()> {
        if !transmit::is_cached(piece) {
            let permit = self.permit().await?;
            let fetched = Piece {
                file: Arc::clone(&piece.file),
                ..*piece
            };
            spawn_blocking(move || {
                let _permit = permit;
                transmit::fetch(&fetched)
            })
            .await??;
        }
        self.send(session, true).await?;
        transmit::piece(&self.stream, piece).await?;
        self.count(session, u64::from(piece.range.len) + piece.padding as u64);
        Ok(())
    }

    fn count(&self, session: &mut Session, bytes: u64) {
        self.client.answered(session.calls, bytes);
        session.calls = 0;
    }

    async fn permit(&self) -> io::Result<tokio::sync::OwnedSemaphorePermit> {
        let permit = Arc::clone(&self.service.blocking).acquire_owned().await;
        permit.map_err(io::Error::other)
    }
}
