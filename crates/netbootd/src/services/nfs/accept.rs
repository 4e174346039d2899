//! Taking connections.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{debug, error, warn};

use super::Service;
use super::connection::Connection;

/// How long to wait when the process has no descriptor left for a connection.
const EXHAUSTED: Duration = Duration::from_millis(100);
/// Idle connections are kept for ever, those of machines that were switched off are not.
const KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(120))
    .with_interval(Duration::from_secs(30))
    .with_retries(6);

/// Accepts for ever; every connection is a task of its own in `connections`.
pub(super) async fn accept(
    service: &Arc<Service>,
    listeners: &[TcpListener],
    connections: &mut JoinSet<(SocketAddr, io::Result<()>)>,
    stopped: watch::Receiver<bool>,
) -> io::Result<()> {
    loop {
        tokio::select! {
            accepted = next(listeners) => match accepted {
                Ok((stream, peer)) => open(service, stream, peer, connections, &stopped),
                Err(error) if is_of_the_connection(&error) => {}
                Err(error) => {
                    warn!(%error, "cannot accept an NFS connection");
                    tokio::time::sleep(EXHAUSTED).await;
                }
            },
            Some(ended) = connections.join_next() => match ended {
                Ok((peer, Ok(()))) => debug!(%peer, "NFS connection closed"),
                Ok((peer, Err(error))) => debug!(%peer, %error, "NFS connection ended"),
                Err(error) => error!(%error, "an NFS connection was lost to a fault of ours"),
            },
        }
    }
}

fn open(
    service: &Arc<Service>,
    stream: TcpStream,
    peer: SocketAddr,
    connections: &mut JoinSet<(SocketAddr, io::Result<()>)>,
    stopped: &watch::Receiver<bool>,
) {
    let most = service.options.max_connections;
    let client = service.options.counters.client(peer.ip());
    let connected = client.connect(most.div_ceil(2));
    let Some(connected) = connected.filter(|_| connections.len() < most) else {
        debug!(%peer, "too many NFS connections");
        return;
    };
    // Without it, a connection costs a little more for a little longer.
    let _ = SockRef::from(&stream).set_tcp_keepalive(&KEEPALIVE);
    let connection = Connection::new(stream, Arc::clone(service), connected, stopped.clone());
    connections.spawn(async move { (peer, connection.run().await) });
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
