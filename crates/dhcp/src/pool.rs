//! One subnet's pool: which addresses it has, which are free, which can be had back.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use model::MacAddr;

use crate::free_set::FreeSet;
use crate::link::Subnet;

/// A pool of more addresses than this keeps only the first so many; a /8 holds as many.
const MAX_ADDRESSES: usize = 1 << 24;

/// More addresses of a pool than this are not asked for on the link.
const MAX_PROBED: usize = 1 << 16;

/// The pool of a subnet. Knows addresses and nothing of clients: the lease book says what is free
/// ([`Pool::set_free`]) and what can be had back and since when ([`Pool::set_reclaimable`]).
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) subnet: Subnet,
    /// First and last address, and the number of addresses in the ranges before; ascending, apart.
    ranges: Vec<(u32, u32, usize)>,
    /// Those that are free: asked for on the link and nobody's, and not asked for yet.
    clear: FreeSet,
    unprobed: FreeSet,
    /// Those that were asked for, free or not.
    probed: FreeSet,
    reclaimable: BTreeSet<(u64, Ipv4Addr)>,
    len: usize,
    /// How many of its addresses have a declined lease.
    pub(crate) declined: usize,
}

impl Pool {
    /// The subnet's ranges, clipped to its hosts and merged, with nothing free yet.
    pub(crate) fn new(subnet: Subnet) -> Self {
        let ends = u64::from(subnet.prefix_len < 31);
        let first = u64::from(u32::from(subnet.first())) + ends;
        let last = u64::from(u32::from(subnet.broadcast())) - ends.min(1);
        let mut wanted: Vec<(u64, u64)> = subnet
            .pool
            .iter()
            .map(|(low, high)| (u64::from(u32::from(*low)), u64::from(u32::from(*high))))
            .map(|(low, high)| (low.max(first), high.min(last)))
            .filter(|(low, high)| low <= high)
            .collect();
        wanted.sort_unstable();
        let mut pool = Self {
            subnet,
            ranges: Vec::new(),
            clear: FreeSet::new(0),
            unprobed: FreeSet::new(0),
            probed: FreeSet::new(0),
            reclaimable: BTreeSet::new(),
            len: 0,
            declined: 0,
        };
        let mut next = 0;
        for (low, high) in wanted {
            let low = low.max(next);
            let room = (MAX_ADDRESSES - pool.len) as u64;
            let high = high.min((low + room).saturating_sub(1));
            if low <= high && room > 0 {
                // Both fit: they lie between two addresses of the subnet.
                pool.ranges.push((low as u32, high as u32, pool.len));
                pool.len += (high - low + 1) as usize;
                next = high + 1;
            }
        }
        pool.clear = FreeSet::new(pool.len);
        pool.unprobed = FreeSet::new(pool.len);
        pool.probed = FreeSet::new(pool.len);
        pool
    }

    /// How many addresses the pool has.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn contains(&self, address: Ipv4Addr) -> bool {
        self.index(address).is_some()
    }

    pub(crate) fn addresses(&self) -> impl Iterator<Item = Ipv4Addr> {
        let ranges = self.ranges.iter();
        ranges.flat_map(|(low, high, _)| (*low..=*high).map(Ipv4Addr::from))
    }

    /// Says whether an address is free: no lease, no offer, reserved for nobody. Ignores addresses
    /// of no pool.
    pub(crate) fn set_free(&mut self, address: Ipv4Addr, is_free: bool) {
        match self.index(address) {
            Some(index) if is_free && self.probed.contains(index) => self.clear.insert(index),
            Some(index) if is_free => self.unprobed.insert(index),
            Some(index) => {
                self.clear.remove(index);
                self.unprobed.remove(index);
            }
            None => {}
        }
    }

    pub(crate) fn is_free(&self, address: Ipv4Addr) -> bool {
        let index = self.index(address);
        index.is_some_and(|index| self.clear.contains(index) || self.unprobed.contains(index))
    }

    /// It was asked for on the link; [`Pool::set_free`] is to follow.
    pub(crate) fn was_probed(&mut self, address: Ipv4Addr) {
        if let Some(index) = self.index(address) {
            self.probed.insert(index);
            self.unprobed.remove(index);
        }
    }

    /// The first free addresses that were not asked for yet, of those among the first [`MAX_PROBED`].
    pub(crate) fn unprobed(&self, count: usize) -> Vec<Ipv4Addr> {
        let mut found: Vec<usize> = Vec::new();
        let mut next = 0;
        while found.len() < count.min(self.len) {
            match self.unprobed.next_from(next, &mut 0) {
                Some(index) if index >= next && index < MAX_PROBED => found.push(index),
                _ => break,
            }
            next = found.last().map_or(0, |last| last + 1);
        }
        let addresses = found.into_iter();
        addresses.filter_map(|index| self.address(index)).collect()
    }

    /// Says that the lease of an address can be had back from a time on (`Some`, seconds since
    /// 1970), or no more; `before` is what was said last.
    pub(crate) fn set_reclaimable(
        &mut self,
        address: Ipv4Addr,
        before: Option<u64>,
        now: Option<u64>,
    ) {
        if let Some(before) = before {
            self.reclaimable.remove(&(before, address));
        }
        if let Some(now) = now.filter(|_| self.contains(address)) {
            self.reclaimable.insert((now, address));
        }
    }

    /// A free address, of those that were asked for if there are any: the one that the hardware address hashes to, or
    /// the next free after it. So a
    /// client gets the same address from an empty lease book, most of the time.
    pub(crate) fn free_for(&self, mac: MacAddr, steps: &mut u64) -> Option<Ipv4Addr> {
        if self.len == 0 {
            return None;
        }
        let start = (hash(mac) % self.len as u64) as usize;
        let clear = self.clear.next_from(start, steps);
        let index = clear.or_else(|| self.unprobed.next_from(start, steps))?;
        self.address(index)
    }

    /// The address whose lease has been over for the longest time, if any is over at `unix`.
    pub(crate) fn oldest_expired(&self, unix: u64) -> Option<Ipv4Addr> {
        let (since, address) = self.reclaimable.first()?;
        (*since <= unix).then_some(*address)
    }

    fn index(&self, address: Ipv4Addr) -> Option<usize> {
        let number = u32::from(address);
        let after = self.ranges.partition_point(|(low, _, _)| *low <= number);
        let (low, high, base) = *self.ranges.get(after.checked_sub(1)?)?;
        (number <= high).then(|| base + (number - low) as usize)
    }

    fn address(&self, index: usize) -> Option<Ipv4Addr> {
        let after = self.ranges.partition_point(|(_, _, base)| *base <= index);
        let (low, _, base) = *self.ranges.get(after.checked_sub(1)?)?;
        Some(Ipv4Addr::from(low + (index - base) as u32))
    }
}

/// FNV-1a: the same on every machine and in every release.
fn hash(mac: MacAddr) -> u64 {
    mac.0.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn pool(prefix_len: u8, ranges: &[([u8; 4], [u8; 4])]) -> Pool {
        let ranges = ranges.iter();
        Pool::new(Subnet {
            network: Ipv4Addr::new(10, 0, 0, 0),
            prefix_len,
            pool: ranges
                .map(|(low, high)| ((*low).into(), (*high).into()))
                .collect(),
            router: None,
            dns: Vec::new(),
            domain: None,
            lease_time: Duration::from_secs(60),
            options: Vec::new(),
        })
    }

    #[test]
    fn ranges_are_clipped_to_hosts_and_merged() {
        let pool = pool(
            24,
            &[
                ([10, 0, 0, 250], [10, 0, 1, 9]),
                ([9, 0, 0, 0], [10, 0, 0, 3]),
                ([10, 0, 0, 2], [10, 0, 0, 4]),
            ],
        );
        let all: Vec<u8> = pool
            .addresses()
            .map(|address| address.octets()[3])
            .collect();
        assert_eq!(all, [1, 2, 3, 4, 250, 251, 252, 253, 254]);
        assert_eq!(pool.len(), all.len());
    }

    #[test]
    fn every_address_has_its_own_number() {
        let pool = pool(
            24,
            &[
                ([10, 0, 0, 10], [10, 0, 0, 19]),
                ([10, 0, 0, 40], [10, 0, 0, 44]),
            ],
        );
        for (number, address) in pool.addresses().enumerate() {
            assert_eq!(pool.index(address), Some(number));
            assert_eq!(pool.address(number), Some(address));
        }
        assert!(!pool.contains(Ipv4Addr::new(10, 0, 0, 20)));
        assert!(!pool.contains(Ipv4Addr::new(10, 0, 0, 9)));
    }

    #[test]
    fn extreme_prefixes_and_ranges_hold() {
        assert_eq!(pool(32, &[([10, 0, 0, 0], [10, 0, 0, 0])]).len(), 1);
        assert_eq!(pool(31, &[([0, 0, 0, 0], [255, 255, 255, 255])]).len(), 2);
        assert_eq!(
            pool(0, &[([0, 0, 0, 0], [255, 255, 255, 255])]).len(),
            1 << 24
        );
        assert_eq!(pool(24, &[([10, 0, 0, 9], [10, 0, 0, 1])]).len(), 0);
    }

    #[test]
    fn the_longest_expired_comes_back_first() {
        let mut pool = pool(24, &[([10, 0, 0, 1], [10, 0, 0, 9])]);
        let [one, two] = [Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2)];
        pool.set_reclaimable(one, None, Some(200));
        pool.set_reclaimable(two, None, Some(100));
        assert_eq!(pool.oldest_expired(99), None);
        assert_eq!(pool.oldest_expired(300), Some(two));
        pool.set_reclaimable(two, Some(100), None);
        assert_eq!(pool.oldest_expired(300), Some(one));
    }
}
