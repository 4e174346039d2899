//! One TCP connection, from its first record to its end.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};

use super::Service;
use super::counters::Connected;
use super::patient::{Answers, Patient};
use super::session::{Clerk, Pause, Piece, Session};
use super::transmit::{self, Turn};

/// A connection that is silent for so long gives its buffers back.
const SILENT: Duration = Duration::from_secs(1);
/// Buffers of answers that are kept for the next ones, and how large each may be, in bytes.
const SPARE: usize = 2;
const MOST_SPARE: usize = 640 * 1024;

pub(super) struct Connection {
    stream: TcpStream,
    service: Arc<Service>,
    client: Connected,
    stopped: watch::Receiver<bool>,
    turn: Turn,
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
            turn: Turn::default(),
        }
    }

    /// Answers until the peer closes, misbehaves, or the service stops.
    pub(super) async fn run(mut self) -> io::Result<()> {
        self.stream.set_nodelay(true)?;
        let (peer, local) = (self.stream.peer_addr()?, self.stream.local_addr()?);
        let (service, by_export) = (Arc::clone(&self.service), self.client.by_export());
        let clerk = || Clerk::new(Arc::clone(&service), peer, local, by_export.clone());
        let mut session = Session::new(clerk());
        let mut patient = Patient::new(Arc::clone(&service));
        let mut cut_at = None;
        let mut may_say_more = true;
        while !*self.stopped.borrow() {
            match session.answer(&mut patient) {
                Ok(Pause::Send(piece)) => self.send_piece(&mut session, &piece).await?,
                Ok(Pause::SendSlices(slices, padding)) => {
                    self.send_slices(&mut session, &slices, padding).await?;
                }
                Ok(Pause::Enough) => self.send(&mut session, false).await?,
                Ok(Pause::Starved) => {
                    self.send(&mut session, false).await?;
                    patient.start(clerk, &mut session.spare);
                    let wants_more = may_say_more && !patient.is_full();
                    cut_at = (wants_more && session.records.is_partial()).then(|| {
                        cut_at
                            .unwrap_or_else(|| Instant::now() + self.service.options.record_timeout)
                    });
                    tokio::select! {
                        biased;
                        answers = patient.answers(), if patient.is_busy() => {
                            self.send_answers(answers?, &mut session.spare).await?;
                        }
                        more = self.receive(&mut session, cut_at), if wants_more => {
                            may_say_more = more?;
                        }
                        // It has said its last, and has every answer.
                        else => break,
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
                    session.since = std::time::Instant::now();
                    return Ok(true);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            self.turn.begin();
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
            session.spare = Vec::new();
            tokio::select! {
                readable = self.stream.readable() => readable?,
                _ = self.stopped.changed() => return Ok(false),
            }
        }
    }

    /// Sends what a thread has answered, and keeps the buffer for the next one.
    async fn send_answers(
        &mut self,
        mut answers: Answers,
        spare: &mut Vec<Vec<u8>>,
    ) -> io::Result<()> {
        transmit::bytes(&self.stream, &answers.out, false, &mut self.turn).await?;
        let bytes = answers.out.len() as u64;
        self.client.answered(answers.calls, bytes, answers.since);
        answers.out.clear();
        if spare.len() < SPARE && answers.out.capacity() <= MOST_SPARE {
            spare.push(answers.out);
        }
        Ok(())
    }

    /// Sends the replies there are.
    async fn send(&mut self, session: &mut Session, more: bool) -> io::Result<()> {
        if session.out.is_empty() {
            return Ok(());
        }
        transmit::bytes(&self.stream, &session.out, more, &mut self.turn).await?;
        self.count(session, session.out.len() as u64);
        session.out.clear();
        Ok(())
    }

    /// Sends the replies there are and the piece that belongs to the last of them.
    async fn send_piece(&mut self, session: &mut Session, piece: &Piece) -> io::Result<()> {
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
        transmit::piece(&self.stream, piece, &mut self.turn).await?;
        self.count(session, u64::from(piece.range.len) + piece.padding as u64);
        Ok(())
    }

    /// Sends the replies there are and the slices that belong to the last of them.
    async fn send_slices(
        &mut self,
        session: &mut Session,
        slices: &[squashfs::Slice],
        padding: usize,
    ) -> io::Result<()> {
        let sent =
            transmit::slices(&self.stream, &session.out, slices, padding, &mut self.turn).await?;
        self.count(session, sent as u64);
        session.out.clear();
        Ok(())
    }

    fn count(&self, session: &mut Session, bytes: u64) {
        self.client.answered(session.calls, bytes, session.since);
        session.calls = 0;
    }

    async fn permit(&self) -> io::Result<tokio::sync::OwnedSemaphorePermit> {
        let permit = Arc::clone(&self.service.blocking).acquire_owned().await;
        permit.map_err(io::Error::other)
    }
}
