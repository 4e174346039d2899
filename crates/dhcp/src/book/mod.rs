//! The lease book: who has which address, and what follows from it.
//!
//! Who may have which is decided in [`allocation`], who is called what in [`names`].

mod allocation;
mod holders;
mod index;
mod names;
mod reservations;

use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;

use index::Index;
use indexmap::IndexMap;
use model::{KnownBy, MacAddr};

use crate::client_id::ClientKey;
use crate::lease::{BindingState, Lease, LeaseChange};
use crate::link::{Config, Reservation};
use crate::offers::Offers;
use crate::pool::Pool;
use crate::recognition::Recognition;

/// Everything known about addresses. Each question a packet asks costs the same however many leases
/// there are: hash look-ups, a few steps in the pool's free set, a logarithm in its queue of expired
/// leases. [`LeaseBook::steps`] counts them.
///
/// What lets an address be handed out is kept in its pool and follows from the book by one rule,
/// [`LeaseBook::refresh`]:
///
/// | lease | offered, reserved or had by somebody | the pool says |
/// |---|---|---|
/// | none | no | free |
/// | any | no | can be had back once the lease is over and the client was not heard of since |
/// | any or none | yes | neither |
#[derive(Debug)]
pub(crate) struct LeaseBook {
    pools: Vec<Pool>,
    reservations: HashMap<KnownBy, Reservation>,
    reserved_addresses: HashMap<Ipv4Addr, KnownBy>,
    reserved_names: HashSet<String>,
    pub(crate) recognition: Recognition,
    /// Ours, the routers', the DNS servers'.
    taken_by_hosts: HashSet<Ipv4Addr>,
    entries: IndexMap<Ipv4Addr, Entry>,
    /// Who has an address without a lease.
    holders: HashMap<Ipv4Addr, MacAddr>,
    by_mac: Index,
    /// One address for each name: the last that took it.
    by_name: Index,
    pub(crate) offers: Offers,
    /// Inner-loop turns since the start: the cost of packets without a clock.
    pub(crate) steps: u64,
}

#[derive(Clone, Debug)]
struct Entry {
    lease: Lease,
    /// The client was heard of otherwise and keeps its address until then (seconds since 1970).
    alive_until: u64,
    /// The time under which the pool has it as reclaimable.
    queued: Option<u64>,
}

impl Entry {
    fn reclaimable_at(&self) -> u64 {
        self.lease.expires_unix.max(self.alive_until)
    }

    fn is_over(&self, unix: u64) -> bool {
        unix >= self.reclaimable_at()
    }

    fn key(&self) -> ClientKey {
        ClientKey {
            mac: self.lease.mac,
            client_id: self.lease.client_id.clone(),
        }
    }
}

/// A subnet's place in the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PoolId(usize);

impl LeaseBook {
    /// A book over `config` with the given leases in it. One lease per address: the last counts.
    pub(crate) fn new(config: &Config, leases: impl IntoIterator<Item = Lease>) -> Self {
        let mut subnets = config.subnets.clone();
        subnets.sort_by_key(|subnet| std::cmp::Reverse(subnet.prefix_len));
        let of_subnets = subnets
            .iter()
            .flat_map(|subnet| subnet.router.iter().chain(&subnet.dns));
        let ours = config.links.iter().map(|link| link.address);
        let mut book = Self {
            taken_by_hosts: of_subnets.copied().chain(ours).collect(),
            pools: subnets.into_iter().map(Pool::new).collect(),
            reservations: HashMap::new(),
            reserved_addresses: HashMap::new(),
            reserved_names: HashSet::new(),
            recognition: Recognition::default(),
            entries: IndexMap::new(),
            holders: HashMap::new(),
            by_mac: Index::default(),
            by_name: Index::default(),
            offers: Offers::default(),
            steps: 0,
        };
        for reservation in &config.reservations {
            book.reservations
                .insert(reservation.client.clone(), reservation.clone());
        }
        for reservation in &config.reservations {
            if book.reservations.get(&reservation.client) != Some(reservation) {
                continue;
            }
            if let Some(address) = reservation.address {
                let client = reservation.client.clone();
                book.reserved_addresses.insert(address, client);
            }
            if let Some(name) = &reservation.hostname {
                book.reserved_names.insert(name.to_ascii_lowercase());
            }
        }
        for index in 0..book.pools.len() {
            let addresses: Vec<_> = book.pools[index].addresses().collect();
            for address in addresses {
                let is_free =
                    book.subnet_of(address) == Some(PoolId(index)) && !book.is_set_aside(address);
                book.pools[index].set_free(address, is_free);
            }
        }
        for lease in leases {
            book.apply(LeaseChange::Put(lease));
        }
        book
    }

    /// The leases and how long their clients are known to live, to build the next book from.
    pub(crate) fn into_leases(self) -> impl Iterator<Item = (Lease, u64)> {
        let entries = self.entries.into_values();
        entries.map(|entry| (entry.lease, entry.alive_until))
    }

    /// The subnet that holds an address: the longest prefix that does.
    pub(crate) fn subnet_of(&self, address: Ipv4Addr) -> Option<PoolId> {
        let holds = |pool: &Pool| pool.subnet.contains(address);
        self.pools.iter().position(holds).map(PoolId)
    }

    pub(crate) fn subnet(&self, id: PoolId) -> &crate::link::Subnet {
        // A PoolId only comes from `subnet_of` of this book and never outlives a packet.
        &self.pools[id.0].subnet
    }

    pub(crate) fn lease(&self, address: Ipv4Addr) -> Option<&Lease> {
        self.entries.get(&address).map(|entry| &entry.lease)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn leases(&self) -> impl Iterator<Item = &Lease> {
        self.entries.values().map(|entry| &entry.lease)
    }

    pub(crate) fn leases_of(&self, mac: MacAddr) -> impl Iterator<Item = &Lease> {
        self.entries_of_mac(mac).map(|entry| &entry.lease)
    }

    fn entries_of_mac(&self, mac: MacAddr) -> impl Iterator<Item = &Entry> {
        let addresses = self.by_mac.candidates(&mac);
        let entries = addresses.filter_map(|address| self.entries.get(&address));
        entries.filter(move |entry| entry.lease.mac == mac)
    }

    /// Who has a name, or had it last.
    fn holder_of(&self, name: &str) -> Option<&Lease> {
        let mut leases = self
            .by_name
            .candidates(name)
            .filter_map(|at| self.lease(at));
        leases.find(|lease| lease.hostname.as_deref() == Some(name))
    }

    /// Whether the client has a reservation or any lease: the flood's limits are not for it.
    pub(crate) fn is_known(&self, mac: MacAddr) -> bool {
        self.entries_of_mac(mac).next().is_some()
            || self.recognition.of(mac).is_some()
            || self.reservations.contains_key(&KnownBy::Mac(mac))
    }

    /// Puts a change into effect, and ends the offer of the address.
    pub(crate) fn apply(&mut self, change: LeaseChange) {
        let address = change.address();
        self.drop_offer(address);
        let old = self.entries.swap_remove(&address);
        if let Some(old) = &old {
            self.unlink(old);
        }
        if let LeaseChange::Put(lease) = change {
            self.holders.remove(&address);
            let same_client = old.filter(|old| old.lease.mac == lease.mac);
            let before = lease.hostname.as_deref();
            let before = before.and_then(|name| Some((name, self.holder_of(name)?.address)));
            if let Some((name, before)) = before {
                self.by_name.remove(name, before);
            }
            if let Some(PoolId(index)) = self.subnet_of(address) {
                let is_declined = lease.state == BindingState::Declined;
                self.pools[index].declined += usize::from(is_declined);
            }
            let alive_until = same_client.map_or(0, |old| old.alive_until);
            let entry = Entry {
                lease,
                alive_until,
                queued: None,
            };
            self.entries.insert(address, entry);
            self.link(address);
        }
        self.refresh(address);
    }

    /// Keeps an address for its client until `until` although the lease may end before.
    pub(crate) fn keep_until(&mut self, address: Ipv4Addr, until: u64) {
        if let Some(entry) = self.entries.get_mut(&address) {
            entry.alive_until = entry.alive_until.max(until);
            self.refresh(address);
        }
    }

    /// Takes back what a client was offered.
    pub(crate) fn withdraw_offer(&mut self, key: &ClientKey) {
        if let Some(address) = self.offers.of(key) {
            self.drop_offer(address);
        }
    }

    fn entries_of(&self, id: PoolId, mac: MacAddr) -> impl Iterator<Item = &Entry> {
        let is_here = move |entry: &&Entry| self.subnet_of(entry.lease.address) == Some(id);
        self.entries_of_mac(mac).filter(is_here)
    }

    fn is_set_aside(&self, address: Ipv4Addr) -> bool {
        self.reserved_addresses.contains_key(&address) || self.taken_by_hosts.contains(&address)
    }

    fn drop_offer(&mut self, address: Ipv4Addr) {
        self.offers.remove(address);
        self.refresh(address);
    }

    /// Puts what is in `entries` into the indexes.
    fn link(&mut self, address: Ipv4Addr) {
        let lease = |address: Ipv4Addr| &self.entries[&address].lease;
        self.by_mac.insert(address, |address| &lease(address).mac);
        if lease(address).hostname.is_some() {
            let name = |address| lease(address).hostname.as_deref().unwrap_or_default();
            self.by_name.insert(address, name);
        }
    }

    /// Takes an entry that has left `entries` out of the indexes and out of its pool's queue.
    fn unlink(&mut self, old: &Entry) {
        let address = old.lease.address;
        self.by_mac.remove(&old.lease.mac, address);
        if let Some(name) = old.lease.hostname.as_deref() {
            self.by_name.remove(name, address);
        }
        if let Some(PoolId(index)) = self.subnet_of(address) {
            let pool = &mut self.pools[index];
            pool.set_reclaimable(address, old.queued, None);
            let was_declined = old.lease.state == BindingState::Declined;
            pool.declined -= usize::from(was_declined);
        }
    }

    /// Tells the pool what the book knows about an address: the table above.
    fn refresh(&mut self, address: Ipv4Addr) {
        let Some(PoolId(index)) = self.subnet_of(address) else {
            return;
        };
        let is_withheld = self.is_set_aside(address)
            || self.holders.contains_key(&address)
            || self.offers.holder(address).is_some();
        let pool = &mut self.pools[index];
        match self.entries.get_mut(&address) {
            None => pool.set_free(address, !is_withheld),
            Some(entry) => {
                let due = (!is_withheld).then(|| entry.reclaimable_at());
                pool.set_free(address, false);
                pool.set_reclaimable(address, entry.queued, due);
                entry.queued = due;
            }
        }
    }
}
