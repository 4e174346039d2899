//! TFTP: the first loader, for firmware that knows nothing else.
//!
//! The protocol is the `tftp` crate's; here are the sockets. Each transfer has a socket of its own at
//! our served address (its port is the transfer's TID), connected to the client, so that the kernel
//! drops what others send to it. A request is looked at by a task, which may wait for the disk; what
//! follows, block by block, is one of a few threads' that have nothing else to do ([`driver`]).

mod ahead;
mod driver;

use std::collections::HashMap;
use std::io::{self, IoSliceMut, Read};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::{MacAddr, Stage};
use tftp::{FileSource, Limits, Outcome, Request, Transfer, error_packet};
use tokio::sync::watch;
use tracing::{debug, info, warn};

use crate::daemon::Daemon;
use crate::grub::{self, Sent};
use driver::{Driven, Drivers};

/// Transfers of all clients at once.
const MAX_TRANSFERS: usize = 512;
/// Transfers of one client at once: an aborted probe may overlap the real one.
const MAX_PER_CLIENT: usize = 8;

/// A loader, or what GRUB asks for after it.
struct Content(Sent);

impl Content {
    /// What a client asked for; `None` if there is no such file.
    fn open(
        daemon: &Daemon,
        path: &str,
        peer: Ipv4Addr,
        local: Ipv4Addr,
    ) -> io::Result<Option<Self>> {
        let confined = tftp::path::confined(path).unwrap_or_default();
        if let Some(made) = grub::file(daemon, &confined, peer, local) {
            return Ok(Some(Self(made)));
        }
        let loader = daemon.loaders.open(path)?;
        Ok(loader.map(|(file, _)| Self(Sent::File(Arc::new(file)))))
    }

    fn len(&self) -> io::Result<u64> {
        match &self.0 {
            Sent::Text(text) => Ok(text.len() as u64),
            Sent::File(file) => Ok(file.metadata()?.len()),
        }
    }
}

impl FileSource for Content {
    fn read_at(&self, offset: u64, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        match &self.0 {
            Sent::Text(text) => {
                let rest = usize::try_from(offset).ok().and_then(|at| text.get(at..));
                rest.unwrap_or_default().read_vectored(buffers)
            }
            Sent::File(file) => Ok(rustix::io::preadv(file, buffers, offset)?),
        }
    }
}

/// Serves requests that arrive at `socket` (port 69 of `address`) until `shutdown` changes.
pub async fn serve(
    daemon: Arc<Daemon>,
    socket: UdpSocket,
    mut shutdown: watch::Receiver<bool>,
) -> io::Result<()> {
    let socket = tokio::net::UdpSocket::from_std(socket)?;
    let SocketAddr::V4(local) = socket.local_addr()? else {
        return Ok(());
    };
    let transfers = Arc::new(Transfers::default());
    let drivers = Arc::new(Drivers::start()?);
    let mut buffer = vec![0; 2048];
    loop {
        let received = tokio::select! {
            received = socket.recv_from(&mut buffer) => received,
            _ = shutdown.changed() => return Ok(()),
        };
        let (length, client) = match received {
            Ok((length, SocketAddr::V4(client))) => (length, client),
            Ok(_) => continue,
            Err(error) => {
                // An ICMP error for an earlier answer; the next datagram is unharmed by it.
                debug!(%error, "TFTP: receive");
                continue;
            }
        };
        match Request::decode(&buffer[..length]) {
            Ok(request) => {
                let mac = daemon.client_at(*client.ip());
                if let Some(mac) = mac {
                    let bytes = &buffer[..length];
                    daemon.captures.tftp(mac, true, client, local, bytes);
                }
                let Some(place) = transfers.enter(*client.ip()) else {
                    debug!(%client, "TFTP: too many transfers, request dropped");
                    continue;
                };
                let (daemon, drivers) = (Arc::clone(&daemon), Arc::clone(&drivers));
                tokio::spawn(async move {
                    let peer = Peer {
                        daemon: &daemon,
                        mac,
                        client,
                    };
                    let result = transfer(peer, *local.ip(), &request, &drivers).await;
                    if let Err(error) = result {
                        debug!(%client, path = request.path, %error, "TFTP: transfer");
                    }
                    drop(place);
                });
            }
            Err(Ok((code, message))) => {
                debug!(%client, message, "TFTP: refused");
                let _ = socket.send_to(&error_packet(code, message), client).await;
            }
            Err(Err(discard)) => debug!(%client, reason = discard.as_str(), "TFTP: discarded"),
        }
    }
}

/// Who asked, and who it is, if that is known.
#[derive(Clone, Copy)]
struct Peer<'a> {
    daemon: &'a Daemon,
    mac: Option<MacAddr>,
    client: SocketAddrV4,
}

impl Peer<'_> {
    /// Keeps the first packet that it is sent in a transfer, for whoever asks why its boot failed.
    fn is_sent(&self, socket: &UdpSocket, packet: &[u8]) {
        if let (Some(mac), Ok(SocketAddr::V4(local))) = (self.mac, socket.local_addr()) {
            let captures = &self.daemon.captures;
            captures.tftp(mac, false, local, self.client, packet);
        }
    }

    /// Ends a transfer that has not begun.
    fn refuse(
        &self,
        socket: &UdpSocket,
        code: tftp::ErrorCode,
        why: &'static str,
    ) -> io::Result<()> {
        let packet = error_packet(code, why);
        self.is_sent(socket, &packet);
        socket.send(&packet).map(drop)
    }
}

async fn transfer(
    peer: Peer<'_>,
    local: Ipv4Addr,
    request: &Request,
    drivers: &Drivers,
) -> io::Result<()> {
    let Peer { daemon, client, .. } = peer;
    let socket = net::bind_udp(SocketAddrV4::new(local, 0))?;
    socket.connect(client)?;
    // GRUB's configuration reads the image and writes to the book of tickets: others' transfers go on meanwhile.
    let opened =
        tokio::task::block_in_place(|| Content::open(daemon, &request.path, *client.ip(), local));
    let file = match opened {
        Ok(Some(file)) => file,
        Ok(None) => {
            debug!(%client, path = request.path, "TFTP: not found");
            return peer.refuse(&socket, tftp::ErrorCode::NotFound, "file not found");
        }
        Err(error) => {
            warn!(path = request.path, %error, "TFTP: a loader cannot be read");
            let code = tftp::ErrorCode::Undefined;
            return peer.refuse(&socket, code, "the file cannot be read");
        }
    };
    let len = file.len()?;
    let machine = Transfer::new(Duration::ZERO, request, len, &Limits::default());
    let mut driven = Driven::new(socket, machine, file);
    if let Some(first) = driven.begin()? {
        peer.is_sent(driven.socket(), &first);
    }
    let outcome = drivers.drive(driven).await?;
    let name = &request.path;
    match &outcome {
        Outcome::Done(bytes) => {
            let detail = format!("{name}, {} KiB over TFTP", bytes / 1024);
            match daemon.client_at(*client.ip()) {
                Some(mac) => daemon.fetched(mac, stage_of(name), &detail),
                None => info!(%client, "{detail}"),
            }
        }
        Outcome::Probed => {
            debug!(%client, name, "TFTP: the client asked for the size");
            if let Some(mac) = peer.mac {
                let name = printable(name);
                daemon.note(mac, "TFTP", &format!("asked for the size of {name}"));
                daemon.learn(mac, |facts| facts.size_asked = Some(name));
            }
        }
        outcome => info!(%client, name, ?outcome, "TFTP: the transfer did not end well"),
    }
    Ok(())
}

/// A name from the network as it may stand in a line.
fn printable(name: &str) -> String {
    let printable = name.chars().filter(char::is_ascii_graphic);
    printable.take(80).collect()
}

/// What a file is in a boot.
fn stage_of(name: &str) -> Stage {
    match name.rsplit('/').next() {
        Some("vmlinuz") => Stage::Kernel,
        Some("initrd.img") => Stage::Initrd,
        _ => Stage::Loader,
    }
}

/// Counts transfers, so that nobody can have more than a share.
#[derive(Default)]
struct Transfers(Mutex<HashMap<Ipv4Addr, usize>>);

impl Transfers {
    fn enter(self: &Arc<Self>, client: Ipv4Addr) -> Option<Place> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = counts.values().sum();
        let own = counts.entry(client).or_default();
        if all >= MAX_TRANSFERS || *own >= MAX_PER_CLIENT {
            if *own == 0 {
                counts.remove(&client);
            }
            return None;
        }
        *own += 1;
        Some(Place {
            transfers: Arc::clone(self),
            client,
        })
    }
}

/// A transfer's place; given back when dropped.
struct Place {
    transfers: Arc<Transfers>,
    client: Ipv4Addr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self
            .transfers
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = counts.get_mut(&self.client) {
            *own -= 1;
            if *own == 0 {
                counts.remove(&self.client);
            }
        }
    }
}
