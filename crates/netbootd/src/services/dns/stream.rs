//! DNS over TCP (RFC 7766).

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dns::{Decision, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tracing::{debug, warn};

use super::{Dns, LONGEST_QUERY};

/// How long each message of a connection may take.
const MESSAGE_TIME: Duration = Duration::from_secs(10);

/// Takes connections for ever.
pub(super) async fn accept(dns: &Arc<Dns>, listener: &TcpListener) {
    loop {
        // With all places taken, new clients wait in the kernel until one is free: 10 seconds at most.
        let Ok(permit) = Arc::clone(&dns.connections).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, source)) => {
                let dns = Arc::clone(dns);
                tokio::spawn(async move {
                    if let Err(error) = connection(&dns, stream, source).await {
                        debug!(%source, %error, "DNS: connection");
                    }
                    drop(permit);
                });
            }
            Err(error) => {
                // Out of file descriptors, most likely: not a reason to end, nor to spin.
                warn!(%error, "DNS: accept");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Messages of one connection, one after the other (RFC 7766 section 6.2.1), until the client closes
/// it, is silent for too long, or sends what gets no reply.
async fn connection(dns: &Dns, mut stream: TcpStream, source: SocketAddr) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut query = Vec::new();
    loop {
        query.clear();
        within(MESSAGE_TIME, async {
            let length = usize::from(stream.read_u16().await?);
            if length > LONGEST_QUERY {
                return Err(io::ErrorKind::InvalidData.into());
            }
            (&mut stream)
                .take(length as u64)
                .read_to_end(&mut query)
                .await
        })
        .await?;
        let reply = match dns.decide(&query, source, Transport::Tcp) {
            Decision::Reply(reply) => reply,
            Decision::Forward(forward) => match dns.in_flight.try_acquire() {
                Ok(_permit) => dns.forward(&forward).await,
                Err(_) => forward.fail(),
            },
            Decision::Drop(_) => return Ok(()),
        };
        let length = u16::try_from(reply.len()).map_err(io::Error::other)?;
        let message = [length.to_be_bytes().as_slice(), &reply].concat();
        within(MESSAGE_TIME, stream.write_all(&message)).await?;
    }
}

async fn within<T>(time: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(time, work)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
