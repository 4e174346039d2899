//! TFTP: the first loader, for firmware that knows nothing else.
//!
//! The protocol is the `tftp` crate's; here are the sockets. Each transfer has a socket of its own at
//! our served address (its port is the transfer's TID), connected to the client, so that the kernel
//! drops what others send to it.

use std::collections::HashMap;
use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use model::{MacAddr, Stage};
use tftp::{FileSource, Limits, Outcome, Request, Transfer, error_packet};
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tracing::{debug, info, warn};

use crate::daemon::Daemon;
use crate::grub::{self, Sent};

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
        Ok(loader.map(|file| Self(Sent::File(Arc::new(file)))))
    }

    fn len(&self) -> io::Result<u64> {
        match &self.0 {
            Sent::Text(text) => Ok(text.len() as u64),
            Sent::File(file) => Ok(file.metadata()?.len()),
        }
    }
}

impl FileSource for Content {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.0 {
            Sent::Text(text) => {
                let rest = usize::try_from(offset).ok().and_then(|at| text.get(at..));
                rest.unwrap_or_default().read(buffer)
            }
            Sent::File(file) => file.read_at(buffer, offset),
        }
    }
}

/// Serves requests that arrive at `socket` (port 69 of `address`) until `shutdown` changes.
pub async fn serve(
    daemon: Arc<Daemon>,
    socket: std::net::UdpSocket,
    mut shutdown: watch::Receiver<bool>,
) -> io::Result<()> {
    let socket = UdpSocket::from_std(socket)?;
    let SocketAddr::V4(local) = socket.local_addr()? else {
        return Ok(());
    };
    let transfers = Arc::new(Transfers::default());
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
                let daemon = Arc::clone(&daemon);
                tokio::spawn(async move {
                    let peer = Peer {
                        daemon: &daemon,
                        mac,
                        client,
                    };
                    let result = transfer(peer, *local.ip(), &request).await;
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
    async fn refuse(
        &self,
        socket: &UdpSocket,
        code: tftp::ErrorCode,
        why: &'static str,
    ) -> io::Result<()> {
        let packet = error_packet(code, why);
        self.is_sent(socket, &packet);
        socket.send(&packet).await.map(drop)
    }
}

async fn transfer(peer: Peer<'_>, local: Ipv4Addr, request: &Request) -> io::Result<()> {
    let Peer { daemon, client, .. } = peer;
    let socket = UdpSocket::from_std(net::bind_udp(SocketAddrV4::new(local, 0))?)?;
    socket.connect(client).await?;
    // GRUB's configuration reads the image and writes to the book of tickets: others' transfers go on meanwhile.
    let opened =
        tokio::task::block_in_place(|| Content::open(daemon, &request.path, *client.ip(), local));
    let file = match opened {
        Ok(Some(file)) => file,
        Ok(None) => {
            debug!(%client, path = request.path, "TFTP: not found");
            let code = tftp::ErrorCode::NotFound;
            return peer.refuse(&socket, code, "file not found").await;
        }
        Err(error) => {
            warn!(path = request.path, %error, "TFTP: a loader cannot be read");
            let code = tftp::ErrorCode::Undefined;
            return peer.refuse(&socket, code, "the file cannot be read").await;
        }
    };
    let len = file.len()?;
    let started = Instant::now();
    let machine = Transfer::new(Duration::ZERO, request, len, &Limits::default());
    let outcome = run(peer, machine, &file, socket, started).await?;
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

/// Drives the machine until the transfer ends.
async fn run(
    peer: Peer<'_>,
    mut machine: Transfer,
    file: &Content,
    socket: UdpSocket,
    started: Instant,
) -> io::Result<Outcome> {
    let mut packet = [0; 1024];
    let mut batch = Vec::with_capacity(machine.block_size() + 4);
    let segment = (machine.block_size() + 4) as u16;
    let socket = socket.into_std()?;
    let offload = net::set_segment_size(&socket, segment).is_ok();
    let socket = UdpSocket::from_std(socket)?;
    let mut first = true;
    loop {
        while let Some(transmit) = machine.poll_transmit(file, &mut batch) {
            if std::mem::take(&mut first) {
                peer.is_sent(&socket, &batch[..batch.len().min(transmit.segment)]);
            }
            if batch.len() <= transmit.segment || offload {
                socket.send(&batch).await?;
            } else {
                for datagram in batch.chunks(transmit.segment) {
                    socket.send(datagram).await?;
                }
            }
        }
        let Some(deadline) = machine.poll_timeout() else {
            break;
        };
        tokio::select! {
            received = socket.recv(&mut packet) => match received {
                Ok(length) => machine.handle(started.elapsed(), &packet[..length]),
                // The client's port is closed: it is gone (ICMP port unreachable).
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    return Ok(Outcome::TimedOut(machine.acknowledged()));
                }
                Err(error) => return Err(error),
            },
            () = tokio::time::sleep_until((started + deadline).into()) => {
                machine.handle_timeout(started.elapsed());
            }
        }
    }
    Ok(machine.outcome().cloned().unwrap_or(Outcome::TimedOut(0)))
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
