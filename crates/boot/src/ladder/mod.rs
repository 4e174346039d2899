//! The firmware ladder: how a machine's firmware is brought to a loader, found out by trying.
//!
//! Firmware tells nobody why it did not boot what it was told; what it does next is all there is to go by. A machine
//! that was answered and does not take the next step is answered in the next [`Way`] when it comes again. A loader that
//! was fetched whole, and then silence, is what Secure Boot looks like from here: shim is next.
//!
//! ```text
//! DISCOVER ──► told ──► fetched ──► iPXE speaks ──► script asked for: it works, and is remembered
//!                │         │            └─ DISCOVER: stuck,     another iPXE next
//!                │         └────────────── DISCOVER: refused,   shim next
//!                └──────────────────────── DISCOVER: not taken, the next way
//! ```
//!
//! It is a guess: a power cut at the wrong moment looks the same. So where there is evidence against it, the other iPXE
//! is tried before shim: an iPXE that was heard of in this series has run, and a machine whose `init` has told that Secure
//! Boot is off ([`Ladder::secure_boot`]) refuses nothing. What was guessed wrong is not remembered either.
//!
//! A round goes through every way once; after it the next round begins. What worked is remembered of the machine, and
//! as a hint of its model. One miss of what is remembered is forgiven: somebody may have pressed reset.

mod memory;
mod words;

use std::collections::HashMap;

use model::{ClientArch, MacAddr, Way};

pub use memory::{KnownMachine, KnownModel, Memory};
pub use words::way_in_words;

/// Machines that are being brought to a loader; beyond that the one told longest ago is forgotten.
const MAX_TRIALS: usize = 4096;
/// How long after an acknowledgement a DISCOVER is another attempt, in milliseconds.
const AFTER_ACK: u64 = 5_000;
/// How long DISCOVERs that are not followed by anything are one attempt, in milliseconds: EDK2 repeats its own after 4,
/// 8, 16 and 32 s.
const AFTER_OFFER: u64 = 30_000;
/// How long a ROM's iPXE that gets nowhere with any loader is left alone, in milliseconds.
const LOOP_PAUSE: u64 = 120_000;

/// A firmware that asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asker {
    /// The address of its card.
    pub mac: MacAddr,
    /// The mainboard's UUID, if it has one.
    pub uuid: Option<[u8; 16]>,
    /// Its architecture.
    pub arch: ClientArch,
    /// Whether it is an iPXE that cannot fetch our script, as some cards have in their ROM: it is sent ours. Should ours
    /// not be able to either, it comes back as this one.
    pub is_ipxe: bool,
}

/// Why a way did not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// The firmware did nothing with what it was told.
    NotTaken,
    /// It fetched the loader, and nothing was heard of it.
    Refused,
    /// The loader ran, and did not ask for its script.
    Stuck,
}

/// What an attempt failed at, and what comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missed {
    /// The way that it was told.
    pub way: Way,
    /// What it failed at.
    pub miss: Miss,
    /// How it is told next; `None`: the round is over, and the next one begins.
    pub next: Option<Way>,
}

/// What becomes of a DISCOVER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The way to tell it; `None`: it has been sent in a circle, and hears nothing for a while.
    pub way: Option<Way>,
    /// What the attempt before failed at.
    pub missed: Option<(Way, Miss)>,
}

/// One machine being brought to a loader.
#[derive(Clone, Debug)]
struct Trial {
    asker: Asker,
    /// The ways that it can be told, the first one first; never empty.
    ways: Vec<Way>,
    way: Way,
    /// The ways that have failed in this round.
    failed: Vec<Way>,
    /// When it was first told this.
    told: u64,
    /// Whether it asked for what was offered.
    taken: bool,
    /// Whether a loader was fetched whole.
    fetched: bool,
    /// Whether an iPXE was heard of after it.
    spoke: bool,
    /// Whether an iPXE was heard of in this attempt or in one before: what nobody signed is let start.
    ran: bool,
    /// Whether it is sent shim only because a loader was silent, with the other iPXE untried.
    guessed: bool,
    /// Whether a script was asked for.
    worked: bool,
    /// Whether it has failed once where it is known to have worked.
    forgiven: bool,
    /// What the attempt before failed at, until it is told.
    missed: Option<Missed>,
}

impl Trial {
    fn begin(asker: Asker, ways: &[Way], way: Way, now: u64) -> Self {
        Self {
            asker,
            ways: ways.to_vec(),
            way,
            failed: Vec::new(),
            told: now,
            taken: false,
            fetched: false,
            spoke: false,
            ran: false,
            guessed: false,
            worked: false,
            forgiven: false,
            missed: None,
        }
    }

    /// What the attempt failed at, if it is over at `now` with a DISCOVER of `arch`.
    fn missed(&self, now: u64, arch: ClientArch) -> Option<Miss> {
        let idle = now.saturating_sub(self.told);
        match self {
            // HTTP Boot is told nothing then (see `loader::Chain::Grub`), so that PXE comes next. Where there is no
            // PXE it comes again.
            _ if self.way == Way::Shim && self.asker.arch.is_http() => {
                (arch == self.asker.arch && idle >= LOOP_PAUSE).then_some(Miss::NotTaken)
            }
            Self { worked: true, .. } => None,
            Self { spoke: true, .. } => Some(Miss::Stuck),
            Self { fetched: true, .. } => Some(Miss::Refused),
            Self { taken: true, .. } if idle >= AFTER_ACK => Some(Miss::NotTaken),
            _ if idle >= AFTER_OFFER => Some(Miss::NotTaken),
            _ => None,
        }
    }

    /// The way after this one; `None`: all have failed in this round. `secure_boot` is what the machine has told of it.
    fn after(&self, miss: Miss, secure_boot: Option<bool>) -> Option<Way> {
        let is_left = |way: &Way| *way != self.way && !self.failed.contains(way);
        let is_off = self.ran || secure_boot == Some(false);
        let first: &[Way] = match miss {
            Miss::NotTaken => &[],
            Miss::Refused if !is_off => &[Way::Shim, Way::OtherIpxe],
            Miss::Refused if !self.ways.contains(&Way::OtherIpxe) => &[],
            Miss::Refused | Miss::Stuck => &[Way::OtherIpxe, Way::Shim],
        };
        let first = first.iter().filter(|way| self.ways.contains(way));
        first.chain(&self.ways).copied().find(is_left)
    }
}

/// All machines that are being brought to a loader, and what is known of others. Times are milliseconds of Unix time.
#[derive(Clone, Debug, Default)]
pub struct Ladder {
    trials: HashMap<MacAddr, Trial>,
    memory: Memory,
}

impl Ladder {
    /// With what was remembered.
    pub fn new(memory: Memory) -> Self {
        Self {
            trials: HashMap::new(),
            memory,
        }
    }

    /// What is remembered.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// A firmware looks for servers. `ways` are those that it can be told, the first one first.
    pub fn discovered(&mut self, now: u64, asker: Asker, ways: &[Way]) -> Answer {
        let known = self.memory.way(&asker).filter(|way| ways.contains(way));
        let secure_boot = self.memory.secure_boot(&asker);
        let hint = match (secure_boot, self.memory.hint(&asker)) {
            (Some(true), _) => Some(Way::Shim),
            (Some(false), Some(Way::Shim)) => None,
            (_, hint) => hint,
        };
        let begin = known
            .or_else(|| hint.filter(|way| ways.contains(way)))
            .or_else(|| ways.first().copied());
        let Some(begin) = begin else {
            return Answer {
                way: None,
                missed: None,
            };
        };
        let fresh = Trial::begin(asker, ways, begin, now);
        let trial = match self.trials.get_mut(&asker.mac) {
            Some(trial) if !trial.worked => trial,
            _ => {
                self.put(fresh);
                return Answer {
                    way: Some(begin),
                    missed: None,
                };
            }
        };
        let was = trial.way;
        let Some(miss) = trial.missed(now, asker.arch) else {
            if trial.asker != asker || trial.ways != ways {
                // Its other firmware, as HTTP Boot after PXE, or another configuration.
                let way = Some(was).filter(|way| ways.contains(way)).unwrap_or(begin);
                *trial = Trial { way, ..fresh };
            }
            return Answer {
                way: Some(trial.way),
                missed: None,
            };
        };
        let answer = |way| Answer {
            way,
            missed: Some((was, miss)),
        };
        let missed = |next| {
            Some(Missed {
                way: was,
                miss,
                next,
            })
        };
        if known == Some(was) && !trial.forgiven {
            *trial = Trial {
                way: was,
                forgiven: true,
                ran: trial.ran,
                missed: missed(Some(was)),
                ..fresh
            };
            return answer(Some(was));
        }
        trial.ways = ways.to_vec();
        let next = trial.after(miss, secure_boot);
        let ran = trial.ran;
        let other_failed = was == Way::OtherIpxe || trial.failed.contains(&Way::OtherIpxe);
        let is_unknown = !ran && secure_boot.is_none();
        let guessed = miss == Miss::Refused && is_unknown && !other_failed;
        let went_in_circles = asker.is_ipxe && trial.fetched && next.is_none();
        if went_in_circles && now.saturating_sub(trial.told) < LOOP_PAUSE {
            trial.missed = missed(None);
            return answer(None);
        }
        let mut failed = std::mem::take(&mut trial.failed);
        let next = match next {
            Some(next) => {
                failed.push(was);
                next
            }
            None => {
                failed.clear();
                ways.iter().copied().find(|way| *way != was).unwrap_or(was)
            }
        };
        *trial = Trial {
            way: next,
            failed,
            ran,
            guessed: guessed && next == Way::Shim,
            forgiven: true,
            missed: missed(Some(next)),
            ..fresh
        };
        answer(Some(next))
    }

    fn put(&mut self, trial: Trial) {
        let mac = trial.asker.mac;
        if self.trials.len() >= MAX_TRIALS && !self.trials.contains_key(&mac) {
            let oldest = self.trials.iter().min_by_key(|(_, trial)| trial.told);
            if let Some((&oldest, _)) = oldest {
                self.trials.remove(&oldest);
            }
        }
        self.trials.insert(mac, trial);
    }

    /// It asks for what it was offered, or on port 4011: the way that it was told.
    pub fn taken(&mut self, now: u64, asker: Asker, ways: &[Way]) -> Option<Way> {
        if !self.trials.contains_key(&asker.mac) {
            // Its DISCOVER was before our time.
            self.discovered(now, asker, ways);
        }
        let trial = self.trials.get_mut(&asker.mac)?;
        trial.taken = true;
        Some(trial.way)
    }

    /// A loader was fetched whole.
    pub fn fetched(&mut self, client: MacAddr) {
        if let Some(trial) = self.trials.get_mut(&client) {
            trial.fetched = true;
        }
    }

    /// An iPXE that can fetch our script was heard of, or a GRUB was fetched, which shim does.
    pub fn spoke(&mut self, client: MacAddr) {
        if let Some(trial) = self.trials.get_mut(&client) {
            trial.spoke = true;
            trial.ran |= trial.way != Way::Shim;
        }
    }

    /// A machine that has booted tells whether Secure Boot is on there. Gives whether that is news, to be written down.
    pub fn secure_boot(&mut self, client: MacAddr, is_on: bool) -> bool {
        let trial = self.trials.get_mut(&client);
        let asker = trial.as_ref().map(|trial| trial.asker);
        let Some(asker) = asker.or_else(|| self.memory.asker_of(client)) else {
            return false;
        };
        let guessed = trial.is_some_and(|trial| trial.worked && std::mem::take(&mut trial.guessed));
        let was_wrong = guessed && !is_on;
        if was_wrong {
            self.memory.forget(&asker, Way::Shim);
        }
        self.memory.learn_secure_boot(&asker, is_on) || was_wrong
    }

    /// The way that the client is told.
    pub fn way(&self, client: MacAddr) -> Option<Way> {
        self.trials.get(&client).map(|trial| trial.way)
    }

    /// A loader asked for what to boot. Gives the way when that is news, to be written down.
    pub fn worked(&mut self, now: u64, client: MacAddr) -> Option<Way> {
        let trial = self.trials.get_mut(&client)?;
        let is_first = !trial.worked;
        trial.worked = true;
        let (asker, way) = (trial.asker, trial.way);
        (is_first && self.memory.learn(now, &asker, way)).then_some(way)
    }

    /// What the client's attempt fails at if nothing more is heard of it, and how it is told then.
    pub fn standing(&self, client: MacAddr) -> Option<Missed> {
        let trial = self.trials.get(&client).filter(|trial| !trial.worked)?;
        let miss = trial.missed(u64::MAX, trial.asker.arch)?;
        let known = self.memory.way(&trial.asker) == Some(trial.way);
        let next = match known && !trial.forgiven {
            true => Some(trial.way),
            false => trial.after(miss, self.memory.secure_boot(&trial.asker)),
        };
        Some(Missed {
            way: trial.way,
            miss,
            next,
        })
    }

    /// What the attempt before failed at, once.
    pub fn take_missed(&mut self, client: MacAddr) -> Option<Missed> {
        self.trials.get_mut(&client)?.missed.take()
    }
}

#[cfg(test)]
mod tests;
