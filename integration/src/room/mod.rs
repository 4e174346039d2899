//! A room of machines that ask for addresses as fast as they are answered, and a ledger of what each
//! was told.
//!
//! They stand behind one relay, so that a socket is all that they need: the server answers to the
//! relay's address. Each takes an address (DISCOVER, REQUEST) and from then on asks again at random,
//! half of the times as a machine that remembers (INIT-REBOOT), else as one that does not. Whatever
//! else it is told is a [`Fault`].

mod book;
pub mod message;
mod relay;

use std::collections::{HashMap, HashSet};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::lab::Lab;
pub use book::nothing_is_forgotten;
pub use relay::Relay;

use message::{Kind, Seen, ask};

/// Machines that wait for an answer at once.
const OUTSTANDING: usize = 32;
/// How long a machine waits before it starts over.
const PATIENCE: Duration = Duration::from_millis(100);

/// Numbers drawn by lot, the same for the same seed (xorshift64).
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// From this seed on.
    pub fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// The next one.
    pub fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// The room's network, with that many addresses to give, as netbootd's configuration has it.
pub fn network(addresses: u32) -> String {
    let first = u32::from(Relay::ADDRESS) + 9;
    let (first, last) = (Ipv4Addr::from(first), Ipv4Addr::from(first + addresses - 1));
    format!(
        "[subnets.\"10.64.0.0/10\"]\npool = [\"{first}-{last}\"]\nrouter = \"{}\"\n",
        Relay::ADDRESS
    )
}

/// What the server may not do.
#[derive(Clone, Debug)]
pub struct Fault(pub String);

/// Who was told what.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// Machine → address, by acknowledgements alone.
    pub told: HashMap<u32, Ipv4Addr>,
    holders: HashMap<Ipv4Addr, u32>,
    /// Acknowledgements seen.
    pub acknowledged: u64,
    /// Machines that asked again since [`Room::ask_all_again`] and were told the same.
    pub confirmed: HashSet<u32>,
    /// What went wrong.
    pub faults: Vec<Fault>,
}

impl Ledger {
    fn acknowledge(&mut self, machine: u32, address: Ipv4Addr) {
        self.acknowledged += 1;
        self.confirmed.insert(machine);
        let before = self.told.insert(machine, address);
        if before.is_some_and(|before| before != address) {
            self.fault(machine, format!("had {before:?} and was given {address}"));
        }
        let holder = self.holders.insert(address, machine);
        if let Some(holder) = holder.filter(|holder| *holder != machine) {
            let also = format!("was given {address}, which is {}'s", mac(holder));
            self.fault(machine, also);
        }
    }

    fn fault(&mut self, machine: u32, what: String) {
        self.faults.push(Fault(format!("{} {what}", mac(machine))));
    }
}

/// The hardware address of a machine, as people write it.
pub fn mac(machine: u32) -> String {
    let bytes = message::mac(machine).map(|byte| format!("{byte:02x}"));
    bytes.join(":")
}

#[derive(Debug, Default)]
struct Common {
    ledger: Mutex<Ledger>,
    /// How many machines there are by now.
    machines: AtomicU32,
    /// Everybody asks once more, and nobody a second time.
    roll_call: AtomicBool,
    /// Nobody asks anything.
    is_silent: AtomicBool,
    stop: AtomicBool,
}

impl Common {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The room; it ends when this is dropped.
#[derive(Debug)]
pub struct Room {
    common: Arc<Common>,
    thread: Option<JoinHandle<Result<()>>>,
    _relay: Relay,
}

impl Room {
    /// Machines on [`network`], behind a relay on the lab's link. Nobody is in it yet.
    pub fn open(lab: &Lab, seed: u64) -> Result<Self> {
        let relay = Relay::open(lab)?;
        let socket = relay.socket()?;
        let common = Arc::new(Common::default());
        let shared = Arc::clone(&common);
        let work = move || {
            Asking {
                socket,
                common: &shared,
                chance: Chance::new(seed),
                waiting: HashMap::new(),
                next_new: 0,
                called: 0,
            }
            .run()
        };
        Ok(Self {
            common,
            thread: Some(std::thread::spawn(work)),
            _relay: relay,
        })
    }

    /// Lets more machines in.
    pub fn admit(&self, more: u32) {
        self.common.machines.fetch_add(more, Ordering::Relaxed);
    }

    /// Has everybody ask nothing from now on, or ask again. What was asked before may still be answered.
    pub fn be_silent(&self, is_silent: bool) {
        self.common.is_silent.store(is_silent, Ordering::Relaxed);
    }

    /// How many machines have an address by now.
    pub fn told(&self) -> usize {
        self.common.ledger().told.len()
    }

    /// The ledger as it is now.
    pub fn ledger(&self) -> Ledger {
        self.common.ledger().clone()
    }

    /// Has every machine ask once more, and waits until all were told the same again.
    pub fn ask_all_again(&self, limit: Duration) -> Result<()> {
        self.common.ledger().confirmed.clear();
        self.common.roll_call.store(true, Ordering::Relaxed);
        let start = Instant::now();
        loop {
            self.must_run()?;
            let missing = {
                let ledger = self.common.ledger();
                let told = ledger.told.keys();
                told.filter(|machine| !ledger.confirmed.contains(machine))
                    .count()
            };
            if missing == 0 {
                return Ok(());
            }
            if start.elapsed() > limit {
                bail!("{missing} machines were not told their address again");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Fails when the room has ended, or has seen a fault.
    pub fn must_run(&self) -> Result<()> {
        if self.thread.as_ref().is_some_and(JoinHandle::is_finished) {
            bail!("the room of machines has ended: its relay has no socket any more");
        }
        let ledger = self.common.ledger();
        if let Some(Fault(first)) = ledger.faults.first() {
            bail!("{} faults, the first: {first}", ledger.faults.len());
        }
        Ok(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.common.stop.store(true, Ordering::Relaxed);
        if let Some(Ok(Err(error))) = self.thread.take().map(JoinHandle::join) {
            eprintln!("the room of machines: {error:#}");
        }
    }
}

/// What a machine waits for.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    kind: Kind,
    transaction: u32,
    until: Instant,
}

struct Asking<'a> {
    socket: UdpSocket,
    common: &'a Common,
    chance: Chance,
    waiting: HashMap<u32, Waiting>,
    next_new: u32,
    called: u32,
}

impl Asking<'_> {
    fn run(&mut self) -> Result<()> {
        let mut buffer = [0; 1500];
        while !self.common.stop.load(Ordering::Relaxed) {
            let now = Instant::now();
            self.waiting.retain(|_, waiting| waiting.until > now);
            if !self.is_silent() {
                for _ in self.waiting.len()..OUTSTANDING {
                    self.begin();
                }
            }
            match self.socket.recv(&mut buffer) {
                Ok(length) => self.hear(&buffer[..length]),
                // Nobody there: that is what is tested.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// One machine begins: mostly a new one if there is one, else one that has begun before.
    fn begin(&mut self) {
        let machines = self.common.machines.load(Ordering::Relaxed);
        let is_roll_call = self.common.roll_call.load(Ordering::Relaxed);
        let is_new =
            self.next_new < machines && (self.next_new == 0 || !self.roll().is_multiple_of(4));
        let machine = if is_roll_call && machines > 0 {
            self.called = (self.called + 1) % machines;
            self.called
        } else if is_new {
            self.next_new += 1;
            self.next_new - 1
        } else if self.next_new > 0 {
            (self.roll() % u64::from(self.next_new)) as u32
        } else {
            return;
        };
        if self.waiting.contains_key(&machine) {
            return;
        }
        let (told, is_confirmed) = {
            let ledger = self.common.ledger();
            let is_confirmed = ledger.confirmed.contains(&machine);
            (ledger.told.get(&machine).copied(), is_confirmed)
        };
        if is_roll_call && (is_confirmed || told.is_none()) {
            return;
        }
        match told {
            Some(address) if self.roll().is_multiple_of(2) => {
                self.send(machine, Kind::Remember(address));
            }
            _ => self.send(machine, Kind::Discover),
        }
    }

    fn send(&mut self, machine: u32, kind: Kind) {
        let transaction = self.roll() as u32;
        let message = ask(machine, transaction, kind);
        let to = SocketAddrV4::new(Lab::SERVER, 67);
        // What cannot be sent is asked again after a while, as what got lost.
        let _ = self.socket.send_to(&message, to);
        let until = Instant::now() + PATIENCE;
        let waiting = Waiting {
            kind,
            transaction,
            until,
        };
        self.waiting.insert(machine, waiting);
    }

    fn hear(&mut self, bytes: &[u8]) {
        let Some(seen) = Seen::read(bytes) else {
            return;
        };
        // Acknowledgements count however late: the server has said it.
        let mut ledger = self.common.ledger();
        if seen.kind == message::ACK {
            ledger.acknowledge(seen.machine, seen.address);
        }
        let Some(waiting) = self.waiting.get(&seen.machine).copied() else {
            return;
        };
        if waiting.transaction != seen.transaction {
            return;
        }
        self.waiting.remove(&seen.machine);
        let told = ledger.told.get(&seen.machine).copied();
        match (seen.kind, waiting.kind) {
            (message::OFFER, Kind::Discover) => {
                if let Some(told) = told.filter(|told| *told != seen.address) {
                    let what = format!("has {told} and was offered {}", seen.address);
                    ledger.fault(seen.machine, what);
                }
                drop(ledger);
                if !self.is_silent() {
                    self.send(seen.machine, Kind::Select(seen.address));
                }
            }
            (message::NAK, Kind::Remember(address)) => {
                ledger.fault(seen.machine, format!("has {address} and was refused it"));
            }
            // A refusal of an offer that the server has forgotten in its restart: it starts over.
            _ => {}
        }
    }

    fn is_silent(&self) -> bool {
        self.common.is_silent.load(Ordering::Relaxed)
    }

    fn roll(&mut self) -> u64 {
        self.chance.roll()
    }
}
