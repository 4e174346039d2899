//! What worked, of which machine and which model.

use std::collections::BTreeMap;

use model::{ClientArch, MacAddr, Way};
use serde::{Deserialize, Serialize};

use super::Asker;

/// Machines and models remembered, each; beyond that the one learned of longest ago is forgotten.
const MAX: usize = 4096;

/// What a machine is known by: its mainboard, and its card where that has no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Identity {
    Board([u8; 16]),
    Card(MacAddr),
}

impl Identity {
    fn of(mac: MacAddr, uuid: Option<[u8; 16]>) -> Self {
        uuid.map_or(Self::Card(mac), Self::Board)
    }
}

/// A machine whose way is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownMachine {
    /// The card that it booted by.
    pub client: MacAddr,
    /// Its mainboard's UUID in hexadecimal, if it has one.
    pub uuid: Option<String>,
    /// Its architecture (option 93).
    pub arch: u16,
    /// The way's name; `None`: what seemed to work was a guess that has turned out to be wrong.
    pub way: Option<String>,
    /// When it first worked, in milliseconds of Unix time.
    pub since: u64,
    /// Whether Secure Boot was on when it last booted, as its `init` read it from the firmware.
    #[serde(default)]
    pub secure_boot: Option<bool>,
}

/// A model's hint: what worked last for a card of this maker and this architecture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownModel {
    /// The first three bytes of the card's address.
    pub maker: [u8; 3],
    /// Its architecture (option 93).
    pub arch: u16,
    /// The way's name.
    pub way: String,
    /// When it first worked, in milliseconds of Unix time.
    pub since: u64,
}

/// What is remembered of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Machine {
    way: Option<Way>,
    since: u64,
    client: MacAddr,
    secure_boot: Option<bool>,
}

/// All that is remembered, at most so much.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    machines: BTreeMap<(Identity, u16), Machine>,
    models: BTreeMap<([u8; 3], u16), (Way, u64)>,
}

impl Memory {
    /// From what [`Memory::machines`] and [`Memory::models`] said. A way that is not known is left out.
    pub fn new(machines: Vec<KnownMachine>, models: Vec<KnownModel>) -> Self {
        let mut memory = Self::default();
        for known in machines.into_iter().take(MAX) {
            let uuid = known
                .uuid
                .as_deref()
                .and_then(|text| u128::from_str_radix(text, 16).ok());
            let identity = Identity::of(known.client, uuid.map(u128::to_be_bytes));
            let machine = Machine {
                way: known.way.as_deref().and_then(Way::from_name),
                since: known.since,
                client: known.client,
                secure_boot: known.secure_boot,
            };
            memory.machines.insert((identity, known.arch), machine);
        }
        for known in models.into_iter().take(MAX) {
            if let Some(way) = Way::from_name(&known.way) {
                let value = (way, known.since);
                memory.models.insert((known.maker, known.arch), value);
            }
        }
        memory
    }

    /// Every machine.
    pub fn machines(&self) -> Vec<KnownMachine> {
        let all = self.machines.iter();
        all.map(|((identity, arch), machine)| KnownMachine {
            client: machine.client,
            uuid: match identity {
                Identity::Board(uuid) => Some(format!("{:032x}", u128::from_be_bytes(*uuid))),
                Identity::Card(_) => None,
            },
            arch: *arch,
            way: machine.way.map(|way| way.as_str().to_owned()),
            since: machine.since,
            secure_boot: machine.secure_boot,
        })
        .collect()
    }

    /// Every model.
    pub fn models(&self) -> Vec<KnownModel> {
        let all = self.models.iter();
        all.map(|((maker, arch), (way, since))| KnownModel {
            maker: *maker,
            arch: *arch,
            way: way.as_str().to_owned(),
            since: *since,
        })
        .collect()
    }

    /// What worked for this machine.
    pub(super) fn way(&self, asker: &Asker) -> Option<Way> {
        let identity = Identity::of(asker.mac, asker.uuid);
        self.machines.get(&(identity, asker.arch.code()))?.way
    }

    /// Whether Secure Boot is on there, as far as the machine has said, by whichever of its firmware's ways it booted.
    pub(super) fn secure_boot(&self, asker: &Asker) -> Option<bool> {
        let identity = Identity::of(asker.mac, asker.uuid);
        let mut entries = self.machines.range((identity, 0)..=(identity, u16::MAX));
        entries.find_map(|(_, machine)| machine.secure_boot)
    }

    /// The machine that booted by this card, where nobody is left who asked: the daemon began in the middle of its boot.
    pub(super) fn asker_of(&self, client: MacAddr) -> Option<Asker> {
        let mut entries = self.machines.iter();
        let ((identity, arch), _) = entries.find(|(_, machine)| machine.client == client)?;
        Some(Asker {
            mac: client,
            uuid: match identity {
                Identity::Board(uuid) => Some(*uuid),
                Identity::Card(_) => None,
            },
            arch: ClientArch::from_code(*arch),
            is_ipxe: false,
        })
    }

    /// What worked last for a machine like this one.
    pub(super) fn hint(&self, asker: &Asker) -> Option<Way> {
        let known = self.models.get(&(maker(asker.mac), asker.arch.code()));
        known.map(|(way, _)| *way)
    }

    /// This worked; `false` if nothing changed by it.
    pub(super) fn learn(&mut self, now: u64, asker: &Asker, way: Way) -> bool {
        let (mac, arch) = (asker.mac, asker.arch.code());
        let machine = (Identity::of(mac, asker.uuid), arch);
        let model = (maker(mac), arch);
        let mut news = false;
        let known = self.machines.get(&machine);
        if known.and_then(|known| known.way) != Some(way) {
            news = true;
            let value = Machine {
                way: Some(way),
                since: now,
                client: mac,
                secure_boot: self.secure_boot(asker),
            };
            make_room(&mut self.machines, &machine, |machine| machine.since);
            self.machines.insert(machine, value);
        }
        if self.models.get(&model).map(|(way, _)| *way) != Some(way) {
            news = true;
            make_room(&mut self.models, &model, |(_, since)| *since);
            self.models.insert(model, (way, now));
        }
        news
    }

    /// The machine says whether Secure Boot is on; `false` if nothing changed by it.
    pub(super) fn learn_secure_boot(&mut self, asker: &Asker, is_on: bool) -> bool {
        let identity = Identity::of(asker.mac, asker.uuid);
        let all = (identity, 0)..=(identity, u16::MAX);
        let mut news = false;
        for (_, machine) in self.machines.range_mut(all) {
            news |= machine.secure_boot.replace(is_on) != Some(is_on);
        }
        news
    }

    /// This way did not have to be.
    pub(super) fn forget(&mut self, asker: &Asker, way: Way) {
        let (mac, arch) = (asker.mac, asker.arch.code());
        if let Some(machine) = self
            .machines
            .get_mut(&(Identity::of(mac, asker.uuid), arch))
        {
            machine.way = machine.way.filter(|known| *known != way);
        }
        let model = (maker(mac), arch);
        if self.models.get(&model).map(|(way, _)| *way) == Some(way) {
            self.models.remove(&model);
        }
    }
}

fn maker(mac: MacAddr) -> [u8; 3] {
    let [a, b, c, ..] = mac.0;
    [a, b, c]
}

/// Forgets the oldest one if there is no room for `key`.
fn make_room<K: Ord + Copy, V>(map: &mut BTreeMap<K, V>, key: &K, since: impl Fn(&V) -> u64) {
    if map.len() >= MAX && !map.contains_key(key) {
        let oldest = map.iter().min_by_key(|(_, value)| since(value));
        if let Some(oldest) = oldest.map(|(key, _)| *key) {
            map.remove(&oldest);
        }
    }
}
