//! DHCP and proxyDHCP: the sockets of one link, and the order in which things become true.
//!
//! All decisions are the `dhcp` crate's. A batch of datagrams is answered, the lease changes of the
//! whole batch go to the disk in one commit, and only then do the answers leave: what a client was
//! told is on disk first, and a room of machines shares one wait for the disk.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::{Arc, Mutex, PoisonError};

use boot::Plan;
use boot::loader::{self, Chain};
use dhcp::{
    Answer, BootFile, BootPolicy, ClientInfo, Done, Event, EventKind, LinkId, Received, Server,
};
use model::{Firmware, MacAddr, Stage};
use store::Leases;
use tokio::net::UdpSocket;
use tokio::sync::{Notify, watch};
use tracing::{debug, error, info, warn};

use crate::daemon::{Daemon, unix_millis};
use crate::leases::{lease_clock, to_change};
use crate::links::Link;

/// Datagrams answered with one commit.
const BATCH: usize = 64;

/// The one DHCP server behind all links, and its disk.
pub struct Shared {
    server: Mutex<Server>,
    leases: Leases,
    /// Told after each commit, for those that follow the leases' names.
    changed: Notify,
}

impl Shared {
    /// A server with what the disk held.
    pub fn new(server: Server, leases: Leases) -> Arc<Self> {
        Arc::new(Self {
            server: Mutex::new(server),
            leases,
            changed: Notify::new(),
        })
    }

    /// Waits until leases have changed since the last wait.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Runs `work` with the server to itself.
    pub fn with<T>(&self, work: impl FnOnce(&mut Server) -> T) -> T {
        work(&mut self.server.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Answers a batch: decide all, write once, and give back what is left to do.
    fn answer(&self, batch: &[Datagram], link: LinkId, policy: &Policy<'_>) -> Vec<Done> {
        self.with(|server| {
            let now = lease_clock();
            let (mut done, mut pending) = (Vec::with_capacity(batch.len()), Vec::new());
            for datagram in batch {
                let Datagram {
                    to_port,
                    source,
                    bytes,
                } = datagram;
                let received = Received {
                    link,
                    source: *source,
                    to_port: *to_port,
                    bytes,
                };
                match server.handle(now, &received, policy) {
                    Ok(Answer::Done(answer)) => done.push(answer),
                    Ok(Answer::Pending(answer)) => pending.push(answer),
                    Err(discard) => debug!(%source, reason = discard.as_str(), "DHCP: discarded"),
                }
            }
            if pending.is_empty() {
                return done;
            }
            let changes: Vec<store::Change> = pending
                .iter()
                .flat_map(|pending| pending.changes())
                .map(to_change)
                .collect();
            let written = self.leases.commit(&changes);
            if let Err(error) = &written {
                // Not on disk, so not true: nobody is told, and the clients will ask again.
                error!(%error, "leases cannot be written; none is acknowledged until they can");
            }
            self.changed.notify_one();
            done.extend(pending.into_iter().map(|pending| match written {
                Ok(()) => server.commit(pending),
                Err(_) => server.abort(pending),
            }));
            done
        })
    }
}

/// A datagram, the port of ours that it came to, and its sender.
struct Datagram {
    to_port: u16,
    source: SocketAddrV4,
    bytes: Vec<u8>,
}

/// Who boots what, asked by the protocol.
pub struct Policy<'a> {
    daemon: &'a Daemon,
    http_port: u16,
}

impl Policy<'_> {
    /// What this client boots. One that was given to its own disk, and whose firmware tries its other
    /// ways to boot on the way there, is not brought back.
    fn plan(&self, client: &ClientInfo) -> Plan {
        let timelines = self.daemon.timelines();
        let left = timelines
            .current(client.mac)
            .is_some_and(|attempt| attempt.is_leaving(client.firmware, unix_millis()));
        drop(timelines);
        match left {
            true => Plan::LocalDisk,
            false => self.daemon.plan(client.mac),
        }
    }

    /// Where our HTTP is for clients of this link.
    fn base(&self, server: Ipv4Addr) -> String {
        match self.http_port {
            80 => format!("http://{server}"),
            port => format!("http://{server}:{port}"),
        }
    }
}

impl BootPolicy for Policy<'_> {
    fn boot_file(&self, client: &ClientInfo, server: Ipv4Addr) -> Option<BootFile> {
        match self.plan(client) {
            Plan::Boot(_) | Plan::Menu => {}
            Plan::LocalDisk | Plan::Unanswered => return None,
            Plan::Nothing(reason) => {
                warn!(client = %client.mac, "gets no boot file: {reason}");
                return None;
            }
        }
        let base = self.base(server);
        let loader = self.daemon.loaders.file_for(client.arch);
        let file = match client.firmware {
            Firmware::Ipxe if client.ipxe.http => {
                format!("{base}/boot/{}.ipxe", client.mac.hyphenated())
            }
            // An iPXE without HTTP, as some network cards carry: chain ours. The URL is absolute,
            // since such an iPXE takes a bare name for a path on whatever booted it.
            Firmware::Ipxe => format!("tftp://{server}/{}", loader?),
            Firmware::BiosPxe | Firmware::UefiPxe => loader?.to_owned(),
            Firmware::HttpBoot => {
                let loader = loader.filter(|file| loader::chain(file) == Chain::Ipxe)?;
                format!("{base}/loader/{loader}")
            }
        };
        Some(BootFile {
            next_server: server,
            file,
        })
    }

    fn own_disk(&self, client: &ClientInfo, server: Ipv4Addr) -> Option<String> {
        let is_local = self.plan(client) == Plan::LocalDisk;
        is_local.then(|| format!("{}/own-disk", self.base(server)))
    }

    fn may_answer(&self, client: MacAddr) -> bool {
        self.daemon.answers(client)
    }
}

/// Serves ports 67 and 4011 of one link until `shutdown` changes.
pub async fn serve(
    daemon: Arc<Daemon>,
    shared: Arc<Shared>,
    link: Link,
    sockets: [std::net::UdpSocket; 2],
    http_port: u16,
    mut shutdown: watch::Receiver<bool>,
) -> io::Result<()> {
    let [server, boot_server] = sockets;
    let (server, boot_server) = (
        UdpSocket::from_std(server)?,
        UdpSocket::from_std(boot_server)?,
    );
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        tokio::select! {
            ready = server.readable() => ready?,
            ready = boot_server.readable() => ready?,
            _ = shutdown.changed() => return Ok(()),
        }
        batch.clear();
        receive(&server, 67, &mut batch);
        receive(&boot_server, 4011, &mut batch);
        if batch.is_empty() {
            continue;
        }
        let policy = Policy {
            daemon: &daemon,
            http_port,
        };
        for datagram in &batch {
            let to = match datagram.source.ip().is_unspecified() {
                true => Ipv4Addr::BROADCAST,
                false => link.address,
            };
            let to = SocketAddrV4::new(to, datagram.to_port);
            daemon
                .captures
                .dhcp(true, datagram.source, to, &datagram.bytes);
        }
        let answers = tokio::task::block_in_place(|| shared.answer(&batch, link.id, &policy));
        for answer in answers {
            if let Some(reply) = &answer.reply {
                let socket = if reply.from_port == 4011 {
                    &boot_server
                } else {
                    &server
                };
                let to = reply.destination.address();
                let from = SocketAddrV4::new(link.address, reply.from_port);
                daemon.captures.dhcp(false, from, to, &reply.bytes);
                if let Err(error) = socket.send_to(&reply.bytes, to).await {
                    warn!(interface = link.name, %to, %error, "DHCP: an answer was not sent");
                }
            }
            answer.events.iter().for_each(|event| tell(&daemon, event));
        }
    }
}

/// Takes what has arrived, without waiting.
fn receive(socket: &UdpSocket, port: u16, batch: &mut Vec<Datagram>) {
    let mut buffer = [0; 1500];
    while batch.len() < BATCH {
        match socket.try_recv_from(&mut buffer) {
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

/// Puts an event into the client's timeline and the log.
fn tell(daemon: &Daemon, event: &Event) {
    let client = event.mac;
    // Only machines that boot from the network have a timeline; a laptop's lease is a debug line.
    let boots = event.firmware.is_some();
    match &event.kind {
        EventKind::Discover => match event.firmware {
            Some((firmware, arch)) => daemon.discovered(client, firmware, arch),
            None => debug!(%client, "DHCP: discover"),
        },
        EventKind::Offer {
            address,
            boot_file: Some(file),
        } if boots => {
            daemon.reached(client, Stage::Offer, &format!("{address}, {file}"));
        }
        EventKind::ProxyOffer { boot_file } => daemon.reached(client, Stage::Offer, boot_file),
        EventKind::Ack {
            address,
            boot_file: Some(file),
        } if boots => {
            daemon.reached(client, Stage::Ack, &format!("{address}, {file}"));
            daemon.learn(client, |facts| facts.address = Some(*address));
        }
        EventKind::BootServerAck { boot_file } => daemon.reached(client, Stage::Ack, boot_file),
        EventKind::Offer { address, .. } => debug!(%client, %address, "DHCP: offer"),
        EventKind::Ack { address, .. } => info!(%client, %address, "DHCP: lease"),
        EventKind::Declined { address } => warn!(
            %client, %address,
            "the client found this address in use by somebody else; a host with a fixed address inside the pool?"
        ),
        EventKind::PoolExhausted => {
            warn!(%client, "no address is left for this client: enlarge the pool");
        }
        EventKind::ForeignServer { server } => {
            warn!(%client, %server, "a client chose another DHCP server on this link");
        }
        EventKind::NotStored { address } => {
            error!(%client, %address, "the lease could not be stored");
        }
        kind @ (EventKind::Nak { .. } | EventKind::Inform { .. } | EventKind::Released { .. }) => {
            debug!(%client, ?kind, "DHCP");
        }
    }
}
