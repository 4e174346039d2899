//! Addresses offered and not yet asked for.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::Ipv4Addr;

use crate::client_id::ClientKey;

/// How long an offer stands. Firmware collects offers for up to 4 s and asks up to four times.
const LIFETIME_SECONDS: u64 = 30;
/// More offers than this do not stand at once: the oldest makes room.
pub(crate) const MAX_OFFERS: usize = 4096;

#[derive(Clone, Debug)]
struct Offer {
    key: ClientKey,
    expires: u64,
    sequence: u64,
}

/// Offers are courtesy, not bindings: they keep two clients that ask at the same time apart. They are
/// few, short-lived, never stored, and give way to whoever binds the address first.
#[derive(Debug, Default)]
pub(crate) struct Offers {
    by_address: HashMap<Ipv4Addr, Offer>,
    by_key: HashMap<ClientKey, Ipv4Addr>,
    /// All offers live equally long, so the order of making them is the order of their end.
    by_age: BTreeMap<u64, (Ipv4Addr, usize)>,
    /// Those that another client may be offered when nothing else is left.
    spare: BTreeSet<(usize, u64, Ipv4Addr)>,
    next_sequence: u64,
}

impl Offers {
    pub(crate) fn len(&self) -> usize {
        self.by_address.len()
    }

    /// To whom an address is offered.
    pub(crate) fn holder(&self, address: Ipv4Addr) -> Option<&ClientKey> {
        self.by_address.get(&address).map(|offer| &offer.key)
    }

    /// What a client was offered.
    pub(crate) fn of(&self, key: &ClientKey) -> Option<Ipv4Addr> {
        self.by_key.get(key).copied()
    }

    /// The oldest spare offer out of a pool.
    pub(crate) fn oldest_spare(&self, pool: usize) -> Option<Ipv4Addr> {
        let zero = Ipv4Addr::UNSPECIFIED;
        let (found, _, address) = self.spare.range((pool, 0, zero)..).next()?;
        (*found == pool).then_some(*address)
    }

    /// The oldest offer, if it has expired at `unix` or there are too many.
    pub(crate) fn overdue(&self, unix: u64) -> Option<Ipv4Addr> {
        let (_, (address, _)) = self.by_age.first_key_value()?;
        let offer = self.by_address.get(address)?;
        // A clock that was set back must not keep offers alive for years.
        let is_over = unix >= offer.expires || offer.expires > unix + LIFETIME_SECONDS;
        (is_over || self.len() > MAX_OFFERS).then_some(*address)
    }

    /// Adds an offer. The caller has removed the client's and the address's old ones. A spare
    /// address is one that the client has no better claim to than anybody else.
    pub(crate) fn insert(
        &mut self,
        unix: u64,
        pool: usize,
        address: Ipv4Addr,
        key: &ClientKey,
        is_spare: bool,
    ) {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        let expires = unix.saturating_add(LIFETIME_SECONDS);
        let offer = Offer {
            key: key.clone(),
            expires,
            sequence,
        };
        self.by_address.insert(address, offer);
        self.by_key.insert(key.clone(), address);
        self.by_age.insert(sequence, (address, pool));
        if is_spare {
            self.spare.insert((pool, sequence, address));
        }
    }

    pub(crate) fn remove(&mut self, address: Ipv4Addr) {
        let Some(offer) = self.by_address.remove(&address) else {
            return;
        };
        self.by_key.remove(&offer.key);
        if let Some((_, pool)) = self.by_age.remove(&offer.sequence) {
            self.spare.remove(&(pool, offer.sequence, address));
        }
    }
}
