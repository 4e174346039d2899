//! The thread that takes what arrives on one link, and has it answered.
//!
//! A thread and not a task: a runtime watches its sockets for writing too, and each answer that leaves
//! would wake it once more.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::JoinHandle;

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use tokio::sync::oneshot;
use tracing::debug;

use super::{Datagram, Outlet, Policy, Shared};

/// Datagrams taken at once.
const BATCH: usize = 64;

/// The thread of one link. It ends when this is dropped.
pub(super) struct Receiver {
    stop: Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    /// Starts it, and says where to hear how it ended, should it end by itself.
    pub(super) fn start(
        shared: Arc<Shared>,
        outlet: Arc<Outlet>,
        http_port: u16,
    ) -> io::Result<(Self, oneshot::Receiver<io::Result<()>>)> {
        let stop = Arc::new(eventfd(0, EventfdFlags::CLOEXEC)?);
        let (tell, ended) = oneshot::channel();
        let stopping = Arc::clone(&stop);
        let work = move || drop(tell.send(run(&shared, &outlet, http_port, &stopping)));
        let thread = std::thread::Builder::new().name("dhcp".to_owned());
        let thread = Some(thread.spawn(work)?);
        Ok((Self { stop, thread }, ended))
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // The counter has room, and cannot be closed.
        let _ = rustix::io::write(&*self.stop, &1_u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(
    shared: &Shared,
    outlet: &Arc<Outlet>,
    http_port: u16,
    stopping: &OwnedFd,
) -> io::Result<()> {
    let [server, boot_server] = &outlet.sockets;
    let policy = Policy {
        daemon: &outlet.daemon,
        http_port,
    };
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        let mut waited = [
            PollFd::new(server, PollFlags::IN),
            PollFd::new(boot_server, PollFlags::IN),
            PollFd::new(stopping, PollFlags::IN),
        ];
        match poll(&mut waited, None) {
            Err(rustix::io::Errno::INTR) => continue,
            polled => polled?,
        };
        let [has_server, has_boot_server, is_over] = waited.map(|fd| !fd.revents().is_empty());
        if is_over {
            return Ok(());
        }
        batch.clear();
        if has_server {
            receive(server, 67, &mut batch);
        }
        if has_boot_server {
            receive(boot_server, 4011, &mut batch);
        }
        for datagram in &batch {
            let to = match datagram.source.ip().is_unspecified() {
                true => Ipv4Addr::BROADCAST,
                false => outlet.link.address,
            };
            let to = SocketAddrV4::new(to, datagram.to_port);
            let captures = &outlet.daemon.captures;
            captures.dhcp(true, datagram.source, to, &datagram.bytes);
        }
        shared.answer(&batch, outlet, &policy);
    }
}

/// Takes what has arrived, without waiting.
fn receive(socket: &UdpSocket, port: u16, batch: &mut Vec<Datagram>) {
    let mut buffer = [0; 1500];
    while batch.len() < BATCH {
        match socket.recv_from(&mut buffer) {
            Ok((length, SocketAddr::V4(source))) => {
                batch.push(Datagram {
                    to_port: port,
                    source,
                    bytes: buffer[..length].to_vec(),
                });
            }
            Ok(_) => {}
            Err(error) => {
                if error.kind() != io::ErrorKind::WouldBlock {
                    debug!(%error, port, "DHCP: receive");
                }
                return;
            }
        }
    }
}
