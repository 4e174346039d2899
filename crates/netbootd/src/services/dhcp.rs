//! DHCP and proxyDHCP: the sockets of one link, and the order in which things become true.
//!
//! All decisions are the `dhcp` crate's. What is acknowledged waits for the disk in [`writer`]: what a
//! client was told is on disk first, and a room of machines shares one wait. Whatever else is
//! answered, an offer above all, waits for nothing.

mod receiver;
mod writer;

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use boot::Plan;
use boot::loader::{self, Chain};
use dhcp::{
    Answer, BootFile, BootPolicy, ClientInfo, Destination, Done, Event, EventKind, Pending,
    Received, Server, Telling, Transmit, frame,
};
use model::{Firmware, KnownBy, MacAddr, Stage, Way};
use store::Leases;
use tokio::sync::watch;
use tracing::{debug, error, info, warn};

use crate::daemon::Daemon;
use crate::foreign;
use crate::leases::lease_clock;
use crate::links::Link;
use crate::serve_link;
use receiver::Receiver;
use writer::{Then, Writer};

/// The one DHCP server behind all links, and the thread that writes its leases.
pub struct Shared {
    server: Arc<Mutex<Server>>,
    writer: Writer,
}

impl Shared {
    /// A server with what the disk held.
    pub fn new(server: Server, leases: Leases) -> Arc<Self> {
        let server = Arc::new(Mutex::new(server));
        let writer = Writer::start(Arc::clone(&server), leases);
        Arc::new(Self { server, writer })
    }

    /// Waits until the names of leases may have changed since the last wait.
    pub async fn changed(&self) {
        self.writer.changed().await;
    }

    /// Why leases cannot be written at present, if they cannot.
    pub fn alarm(&self) -> Option<String> {
        self.writer.alarm()
    }

    /// Runs `work` with the server to itself.
    pub fn with<T>(&self, work: impl FnOnce(&mut Server) -> T) -> T {
        work(&mut self.server.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Has the writer store what `decide` decides, and waits for it. `None` when there is nothing to
    /// store, else whether it is on the disk now.
    pub fn store(&self, decide: impl FnOnce(&mut Server) -> Option<Pending>) -> Option<bool> {
        let stored = self.with(|server| {
            let pending = decide(server)?;
            let (tell, stored) = mpsc::channel();
            self.writer.write(server, pending, Then::Tell(tell));
            Some(stored)
        })?;
        self.writer.wake();
        Some(stored.recv().unwrap_or(false))
    }

    /// Answers a batch. What has to be on the disk first is left to the writer; the rest leaves now.
    fn answer(&self, batch: &[Datagram], outlet: &Arc<Outlet>, policy: &Policy<'_>) {
        let done = self.with(|server| {
            let now = lease_clock();
            let mut done = Vec::with_capacity(batch.len());
            for datagram in batch {
                let Datagram {
                    to_port,
                    source,
                    bytes,
                } = datagram;
                let received = Received {
                    link: outlet.link.id,
                    source: *source,
                    to_port: *to_port,
                    bytes,
                };
                match server.handle(now, &received, policy) {
                    Ok(Answer::Done(answer)) => done.push(answer),
                    // With the server still to itself, so that the order is that of the decisions.
                    Ok(Answer::Pending(pending)) => {
                        let then = Then::Send(Arc::clone(outlet));
                        self.writer.write(server, pending, then);
                    }
                    Err(discard) => debug!(%source, reason = discard.as_str(), "DHCP: discarded"),
                }
            }
            done
        });
        self.writer.wake();
        done.into_iter().for_each(|done| outlet.send(done));
    }
}

/// Where the answers of one link leave: the sockets of ports 67 and 4011.
pub struct Outlet {
    daemon: Arc<Daemon>,
    link: Link,
    sockets: [std::net::UdpSocket; 2],
    /// For cards that have no address yet; without it they hear broadcasts.
    frames: Option<std::net::UdpSocket>,
}

impl Outlet {
    /// Sends what is to be sent, and tells what happened.
    fn send(&self, done: Done) {
        if let Some(reply) = &done.reply {
            let to = reply.destination.address();
            let from = SocketAddrV4::new(self.link.address, reply.from_port);
            self.daemon.captures.dhcp(false, from, to, &reply.bytes);
            if let Err(error) = self.transmit(reply, from) {
                warn!(interface = self.link.name, %to, %error, "DHCP: an answer was not sent");
            }
        }
        let events = done.events.iter();
        events.for_each(|event| tell(&self.daemon, event));
    }

    fn transmit(&self, reply: &Transmit, from: SocketAddrV4) -> io::Result<usize> {
        let socket = &self.sockets[usize::from(reply.from_port == 4011)];
        match (reply.destination, &self.frames) {
            (Destination::Card(card, to), Some(frames)) => {
                frames.send(&frame(self.link.mac, from, card, to, &reply.bytes))
            }
            (Destination::Card(_, to), None) => {
                let everybody = SocketAddrV4::new(Ipv4Addr::BROADCAST, to.port());
                socket.send_to(&reply.bytes, everybody)
            }
            (destination, _) => socket.send_to(&reply.bytes, destination.address()),
        }
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
    /// Who knows.
    pub daemon: &'a Daemon,
    /// The TCP port of HTTP on the link.
    pub http_port: u16,
}

impl Policy<'_> {
    /// What this client boots. One that was given to its own disk, and whose firmware tries its other
    /// ways to boot on the way there, is not brought back.
    fn plan(&self, client: &ClientInfo) -> Plan {
        match self.daemon.is_leaving(client.mac, client.firmware) {
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
        if client.firmware == Firmware::Ipxe && client.ipxe.http {
            self.daemon.firmware.spoke(client.mac);
            return Some(BootFile {
                next_server: server,
                file: format!("{base}/boot/{}.ipxe", client.mac.hyphenated()),
                telling: Telling::Whole,
            });
        }
        let (way, loader) = self.daemon.way(client)?;
        let file = match client.firmware {
            // An iPXE without HTTP, as some network cards carry: chain ours. The URL is absolute,
            // since such an iPXE takes a bare name for a path on whatever booted it.
            Firmware::Ipxe => format!("tftp://{server}/{loader}"),
            Firmware::BiosPxe | Firmware::UefiPxe => loader,
            Firmware::HttpBoot if loader::chain(&loader) == Chain::Grub => return None,
            Firmware::HttpBoot => format!("{base}/loader/{loader}"),
        };
        Some(BootFile {
            next_server: server,
            file,
            telling: match way {
                Way::BootServer => Telling::AtBootServer,
                Way::Header => Telling::Header,
                Way::Direct | Way::OtherIpxe | Way::Shim => Telling::Whole,
            },
        })
    }

    fn own_disk(&self, client: &ClientInfo, server: Ipv4Addr) -> Option<String> {
        let is_local = self.plan(client) == Plan::LocalDisk;
        is_local.then(|| format!("{}/own-disk", self.base(server)))
    }

    fn options(&self, client: MacAddr) -> Vec<(u8, Vec<u8>)> {
        let images = self.daemon.images.load();
        serve_link::further(images.site.layers(client).options())
    }

    fn recognised(&self, cards: &[(MacAddr, KnownBy)]) {
        self.daemon.recognised(cards);
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
    let frames = net::frame_socket(link.id.0)
        .inspect_err(|error| {
            let interface = &link.name;
            info!(interface, %error, "DHCP: machines without an address are answered by broadcast (CAP_NET_RAW is needed)");
        })
        .ok();
    let outlet = Arc::new(Outlet {
        daemon,
        link,
        sockets,
        frames,
    });
    let (_receiver, ended) = Receiver::start(shared, outlet, http_port)?;
    tokio::select! {
        ended = ended => {
            ended.unwrap_or_else(|_| Err(io::Error::other("the thread that receives has panicked")))
        }
        _ = shutdown.changed() => Ok(()),
    }
}

/// Puts an event into the client's timeline and the log.
fn tell(daemon: &Daemon, event: &Event) {
    let client = event.mac;
    // Only machines that boot from the network have a timeline; a laptop's lease is a debug line.
    let boots = event.firmware.is_some();
    match &event.kind {
        EventKind::Discover => match event.firmware {
            Some((firmware, arch)) => {
                let leaves = daemon.is_leaving(client, firmware);
                daemon.discovered(client, firmware, arch);
                daemon.tell_what_was_missed(client);
                daemon.tell_of_no_url(client, arch);
                let own_disk = leaves || daemon.plan(client) == Plan::LocalDisk;
                daemon.learn(client, |facts| facts.own_disk = own_disk);
            }
            None => debug!(%client, "DHCP: discover"),
        },
        EventKind::Offer {
            address,
            boot_file: Some(file),
        } if boots => {
            daemon.reached(client, Stage::Offer, &format!("{address}, {file}"));
            daemon.expect(client);
        }
        EventKind::ProxyOffer { boot_file } => {
            daemon.reached(client, Stage::Offer, boot_file);
            daemon.learn(client, |facts| facts.is_beside_another = true);
            daemon.expect(client);
        }
        EventKind::Ack {
            address,
            boot_file: Some(file),
        } if boots => {
            daemon.reached(client, Stage::Ack, &format!("{address}, {file}"));
            daemon.learn(client, |facts| facts.address = Some(*address));
            daemon.expect(client);
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
            debug!(%client, %server, "DHCP: it chose another server");
            foreign::chosen(daemon, client, event.link, *server);
        }
        EventKind::NotStored { address } => {
            error!(%client, %address, "the lease could not be stored");
        }
        kind @ (EventKind::Nak { .. } | EventKind::Inform { .. } | EventKind::Released { .. }) => {
            debug!(%client, ?kind, "DHCP");
        }
    }
}
