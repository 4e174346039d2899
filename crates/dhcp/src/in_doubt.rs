//! Addresses whose last change is not known to be stored.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use crate::book::LeaseBook;
use crate::lease::{Lease, LeaseChange};

/// What is on disk for the addresses with changes on their way there.
///
/// The book has a change as soon as it is decided, so that no second client gets the address while
/// the disk is busy. When storing fails, the book goes back to what is on disk, but not before the
/// last of several changes to that address is resolved: until then the address stays held.
#[derive(Debug, Default)]
pub(crate) struct InDoubt {
    addresses: HashMap<Ipv4Addr, Address>,
    next_version: u64,
}

#[derive(Debug)]
struct Address {
    on_disk: Option<Lease>,
    outstanding: u32,
    latest: u64,
    latest_failed: bool,
}

impl InDoubt {
    /// Applies changes to the book and remembers what they replace. Gives one version per change.
    pub(crate) fn stage(&mut self, book: &mut LeaseBook, changes: &[LeaseChange]) -> Vec<u64> {
        let staged = changes.iter().map(|change| {
            let version = self.next_version;
            self.next_version += 1;
            let address = self
                .addresses
                .entry(change.address())
                .or_insert_with(|| Address {
                    on_disk: book.lease(change.address()).cloned(),
                    outstanding: 0,
                    latest: version,
                    latest_failed: false,
                });
            address.outstanding += 1;
            address.latest = version;
            address.latest_failed = false;
            book.apply(change.clone());
            version
        });
        staged.collect()
    }

    /// The lease of an address as it is on disk; `None` when it is not in doubt.
    pub(crate) fn on_disk(&self, address: Ipv4Addr) -> Option<Option<&Lease>> {
        Some(self.addresses.get(&address)?.on_disk.as_ref())
    }

    /// Takes note that the changes were stored, or were not.
    pub(crate) fn resolve(
        &mut self,
        book: &mut LeaseBook,
        changes: &[LeaseChange],
        versions: &[u64],
        is_stored: bool,
    ) {
        for (change, version) in changes.iter().zip(versions) {
            let Some(address) = self.addresses.get_mut(&change.address()) else {
                continue;
            };
            if is_stored {
                address.on_disk = match change {
                    LeaseChange::Put(lease) => Some(lease.clone()),
                    LeaseChange::Remove(_) => None,
                };
            }
            address.latest_failed |= !is_stored && address.latest == *version;
            address.outstanding = address.outstanding.saturating_sub(1);
            if address.outstanding > 0 {
                continue;
            }
            let Some(settled) = self.addresses.remove(&change.address()) else {
                continue;
            };
            if settled.latest_failed {
                book.apply(match settled.on_disk {
                    Some(lease) => LeaseChange::Put(lease),
                    None => LeaseChange::Remove(change.address()),
                });
            }
        }
    }
}
