//! Who may have which address: the decisions over the lease book.

use std::net::Ipv4Addr;

use super::{Entry, LeaseBook, PoolId};
use crate::client_id::ClientKey;
use crate::lease::{BindingState, Lease, LeaseChange};
use crate::operator::Refusal;

/// Leases that one hardware address can hold in one subnet; more identifiers behind it take the
/// place of the oldest.
const MAX_LEASES_PER_MAC: usize = 8;

impl LeaseBook {
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
            self.reserved_address(pool, key),
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
        others.sort_by_key(|entry| {
            std::cmp::Reverse((entry.lease.expires_unix, entry.lease.address))
        });
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
            hostname: self.grantable_name(unix, key, name),
            expires_unix: unix.saturating_add(u64::from(seconds)),
            state: BindingState::Bound,
        }));
        changes
    }

    /// Why the lease of another server cannot be taken over, if it cannot.
    pub(crate) fn refusal(&self, unix: u64, key: &ClientKey, address: Ipv4Addr) -> Option<Refusal> {
        let Some(id) = self.subnet_of(address) else {
            return Some(Refusal::NoSubnet);
        };
        let reserved_for = self.reserved_addresses.get(&address);
        if self.taken_by_hosts.contains(&address) {
            return Some(Refusal::Taken);
        }
        if let Some(other) = reserved_for.filter(|_| !self.is_reserved_for(address, key)) {
            return Some(Refusal::Reserved(other.clone()));
        }
        if !self.is_open(unix, id, key, address) {
            let holder = self.lease(address).map(|lease| lease.mac);
            return Some(holder.map_or(Refusal::NotInPool, Refusal::Leased));
        }
        let other = self
            .lease_of(unix, id, key)
            .filter(|other| *other != address);
        let current = other.filter(|other| {
            self.entries
                .get(other)
                .is_some_and(|entry| !entry.is_over(unix))
        });
        current.map(Refusal::HasOther)
    }

    /// Whether the client of an address was heard of by other means than DHCP.
    pub(crate) fn is_kept(&self, unix: u64, address: Ipv4Addr) -> bool {
        let entry = self.entries.get(&address);
        entry.is_some_and(|entry| unix < entry.alive_until)
    }

    /// Whether nobody else has a claim on the address: of this subnet, in its pool or reserved for
    /// the client, and without a lease that is still good for somebody else.
    fn is_open(&self, unix: u64, id: PoolId, key: &ClientKey, address: Ipv4Addr) -> bool {
        let is_reserved = self.is_reserved_for(address, key);
        if self.subnet_of(address) != Some(id)
            || self.taken_by_hosts.contains(&address)
            || !self.pools[id.0].subnet.is_host(address)
            || self.reserved_addresses.contains_key(&address) && !is_reserved
            || !is_reserved && !self.pools[id.0].contains(address)
            || !is_reserved && self.has_other_holder(address, key)
        {
            return false;
        }
        self.entries.get(&address).is_none_or(|entry| {
            let holder = entry.lease.mac;
            let is_own = entry.key().is_same_machine(key)
                || is_reserved && (holder == key.mac || self.gave_way(unix, entry, key));
            entry.is_over(unix) || is_own && entry.lease.state != BindingState::Declined
        })
    }

    fn has_other_holder(&self, address: Ipv4Addr, key: &ClientKey) -> bool {
        let holder = self.holders.get(&address);
        holder.is_some_and(|holder| *holder != key.mac)
    }

    /// Whether the operator wants the client elsewhere, and it can go there.
    fn should_move(&self, unix: u64, id: PoolId, key: &ClientKey, address: Ipv4Addr) -> bool {
        let reserved = self.reserved_address(id, key);
        reserved.is_some_and(|to| to != address && self.is_open(unix, id, key, to))
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
            let lease = &entry.lease;
            (is_current, is_firmware, lease.expires_unix, lease.address)
        };
        own.max_by_key(rank).map(|entry| entry.lease.address)
    }

    fn forget_old_offers(&mut self, unix: u64) {
        // Each turn undoes one earlier offer: constant per packet in the long run.
        while let Some(address) = self.offers.overdue(unix) {
            self.steps += 1;
            self.drop_offer(address);
        }
    }

    /// Whether another address of the subnet may be put aside as declined: a quarter of the pool at
    /// most, so that declining is no way to empty it.
    pub(crate) fn may_quarantine(&self, pool: PoolId) -> bool {
        let pool = &self.pools[pool.0];
        pool.declined < (pool.len() / 4).max(1)
    }
}
