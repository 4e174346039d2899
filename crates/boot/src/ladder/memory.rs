//! What worked, of which machine and which model.

use std::collections::BTreeMap;

use model::{MacAddr, Way};
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
    /// The way's name.
    pub way: String,
    /// When it first worked, in milliseconds of Unix time.
    pub since: u64,
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

/// All that is remembered, at most so much.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    machines: BTreeMap<(Identity, u16), (Way, u64, MacAddr)>,
    models: BTreeMap<([u8; 3], u16), (Way, u64)>,
}

impl Memory {
    /// From what [`Memory::machines`] and [`Memory::models`] said. What has no known way is left out.
    pub fn new(machines: Vec<KnownMachine>, models: Vec<KnownModel>) -> Self {
        let mut memory = Self::default();
        for known in machines.into_iter().take(MAX) {
            let uuid = known
                .uuid
                .as_deref()
                .and_then(|text| u128::from_str_radix(text, 16).ok());
            let identity = Identity::of(known.client, uuid.map(u128::to_be_bytes));
            if let Some(way) = Way::from_name(&known.way) {
                let value = (way, known.since, known.client);
                memory.machines.insert((identity, known.arch), value);
            }
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
        all.map(|((identity, arch), (way, since, client))| KnownMachine {
            client: *client,
            uuid: match identity {
                Identity::Board(uuid) => Some(format!("{:032x}", u128::from_be_bytes(*uuid))),
                Identity::Card(_) => None,
            },
            arch: *arch,
            way: way.as_str().to_owned(),
            since: *since,
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
        let known = self.machines.get(&(identity, asker.arch.code()));
        known.map(|(way, ..)| *way)
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
        if self.machines.get(&machine).map(|(way, ..)| *way) != Some(way) {
            news = true;
            make_room(&mut self.machines, &machine, |(_, since, _)| *since);
            self.machines.insert(machine, (way, now, mac));
        }
        if self.models.get(&model).map(|(way, _)| *way) != Some(way) {
            news = true;
            make_room(&mut self.models, &model, |(_, since)| *since);
            self.models.insert(model, (way, now));
        }
        news
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
