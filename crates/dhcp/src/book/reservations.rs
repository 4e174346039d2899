//! What is reserved for whom, by whatever a client is known.

use std::net::Ipv4Addr;

use model::{KnownBy, MacAddr, Uuid};

use super::{Entry, LeaseBook, PoolId};
use crate::client_id::ClientKey;
use crate::link::Reservation;
use crate::request::Request;

impl LeaseBook {
    /// Remembers the card of a client that shows what somebody is known by; whether that is news. A card that comes
    /// with the number of another mainboard has been moved there.
    pub(crate) fn recognise(&mut self, unix: u64, request: &Request) -> bool {
        let card = request.mac;
        if self.reservations.contains_key(&KnownBy::Mac(card)) {
            return self.recognition.forget(card);
        }
        let before = self.recognition.of(card);
        let is_by_uuid = matches!(before, Some(KnownBy::Uuid(_)));
        let shown = request.uuid.and_then(|uuid| self.known_uuid(uuid));
        let shown = shown.or_else(|| {
            let id = request.client_id.as_deref();
            id.filter(|_| !is_by_uuid || request.uuid.is_some())
                .and_then(|id| self.known_id(id))
        });
        match shown {
            Some(known_by) => self.recognition.met(unix, card, &known_by),
            None if is_by_uuid && request.uuid.is_some() => self.recognition.forget(card),
            None => false,
        }
    }

    fn known_uuid(&self, uuid: Uuid) -> Option<KnownBy> {
        let both = [uuid, uuid.turned()].map(KnownBy::Uuid);
        let mut both = both.into_iter();
        both.find(|uuid| self.reservations.contains_key(uuid))
    }

    /// Some systems put the type 0 before an identifier that was written as text (RFC 2132 section 9.14), some do not.
    fn known_id(&self, id: &[u8]) -> Option<KnownBy> {
        let both = [Some(id), id.strip_prefix(&[0])].into_iter().flatten();
        let mut both = both.map(|id| KnownBy::ClientId(id.to_vec()));
        both.find(|id| self.reservations.contains_key(id))
    }

    /// What is reserved for a client: for its card, else for what its card showed. A system with an identifier of its
    /// own beside the one that is known (a container behind the same card) is another client.
    fn reservation(&self, card: MacAddr, client_id: Option<&[u8]>) -> Option<&Reservation> {
        let of_card = self.reservations.get(&KnownBy::Mac(card));
        of_card.or_else(|| {
            let known_by = self.recognition.of(card)?;
            let is_other = match (known_by, client_id) {
                (KnownBy::ClientId(_), Some(own)) => self.known_id(own).as_ref() != Some(known_by),
                _ => false,
            };
            self.reservations.get(known_by).filter(|_| !is_other)
        })
    }

    pub(super) fn is_reserved_for(&self, address: Ipv4Addr, key: &ClientKey) -> bool {
        let of_address = self.reserved_addresses.get(&address);
        of_address.is_some_and(|client| {
            let own = self.reservation(key.mac, key.client_id.as_deref());
            own.is_some_and(|own| own.client == *client)
        })
    }

    pub(crate) fn reserved_address(&self, id: PoolId, key: &ClientKey) -> Option<Ipv4Addr> {
        let address = self
            .reservation(key.mac, key.client_id.as_deref())?
            .address?;
        (self.subnet_of(address) == Some(id)).then_some(address)
    }

    /// The name that the operator gave a client.
    pub(crate) fn reserved_name(&self, card: MacAddr, client_id: Option<&[u8]>) -> Option<&str> {
        self.reservation(card, client_id)?.hostname.as_deref()
    }

    /// Whether an address that another card of the same machine has comes to this one: it was the last to show what
    /// the machine is known by, and the other was not heard of for a lease time.
    pub(super) fn gave_way(&self, unix: u64, entry: &Entry, key: &ClientKey) -> bool {
        let known_by = self.recognition.of(key.mac);
        known_by.is_some_and(|known_by| {
            self.recognition.of(entry.lease.mac) == Some(known_by)
                && self.recognition.latest(known_by) == Some(key.mac)
                && unix >= entry.alive_until
        })
    }
}
