//! Addresses whose last change is not known to be stored.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::Ipv4Addr;

use crate::book::LeaseBook;
use crate::lease::{BindingState, Lease, LeaseChange};

/// What is on disk for the addresses with changes on their way there.
///
/// While the disk is busy, the book is on the safe side: it has a new holder as soon as that is
/// decided, so that no second client gets the address, and it keeps an old holder until its leaving
/// is stored, since that may fail and the client live on. When the last of several changes to an
/// address is resolved, the book has what is on disk.
#[derive(Debug, Default)]
pub(crate) struct InDoubt {
    addresses: HashMap<Ipv4Addr, Address>,
}

#[derive(Debug)]
struct Address {
    on_disk: Option<Lease>,
    outstanding: u32,
}

impl InDoubt {
    /// Takes note of changes on their way to the disk, and lets the book have those that take an
    /// address from the free.
    pub(crate) fn stage(&mut self, book: &mut LeaseBook, changes: &[LeaseChange]) {
        for change in changes {
            let address = change.address();
            let entry = self.addresses.entry(address).or_insert_with(|| Address {
                on_disk: book.lease(address).cloned(),
                outstanding: 0,
            });
            entry.outstanding += 1;
            if matches!(change, LeaseChange::Put(lease) if lease.state != BindingState::Released) {
                book.apply(change.clone());
            }
        }
    }

    /// The lease of an address as it is on disk; `None` when it is not in doubt.
    pub(crate) fn on_disk(&self, address: Ipv4Addr) -> Option<Option<&Lease>> {
        Some(self.addresses.get(&address)?.on_disk.as_ref())
    }

    /// Takes note that changes were stored, or were not.
    pub(crate) fn resolve(
        &mut self,
        book: &mut LeaseBook,
        changes: &[LeaseChange],
        is_stored: bool,
    ) {
        for change in changes {
            let Entry::Occupied(mut entry) = self.addresses.entry(change.address()) else {
                continue;
            };
            let address = entry.get_mut();
            if is_stored {
                address.on_disk = match change {
                    LeaseChange::Put(lease) => Some(lease.clone()),
                    LeaseChange::Remove(_) => None,
                };
            }
            address.outstanding = address.outstanding.saturating_sub(1);
            if address.outstanding > 0 {
                continue;
            }
            let on_disk = entry.remove().on_disk;
            if book.lease(change.address()) != on_disk.as_ref() {
                let remove = LeaseChange::Remove(change.address());
                book.apply(on_disk.map_or(remove, LeaseChange::Put));
            }
        }
    }
}
