//! Finding leases by what they say.

use std::hash::{BuildHasher, Hash, RandomState};
use std::net::Ipv4Addr;

use hashbrown::HashTable;

/// Addresses of leases, found by the hash of something that stands in the lease: it has no copy of that, since ten
/// thousand names, and lists of addresses, would cost more than the leases.
#[derive(Debug, Default)]
pub(super) struct Index {
    addresses: HashTable<Ipv4Addr>,
    hasher: RandomState,
}

impl Index {
    /// The addresses whose leases say `key`, and in the rarest of cases another one.
    pub(super) fn candidates<'a, K: Hash + ?Sized>(
        &'a self,
        key: &K,
    ) -> impl Iterator<Item = Ipv4Addr> + use<'a, K> {
        self.addresses.iter_hash(self.hasher.hash_one(key)).copied()
    }

    /// Adds an address, which is not here yet. `key_of` is what the lease of an address says, this one's and those of
    /// all that are here.
    pub(super) fn insert<'a, K: Hash + ?Sized + 'a>(
        &mut self,
        address: Ipv4Addr,
        key_of: impl Fn(Ipv4Addr) -> &'a K,
    ) {
        let hash = |address: &Ipv4Addr| self.hasher.hash_one(key_of(*address));
        self.addresses.insert_unique(hash(&address), address, hash);
    }

    /// Removes an address whose lease says `key`, if it is here.
    pub(super) fn remove<K: Hash + ?Sized>(&mut self, key: &K, address: Ipv4Addr) {
        let hash = self.hasher.hash_one(key);
        if let Ok(found) = self.addresses.find_entry(hash, |other| *other == address) {
            found.remove();
        }
    }
}
