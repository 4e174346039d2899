//! The port mapper on UDP.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::{PortMapper, Service};
use ::nfs::{Endpoint, Transport};

/// Longer datagrams are no call to a port mapper.
const MAX_CALL: usize = 1024;
/// How long to wait after an error that is the socket's own.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers for ever; waits for ever if the port mapper is not ours.
pub(super) async fn answer(service: &Arc<Service>, port_mapper: &PortMapper) -> io::Result<()> {
    let PortMapper::Ours(socket) = port_mapper else {
        return pending().await;
    };
    let local = socket.local_addr()?;
    let (mut call, mut reply) = ([0; MAX_CALL], Vec::new());
    loop {
        let Ok((len, peer)) = socket.recv_from(&mut call).await else {
            // An ICMP error to an earlier reply comes back here; it means nothing to us.
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let endpoint = Endpoint {
            peer,
            local,
            transport: Transport::Udp,
            ports: service.options.ports,
        };
        reply.clear();
        let answered = ::nfs::serve(&call[..len], &endpoint, &*service.files, &mut reply);
        if answered.is_ok() {
            // Lost replies are asked for again.
            let _ = socket.send_to(&reply, peer).await;
        }
    }
}
