//! Taking connections.

use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tracing::{debug, error, warn};

use super::Service;
use super::connection::Connection;
use super::counters::{Activity, Connected};
use super::threads::Threads;

/// How long to wait when the process has no descriptor left for a connection.
const EXHAUSTED: Duration = Duration::from_millis(100);
/// Idle connections are kept for ever, those of machines that were switched off are not.
const KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(120))
    .with_interval(Duration::from_secs(30))
    .with_retries(6);

/// What a connection ends with.
type Ended = (SocketAddr, io::Result<()>);

/// The connections there are.
pub(super) struct Connections {
    tasks: JoinSet<Ended>,
    open: HashMap<Id, Open>,
    threads: Threads,
}

/// What is known of a connection from outside.
struct Open {
    address: IpAddr,
    activity: Activity,
    task: AbortHandle,
    /// The number of its thread.
    thread: usize,
}

/// Accepts for ever; every connection is a task of its own in `connections`.
pub(super) async fn accept(
    service: &Arc<Service>,
    listeners: &[TcpListener],
    connections: &mut Connections,
    stopped: watch::Receiver<bool>,
) -> io::Result<()> {
    loop {
        tokio::select! {
            accepted = next(listeners) => match accepted {
                // It goes to a thread with another runtime.
                Ok((stream, peer)) => match stream.into_std() {
                    Ok(stream) => connections.open(service, stream, peer, &stopped),
                    Err(error) => debug!(%peer, %error, "NFS connection lost"),
                },
                Err(error) if is_of_the_connection(&error) => {}
                Err(error) => {
                    warn!(%error, "cannot accept an NFS connection");
                    tokio::time::sleep(EXHAUSTED).await;
                }
            },
            Some(ended) = connections.tasks.join_next_with_id() => connections.ended(ended),
        }
    }
}

impl Connections {
    /// None yet; a thread for each processor.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            tasks: JoinSet::new(),
            open: HashMap::new(),
            threads: Threads::start(super::cores())?,
        })
    }

    /// Waits until none is left.
    pub(super) async fn drained(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }

    fn open(
        &mut self,
        service: &Arc<Service>,
        stream: std::net::TcpStream,
        peer: SocketAddr,
        stopped: &watch::Receiver<bool>,
    ) {
        let address = peer.ip();
        let most = service.options.max_connections;
        let client = service.options.counters.client(address);
        if self.open.len() >= most {
            self.make_room(|_| true);
        } else if client.connections() >= most.div_ceil(2) {
            self.make_room(|open| open.address == address);
        }
        // Without it, a machine that was switched off costs a little more for a little longer.
        let _ = SockRef::from(&stream).set_tcp_keepalive(&KEEPALIVE);
        let connected = Connected::new(Arc::clone(&service.options.counters), client);
        let activity = connected.activity();
        let (service, stopped) = (Arc::clone(service), stopped.clone());
        let connection = async move {
            let stream = TcpStream::from_std(stream)?;
            Connection::new(stream, service, connected, stopped)
                .run()
                .await
        };
        let Some((thread, runtime)) = self.threads.take() else {
            return;
        };
        let task = self
            .tasks
            .spawn_on(async move { (peer, connection.await) }, &runtime);
        let open = Open {
            address,
            activity,
            task,
            thread,
        };
        self.open.insert(open.task.id(), open);
    }

    /// Ends the connection that has been of no use for longest: a machine that works is not kept
    /// out by a thousand connections that only sit there.
    fn make_room(&mut self, may_go: impl Fn(&Open) -> bool) {
        let candidates = self.open.iter().filter(|(_, open)| may_go(open));
        let idlest = candidates.min_by_key(|(_, open)| open.activity.last());
        if let Some(id) = idlest.map(|(id, _)| *id)
            && let Some(open) = self.open.remove(&id)
        {
            debug!(address = %open.address, "too many NFS connections: the idlest is closed");
            open.task.abort();
            self.threads.give_back(open.thread);
        }
    }

    /// Forgets a connection.
    fn close(&mut self, id: Id) {
        if let Some(open) = self.open.remove(&id) {
            self.threads.give_back(open.thread);
        }
    }

    fn ended(&mut self, ended: Result<(Id, Ended), JoinError>) {
        match ended {
            Ok((id, (peer, result))) => {
                self.close(id);
                match result {
                    Ok(()) => debug!(%peer, "NFS connection closed"),
                    Err(error) => debug!(%peer, %error, "NFS connection ended"),
                }
            }
            Err(error) => {
                self.close(error.id());
                if error.is_panic() {
                    error!(%error, "an NFS connection was lost to a fault of ours");
                }
            }
        }
    }
}

/// The next connection of any listener.
async fn next(listeners: &[TcpListener]) -> io::Result<(TcpStream, SocketAddr)> {
    poll_fn(|context| {
        for listener in listeners {
            if let Poll::Ready(accepted) = listener.poll_accept(context) {
                return Poll::Ready(accepted);
            }
        }
        Poll::Pending
    })
    .await
}

/// Errors of the connection that was being accepted, not of the listener (accept(2)).
fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}
