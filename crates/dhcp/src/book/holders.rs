//! Addresses of pools that somebody has without a lease.

use std::net::Ipv4Addr;

use model::MacAddr;

use super::{LeaseBook, PoolId};

impl LeaseBook {
    pub(crate) fn to_probe(&self, PoolId(index): PoolId, count: usize) -> Vec<Ipv4Addr> {
        self.pools[index].unprobed(count)
    }

    pub(crate) fn set_aside(&mut self, address: Ipv4Addr, holder: MacAddr) -> bool {
        let Some(PoolId(index)) = self.subnet_of(address) else {
            return false;
        };
        let pool = &mut self.pools[index];
        if let Some(known) = self.holders.get_mut(&address) {
            return std::mem::replace(known, holder) != holder;
        }
        // Between question and answer it may have been given away.
        if !pool.is_free(address) {
            return false;
        }
        pool.was_probed(address);
        let subnet = &pool.subnet;
        let here = self.holders.keys().filter(|other| subnet.contains(**other));
        let has_room = here.count() < (pool.len() / 4).max(1);
        if has_room {
            self.holders.insert(address, holder);
        }
        self.refresh(address);
        has_room
    }

    pub(crate) fn is_nobodys(&mut self, address: Ipv4Addr) -> bool {
        let was_set_aside = self.holders.remove(&address).is_some();
        if let Some(PoolId(index)) = self.subnet_of(address) {
            self.pools[index].was_probed(address);
        }
        self.refresh(address);
        was_set_aside
    }

    pub(crate) fn holders(&self) -> Vec<(Ipv4Addr, MacAddr)> {
        let holders = self.holders.iter();
        let mut holders: Vec<_> = holders.map(|(address, mac)| (*address, *mac)).collect();
        holders.sort_unstable();
        holders
    }

    /// Keeps what was set aside when the configuration changes.
    pub(crate) fn keep_aside(&mut self, holders: Vec<(Ipv4Addr, MacAddr)>) {
        for (address, holder) in holders {
            self.set_aside(address, holder);
        }
    }
}
