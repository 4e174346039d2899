//! What the services share: the configuration, what is published, and what happened to each client.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arc_swap::{ArcSwap, ArcSwapOption};
use boot::{Authority, Facts, Plan, SiteKey, Timelines};
use model::{BootChoice, ClientArch, Firmware, KnownBy, MacAddr, Stage};
use quick_cache::sync::Cache;
use tracing::{info, warn};

use crate::export::{Access, ExportFs, Folder, HandleKey, Network};
use crate::firmware::FirmwareBook;
use crate::foreign::ForeignServers;
use crate::images::Images;
use crate::links::{Link, NotYet};
use crate::loaders::Loaders;
use crate::packets::Captures;
use crate::recognised::Recognised;
use crate::running::Book;
use crate::runs::Runs;
use crate::services::nfs::Counters;
use crate::tickets::TicketBook;

/// How long it is remembered which client has an address: every request asks, and looks through all
/// timelines, for a stranger through the kernel's neighbours too.
const KNOWN: Duration = Duration::from_millis(250);
/// Addresses of which it is remembered.
const MAX_KNOWN: usize = 1024;

/// The state of the running daemon. Services hold an `Arc` of it; each part has one owner that
/// replaces it, and everybody else reads snapshots.
pub struct Daemon {
    /// As loaded at start.
    pub config: config::Config,
    /// What is published; replaced by the catalogue's watcher.
    pub images: ArcSwap<Images>,
    /// The loaders that firmware is sent.
    pub loaders: Loaders,
    /// The same for NFS.
    pub exports: Arc<ExportFs>,
    /// NFS calls and bytes of each client.
    pub nfs_counters: Arc<Counters>,
    /// The site's secret.
    pub site_key: SiteKey,
    /// Signs the clients' ssh host keys.
    pub authority: Authority,
    /// The interfaces that are served now.
    pub links: ArcSwap<Vec<ServedLink>>,
    /// The interfaces that are waited for, and why.
    pub waiting: ArcSwap<BTreeMap<String, NotYet>>,
    /// Why there is no network address translation where it is configured, if there is none.
    pub nat: ArcSwapOption<String>,
    /// What happened to each client.
    timelines: Mutex<Timelines>,
    /// Which client has an address, and when that was found.
    known: Cache<Ipv4Addr, (Instant, Option<MacAddr>)>,
    /// Who runs what, on disk.
    book: Book,
    /// What single machines boot next, on disk.
    pub tickets: TicketBook,
    /// The last packets of machines that boot.
    pub captures: Captures,
    /// Runs that are measured.
    pub runs: Runs,
    /// How machines' firmware is brought to a loader, on disk.
    pub firmware: FirmwareBook,
    /// The cards of clients that are known by something else, on disk.
    pub recognised: Recognised,
    /// Other DHCP servers where we lease addresses.
    pub foreign: ForeignServers,
}

impl Daemon {
    /// A daemon that has not begun to serve.
    pub fn new(
        config: config::Config,
        mut images: Images,
        site_key: SiteKey,
        authority: Authority,
    ) -> Arc<Self> {
        let loaders = Loaders::new(&config.loaders);
        let exports = ExportFs::new(HandleKey::new(site_key.0), access(&config));
        exports.publish(images.export());
        let (book, timelines) = Book::open(&config.state_dir);
        let tickets = TicketBook::open(&config.state_dir);
        let captures = Captures::new(&config.state_dir);
        let runs = Runs::new(&config.state_dir);
        let firmware = FirmwareBook::open(&config.state_dir);
        let recognised = Recognised::open(&config.state_dir);
        images.site.recognised = recognised.with(|cards| cards.iter().cloned().collect());
        Arc::new(Self {
            config,
            images: ArcSwap::from_pointee(images),
            exports: Arc::new(exports),
            nfs_counters: Arc::default(),
            loaders,
            site_key,
            authority,
            links: ArcSwap::default(),
            waiting: ArcSwap::default(),
            nat: ArcSwapOption::empty(),
            timelines: Mutex::new(timelines),
            known: Cache::new(MAX_KNOWN),
            book,
            tickets,
            captures,
            runs,
            firmware,
            recognised,
            foreign: ForeignServers::default(),
        })
    }

    /// A client's name.
    pub fn hostname(&self, client: MacAddr) -> String {
        self.images.load().site.hostname(client)
    }

    /// What a client boots now: what its ticket says, else what is configured.
    pub fn plan(&self, client: MacAddr) -> Plan {
        let ticket = self.tickets.choice(client, unix_seconds());
        self.images.load().site.plan(client, ticket.as_ref())
    }

    /// Whether a client gets any answer from DHCP; asked for every message.
    pub fn answers(&self, client: MacAddr) -> bool {
        let ticket = self.tickets.choice(client, unix_seconds());
        let images = self.images.load();
        images.site.choice(client, ticket.as_ref()) != Some(&BootChoice::Unanswered)
    }

    /// The timelines. A panic while they were held leaves them usable: every change is one step.
    pub fn timelines(&self) -> MutexGuard<'_, Timelines> {
        self.timelines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces what is published. Whoever holds the earlier snapshot keeps it.
    pub fn publish(&self, mut images: Images) {
        self.exports.publish(images.export());
        self.recognised.with(|cards| {
            images.site.recognised = cards.iter().cloned().collect();
            self.images.store(Arc::new(images));
        });
    }

    /// These are the cards of clients that are known by something else.
    pub fn recognised(&self, cards: &[(MacAddr, KnownBy)]) {
        self.recognised.replace(cards);
        let before = self.images.load_full();
        for (client, known_by) in cards {
            if before.site.recognised.get(client) != Some(known_by) {
                info!(%client, %known_by, "recognised");
            }
        }
        self.images.rcu(|images| {
            let mut images = Images::clone(images);
            images.site.recognised = cards.iter().cloned().collect();
            images
        });
    }

    /// A firmware or iPXE asked for a boot server.
    pub fn discovered(&self, client: MacAddr, firmware: Firmware, arch: ClientArch) {
        let detail = format!("{firmware:?}, architecture {}", arch.code());
        let reached = self
            .timelines()
            .discovered(unix_millis(), client, firmware, arch, &detail);
        tell(client, Stage::Discover, reached, &detail);
    }

    /// Whether a client was given to its own disk, and its firmware is on the way there.
    pub fn is_leaving(&self, client: MacAddr, firmware: Firmware) -> bool {
        let timelines = self.timelines();
        let attempt = timelines.current(client);
        attempt.is_some_and(|attempt| attempt.is_leaving(firmware, unix_millis()))
    }

    /// A client reached a stage.
    pub fn reached(&self, client: MacAddr, stage: Stage, detail: &str) {
        let reached = self
            .timelines()
            .reached(unix_millis(), client, stage, detail);
        if reached.is_some() && stage >= Stage::Mounted {
            self.book.write(|| self.timelines().running());
        }
        if reached.is_some() && stage == Stage::Mounted {
            self.tickets.used(client);
        }
        tell(client, stage, reached, detail);
    }

    /// Notes a fact about a client.
    pub fn learn(&self, client: MacAddr, note: impl FnOnce(&mut Facts)) {
        self.timelines().learn(client, note);
    }

    /// Notes something that is no stage, for whoever asks why.
    pub fn note(&self, client: MacAddr, by: &'static str, text: &str) {
        self.timelines().note(unix_millis(), client, by, text);
    }

    /// A client reported that it could not reach a stage.
    pub fn failed(&self, client: MacAddr, stage: Stage, message: &str) {
        let boot = self
            .timelines()
            .failed(unix_millis(), client, stage, message);
        warn!(%client, boot, %stage, "{message}");
        self.captures.write(client);
    }

    /// Which client has this address: by what we leased or served to it, else by asking the kernel
    /// who answers there.
    pub fn client_at(&self, address: Ipv4Addr) -> Option<MacAddr> {
        let known = self.known.get(&address);
        if let Some((_, client)) = known.filter(|(found, _)| found.elapsed() < KNOWN) {
            return client;
        }
        let client = self.find_client(address);
        self.known.insert(address, (Instant::now(), client));
        client
    }

    fn find_client(&self, address: Ipv4Addr) -> Option<MacAddr> {
        let known = self.timelines().by_address(address);
        known.or_else(|| {
            let client = net::neighbour(address)?;
            let mut timelines = self.timelines();
            timelines.current(client)?;
            timelines.learn(client, |facts| facts.address = Some(address));
            Some(client)
        })
    }

    /// Logs boots that go no further.
    pub fn look_for_stopped_boots(&self) {
        let stopped = self.timelines().tick(unix_millis());
        for stopped in stopped {
            let (client, boot, stage) = (stopped.client, stopped.boot, stopped.stage);
            warn!(%client, boot, %stage, "the boot stopped here: {}", stopped.verdict);
            self.captures.write(client);
        }
    }

    /// Adds a link to those that are served.
    pub fn serve_link(&self, served: &ServedLink) {
        self.links.rcu(|links| {
            let mut links = Vec::clone(links);
            links.retain(|other| other.link.name != served.link.name);
            links.push(served.clone());
            links
        });
    }

    /// Takes a link from those that are served.
    pub fn leave_link(&self, name: &str) {
        let links = self.links.load();
        if let Some(served) = links.iter().find(|served| served.link.name == name) {
            self.foreign.left(served.link.address);
        }
        self.links.rcu(|links| {
            let mut links = Vec::clone(links);
            links.retain(|other| other.link.name != name);
            links
        });
    }

    /// Notes why an interface is waited for, or that it no longer is; says it if that is new. (What
    /// other interfaces there are changes all day where containers run.)
    pub fn wait_for(&self, name: &str, reason: Option<NotYet>) {
        let earlier = self.waiting.load().get(name).cloned();
        let kind = |reason: &NotYet| std::mem::discriminant(reason);
        match (&earlier, &reason) {
            (None, None) => return,
            // Who looks says so in the log, and what came of it.
            (_, Some(NotYet::Asking)) | (Some(NotYet::Asking), None) => {}
            (Some(earlier), Some(reason)) if kind(earlier) == kind(reason) => {}
            (_, Some(reason)) => warn!(interface = name, "waiting for the interface: {reason}"),
            (Some(_), None) => info!(interface = name, "the interface is there"),
        }
        self.waiting.rcu(|waiting| {
            let mut waiting = BTreeMap::clone(waiting);
            match &reason {
                Some(reason) => waiting.insert(name.to_owned(), reason.clone()),
                None => waiting.remove(name),
            };
            waiting
        });
    }

    /// The DNS servers of a client at this address. `leased` is the one that its lease named: where
    /// the addresses are another server's and we answer no DNS, that server knows better than we.
    pub fn dns_for(&self, client: Ipv4Addr, leased: Option<Ipv4Addr>) -> Vec<Ipv4Addr> {
        let links = self.links.load();
        let Some(served) = links.iter().find(|served| served.has(client)) else {
            return leased.into_iter().collect();
        };
        let ours = served.mode == dhcp::Mode::Full || served.dns == [served.link.address];
        match leased.filter(|_| !ours) {
            Some(server) => vec![server],
            None => served.dns.clone(),
        }
    }

    /// Whether an address is ours, on some link that is served.
    pub fn is_ours(&self, address: Ipv4Addr) -> bool {
        let links = self.links.load();
        links.iter().any(|served| served.link.address == address)
    }

    /// Our address as a client at `client` reaches it; `None` behind a relay.
    pub fn address_for(&self, client: Ipv4Addr) -> Option<Ipv4Addr> {
        let links = self.links.load();
        let on_link = links.iter().find(|served| served.has(client));
        on_link.map(|served| served.link.address)
    }

    /// Whether nothing speaks against `client` being at `address`. On a link that we serve, the kernel
    /// has just exchanged packets with that address and knows whose card answers; behind a relay only
    /// the boot token speaks for a client.
    pub fn may_be_at(&self, client: MacAddr, address: Ipv4Addr) -> bool {
        match net::neighbour(address) {
            Some(found) => found == client,
            None => !self.links.load().iter().any(|served| served.has(address)),
        }
    }
}

/// Who may use which export.
fn access(config: &config::Config) -> Access {
    let networks = |networks: &[(Ipv4Addr, u8)]| -> Vec<Network> {
        let networks = networks.iter();
        networks
            .map(|(address, len)| Network::new((*address).into(), *len))
            .collect()
    };
    let images = config.images.iter();
    let limited = images.filter(|(_, image)| !image.networks.is_empty());
    let folders = config.exports.iter();
    Access {
        networks: networks(&config.nfs.networks),
        images: limited
            .map(|(name, image)| (name.clone(), networks(&image.networks)))
            .collect(),
        folders: folders
            .map(|(name, export)| {
                Folder::new(
                    name.clone(),
                    export.folder.clone(),
                    networks(&export.networks),
                )
            })
            .collect(),
    }
}

/// A link that is served, and how.
#[derive(Clone, Debug)]
pub struct ServedLink {
    /// The interface.
    pub link: Link,
    /// Our part in DHCP.
    pub mode: dhcp::Mode,
    /// The DNS servers that clients are told.
    pub dns: Vec<Ipv4Addr>,
    /// The TCP port of HTTP.
    pub http_port: u16,
}

impl ServedLink {
    /// Whether an address belongs to the link's network.
    pub fn has(&self, address: Ipv4Addr) -> bool {
        self.link.holds(address)
    }
}

fn tell(client: MacAddr, stage: Stage, reached: Option<boot::Reached>, detail: &str) {
    if let Some(reached) = reached {
        let after = format!("{:.1}s", reached.after as f64 / 1000.0);
        info!(%client, boot = reached.boot, %stage, after, "{detail}");
    }
}

/// Milliseconds of Unix time.
pub fn unix_millis() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    since.as_millis() as u64
}

/// Seconds of Unix time.
pub fn unix_seconds() -> u64 {
    unix_millis() / 1000
}
