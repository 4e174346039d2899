//! The lease book: who has which address, who may have it, and what is left.

use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;

use model::MacAddr;

use crate::client_id::ClientKey;
use crate::lease::{BindingState, Lease, LeaseChange};
use crate::link::{Config, Reservation};
use crate::offers::Offers;
use crate::pool::Pool;

/// Leases that one hardware address can hold in one subnet; more identifiers behind it take the
/// place of the oldest.
const MAX_LEASES_PER_MAC: usize = 8;

/// Everything known about addresses. Each question a packet asks costs the same however many leases
/// there are: hash look-ups, a few steps in the pool's free set, a logarithm in its queue of expired
/// leases. [`LeaseBook::steps`] counts them.
///
/// What lets an address be handed out is kept in its pool and follows from the book by one rule,
/// [`LeaseBook::refresh`]:
///
/// | lease | offered or reserved | the pool says |
/// |---|---|---|
/// | none | no | free |
/// | any | no | can be had back once the lease is over and the client was not heard of since |
/// | any or none | yes | neither |
#[derive(Debug)]
pub(crate) struct LeaseBook {
    pools: Vec<Pool>,
    reservations: HashMap<MacAddr, Reservation>,
    reserved_addresses: HashMap<Ipv4Addr, MacAddr>,
    reserved_names: HashMap<String, MacAddr>,
    /// Ours, the routers', the DNS servers'.
    taken_by_hosts: HashSet<Ipv4Addr>,
    entries: HashMap<Ipv4Addr, Entry>,
    by_mac: HashMap<MacAddr, Vec<Ipv4Addr>>,
    by_name: HashMap<String, Ipv4Addr>,
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
            reserved_names: HashMap::new(),
            entries: HashMap::new(),
            by_mac: HashMap::new(),
            by_name: HashMap::new(),
            offers: Offers::default(),
            steps: 0,
        };
        for reservation in &config.reservations {
            book.reservations
                .insert(reservation.mac, reservation.clone());
        }
        for reservation in &config.reservations {
            if book.reservations.get(&reservation.mac) != Some(reservation) {
                continue;
            }
            if let Some(address) = reservation.address {
                book.reserved_addresses.insert(address, reservation.mac);
            }
            if let Some(name) = &reservation.hostname {
                let name = name.to_ascii_lowercase();
                book.reserved_names.insert(name, reservation.mac);
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
    pub(crate) fn into_leases(self) -> Vec<(Lease, u64)> {
        let entries = self.entries.into_values();
        entries
            .map(|entry| (entry.lease, entry.alive_until))
            .collect()
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
        let addresses = self.by_mac.get(&mac).map(Vec::as_slice).unwrap_or_default();
        addresses.iter().filter_map(|address| self.lease(*address))
    }

    /// The name that the operator gave a client.
    pub(crate) fn reserved_name(&self, mac: MacAddr) -> Option<&str> {
        self.reservations.get(&mac)?.hostname.as_deref()
    }

    /// Whether the client has a reservation or any lease: the flood's limits are not for it.
    pub(crate) fn is_known(&self, mac: MacAddr) -> bool {
        self.reservations.contains_key(&mac) || self.by_mac.contains_key(&mac)
    }

    /// Finds an address for a client that has none yet and offers it. The order: its reservation,
    /// its old address, what it was offered before, what it asks for, a free one by the hash of its
    /// hardware address, the one whose lease has been over for the longest, and at last the oldest
    /// offer of all, so that offers alone can never exhaust a pool.
    pub(crate) fn offer(
        &mut self,
        unix: u64,
        pool: PoolId,
        key: &ClientKey,
        requested: Option<Ipv4Addr>,
    ) -> Option<Ipv4Addr> {
        self.forget_old_offers(unix);
        let unasked = |address: &Ipv4Addr| {
            let holder = self.offers.holder(*address);
            holder.is_none_or(|holder| holder == key)
        };
        let own = [
            self.reserved_address(pool, key.mac),
            self.lease_of(unix, pool, key),
            self.offers.of(key),
            requested.filter(unasked),
        ];
        let mut own = own.into_iter().flatten();
        let address = own.find(|address| self.is_open(unix, pool, key, *address));
        let address = address.or_else(|| self.unused(unix, pool, key))?;
        self.withdraw_offer(key);
        self.drop_offer(address);
        let lease = self.entries.get(&address);
        let is_spare = !self.is_set_aside(address) && lease.is_none_or(|entry| entry.is_over(unix));
        self.offers.insert(unix, pool.0, address, key, is_spare);
        self.refresh(address);
        Some(address)
    }

    fn unused(&mut self, unix: u64, id: PoolId, key: &ClientKey) -> Option<Ipv4Addr> {
        let pool = &self.pools[id.0];
        self.steps += 1;
        let found = pool.free_for(key.mac, &mut self.steps);
        let found = found.or_else(|| pool.oldest_expired(unix));
        let oldest_offer = || self.offers.oldest_spare(id.0);
        let address = found.or_else(oldest_offer)?;
        self.is_open(unix, id, key, address).then_some(address)
    }

    /// Whether a client in SELECTING may have the address it names. Offers of others do not count:
    /// the first to ask has it.
    pub(crate) fn may_select(
        &self,
        unix: u64,
        pool: PoolId,
        key: &ClientKey,
        address: Ipv4Addr,
    ) -> bool {
        self.is_open(unix, pool, key, address) && !self.should_move(unix, pool, key, address)
    }

    /// Whether a client that believes it has an address (INIT-REBOOT, RENEWING, REBINDING) is right,
    /// or may be made right: an unknown client keeps an address that is free, since an authoritative
    /// server that lost its leases rebuilds them so.
    pub(crate) fn may_keep(
        &self,
        unix: u64,
        pool: PoolId,
        key: &ClientKey,
        address: Ipv4Addr,
    ) -> bool {
        if !self.may_select(unix, pool, key, address) {
            return false;
        }
        let entry = self.entries.get(&address);
        if entry.is_some_and(|entry| entry.key().is_same_machine(key)) {
            return true;
        }
        let elsewhere = self.lease_of(unix, pool, key);
        let has_other = elsewhere.and_then(|other| self.lease(other));
        let offered_to_other = self
            .offers
            .holder(address)
            .is_some_and(|holder| holder != key);
        !has_other.is_some_and(|lease| lease.is_active(unix)) && !offered_to_other
    }

    /// What to write down so that the client has the address for `seconds`: the lease, and the end
    /// of those that it replaces.
    pub(crate) fn binding(
        &self,
        unix: u64,
        pool: PoolId,
        key: &ClientKey,
        address: Ipv4Addr,
        seconds: u32,
        hostname: Option<&str>,
    ) -> Vec<LeaseChange> {
        let mut others: Vec<&Entry> = self
            .entries_of(pool, key.mac)
            .filter(|entry| entry.lease.address != address)
            .filter(|entry| entry.lease.state != BindingState::Declined)
            .filter(|entry| unix >= entry.alive_until)
            .collect();
        others.sort_by_key(|entry| std::cmp::Reverse(entry.lease.expires_unix));
        let is_replaced = |index: usize, entry: &Entry| {
            entry.lease.client_id.is_none()
                || entry.lease.client_id == key.client_id
                || index + 1 >= MAX_LEASES_PER_MAC
        };
        let ended = others.iter().enumerate();
        let ended = ended.filter(|(index, entry)| is_replaced(*index, entry));
        let mut changes: Vec<_> = ended
            .map(|(_, entry)| LeaseChange::Remove(entry.lease.address))
            .collect();
        let before = self.lease(address).filter(|lease| lease.mac == key.mac);
        let before = before.or_else(|| self.lease(self.lease_of(unix, pool, key)?));
        let name = hostname.or_else(|| before?.hostname.as_deref());
        changes.push(LeaseChange::Put(Lease {
            address,
            mac: key.mac,
            client_id: key.client_id.clone(),
            hostname: self.grantable_name(unix, key.mac, name),
            expires_unix: unix.saturating_add(u64::from(seconds)),
            state: BindingState::Bound,
        }));
        changes
    }

    /// Puts a change into effect, and ends the offer of the address.
    pub(crate) fn apply(&mut self, change: LeaseChange) {
        let address = change.address();
        self.drop_offer(address);
        let old = self.entries.remove(&address);
        if let Some(old) = &old {
            self.unlink(old);
        }
        if let LeaseChange::Put(lease) = change {
            let same_client = old.filter(|old| old.lease.mac == lease.mac);
            self.by_mac.entry(lease.mac).or_default().push(address);
            if let Some(name) = &lease.hostname {
                self.by_name.insert(name.clone(), address);
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

    /// Whether another address of the subnet may be put aside as declined: a quarter of the pool at
    /// most, so that declining is no way to empty it.
    pub(crate) fn may_quarantine(&self, pool: PoolId) -> bool {
        let pool = &self.pools[pool.0];
        pool.declined < (pool.len() / 4).max(1)
    }

    /// Names and addresses of the leases that are active at `unix`: the operator's name first, else
    /// the client's own unless the operator gave it to somebody else.
    pub(crate) fn names(&self, unix: u64) -> impl Iterator<Item = (&str, Ipv4Addr)> {
        self.leases()
            .filter(move |lease| lease.is_active(unix))
            .filter_map(|lease| {
                if let Some(reserved) = self.reserved_name(lease.mac) {
                    return Some((reserved, lease.address));
                }
                let name = lease.hostname.as_deref()?;
                let is_first = self.by_name.get(name) == Some(&lease.address);
                (is_first && !self.reserved_names.contains_key(name))
                    .then_some((name, lease.address))
            })
    }

    /// Whether nobody else has a claim on the address: of this subnet, in its pool or reserved for
    /// the client, and without a lease that is still good for somebody else.
    fn is_open(&self, unix: u64, id: PoolId, key: &ClientKey, address: Ipv4Addr) -> bool {
        let reserved_for = self.reserved_addresses.get(&address);
        let is_reserved = reserved_for == Some(&key.mac);
        if self.subnet_of(address) != Some(id)
            || self.taken_by_hosts.contains(&address)
            || !self.pools[id.0].subnet.is_host(address)
            || reserved_for.is_some() && !is_reserved
            || !is_reserved && !self.pools[id.0].contains(address)
        {
            return false;
        }
        self.entries.get(&address).is_none_or(|entry| {
            let is_own =
                entry.key().is_same_machine(key) || is_reserved && entry.lease.mac == key.mac;
            entry.is_over(unix) || is_own && entry.lease.state != BindingState::Declined
        })
    }

    /// Whether the operator wants the client elsewhere, and it can go there.
    fn should_move(&self, unix: u64, id: PoolId, key: &ClientKey, address: Ipv4Addr) -> bool {
        let reserved = self.reserved_address(id, key.mac);
        reserved.is_some_and(|to| to != address && self.is_open(unix, id, key, to))
    }

    fn reserved_address(&self, id: PoolId, mac: MacAddr) -> Option<Ipv4Addr> {
        let address = self.reservations.get(&mac)?.address?;
        (self.subnet_of(address) == Some(id)).then_some(address)
    }

    /// The client's own address, current or past. Of several a current one counts more, then one of
    /// the same boot's firmware, then the one that ends last.
    fn lease_of(&self, unix: u64, id: PoolId, key: &ClientKey) -> Option<Ipv4Addr> {
        let own = self
            .entries_of(id, key.mac)
            .filter(|entry| entry.lease.state != BindingState::Declined)
            .filter(|entry| entry.key().is_same_machine(key));
        let rank = |entry: &&Entry| {
            let is_current = !entry.is_over(unix);
            let is_firmware = is_current && entry.lease.client_id.is_none();
            (is_current, is_firmware, entry.lease.expires_unix)
        };
        own.max_by_key(rank).map(|entry| entry.lease.address)
    }

    fn entries_of(&self, id: PoolId, mac: MacAddr) -> impl Iterator<Item = &Entry> {
        let addresses = self.by_mac.get(&mac).map(Vec::as_slice).unwrap_or_default();
        let here = addresses
            .iter()
            .filter(move |address| self.subnet_of(**address) == Some(id));
        here.filter_map(|address| self.entries.get(address))
    }

    /// A client's own name for itself goes to whoever has it first.
    fn grantable_name(&self, unix: u64, mac: MacAddr, wanted: Option<&str>) -> Option<String> {
        if let Some(reserved) = self.reserved_name(mac) {
            return Some(reserved.to_owned());
        }
        let wanted = wanted?;
        let holder = self
            .by_name
            .get(wanted)
            .and_then(|address| self.lease(*address));
        let is_held = holder.is_some_and(|lease| lease.mac != mac && lease.is_active(unix));
        (!is_held && !self.reserved_names.contains_key(wanted)).then(|| wanted.to_owned())
    }

    fn is_set_aside(&self, address: Ipv4Addr) -> bool {
        self.reserved_addresses.contains_key(&address) || self.taken_by_hosts.contains(&address)
    }

    fn forget_old_offers(&mut self, unix: u64) {
        // Each turn undoes one earlier offer: constant per packet in the long run.
        while let Some(address) = self.offers.overdue(unix) {
            self.steps += 1;
            self.drop_offer(address);
        }
    }

    fn drop_offer(&mut self, address: Ipv4Addr) {
        self.offers.remove(address);
        self.refresh(address);
    }

    /// Takes an entry that has left `entries` out of the indexes and out of its pool's queue.
    fn unlink(&mut self, old: &Entry) {
        let address = old.lease.address;
        if let Some(addresses) = self.by_mac.get_mut(&old.lease.mac) {
            addresses.retain(|other| *other != address);
            if addresses.is_empty() {
                self.by_mac.remove(&old.lease.mac);
            }
        }
        if let Some(name) = &old.lease.hostname
            && self.by_name.get(name) == Some(&address)
        {
            self.by_name.remove(name);
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
        let is_withheld = self.is_set_aside(address) || self.offers.holder(address).is_some();
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
