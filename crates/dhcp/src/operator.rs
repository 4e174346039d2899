//! What an operator does to the lease book: ends leases, and brings those of another server.

use std::fmt;
use std::net::Ipv4Addr;

use model::{KnownBy, MacAddr};

use crate::answer::Pending;
use crate::client_id::ClientKey;
use crate::event::{Event, EventKind};
use crate::lease::{BindingState, Lease, LeaseChange};
use crate::link::LinkId;
use crate::server::{FARTHEST_END_SECONDS, Now, Server};

/// Why a lease is left as it is, or where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Its client runs from this server, or did less than a lease time ago.
    InUse,
    /// Its time is over.
    Ended,
    /// No configured subnet holds the address.
    NoSubnet,
    /// The subnet does, and its pool does not; nor is it reserved for the client.
    NotInPool,
    /// A host of the configuration has the address.
    Taken,
    /// The address is reserved for another client.
    Reserved(KnownBy),
    /// Another client has the address here.
    Leased(MacAddr),
    /// The client has another address of the subnet here.
    HasOther(Ipv4Addr),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse => f.write_str("its client runs from this server"),
            Self::Ended => f.write_str("the lease has ended"),
            Self::NoSubnet => f.write_str("no subnet of the configuration has this address"),
            Self::NotInPool => f.write_str("the address is outside the pool"),
            Self::Taken => f.write_str("a host of the configuration has this address"),
            Self::Reserved(client) => write!(f, "the address is reserved for {client}"),
            Self::Leased(mac) => write!(f, "{mac} has a lease of this address here"),
            Self::HasOther(address) => write!(f, "the client has {address} here"),
        }
    }
}

impl Server {
    /// Ends the leases of these addresses and forgets whose they were. `None` if there is none.
    ///
    /// # Errors
    /// The address of a client that runs from us: two machines would have it.
    pub fn end_leases(
        &mut self,
        now: Now,
        addresses: &[Ipv4Addr],
    ) -> Result<Option<Pending>, (Ipv4Addr, Refusal)> {
        let in_use = |address: &&Ipv4Addr| self.book.is_kept(now.unix, **address);
        if let Some(address) = addresses.iter().find(in_use) {
            return Err((*address, Refusal::InUse));
        }
        let held = addresses
            .iter()
            .filter(|address| self.book.lease(**address).is_some());
        let changes: Vec<_> = held.map(|address| LeaseChange::Remove(*address)).collect();
        Ok(self.by_operator(now, changes))
    }

    /// Takes leases of another server over: those that fit go into one decision, all or none; the
    /// others come back with the reason. Of several for one address the last counts. One that is to
    /// last for more than a year is taken for a year.
    pub fn take_over(
        &mut self,
        now: Now,
        leases: impl IntoIterator<Item = Lease>,
    ) -> (Option<Pending>, Vec<(Lease, Refusal)>) {
        let (mut changes, mut left_out) = (Vec::new(), Vec::new());
        let farthest = now.unix.saturating_add(FARTHEST_END_SECONDS);
        for mut lease in leases {
            lease.expires_unix = lease.expires_unix.min(farthest);
            let key = ClientKey::new(lease.mac, lease.client_id.as_deref(), false);
            lease.client_id.clone_from(&key.client_id);
            let name = lease.hostname.as_deref().map(str::as_bytes);
            lease.hostname = name.and_then(crate::hostname::label);
            let refusal = (!lease.is_active(now.unix)).then_some(Refusal::Ended);
            match refusal.or_else(|| self.book.refusal(now.unix, &key, lease.address)) {
                Some(refusal) => left_out.push((lease, refusal)),
                None => changes.push(LeaseChange::Put(Lease {
                    state: BindingState::Bound,
                    ..lease
                })),
            }
        }
        (self.by_operator(now, changes), left_out)
    }

    fn by_operator(&mut self, now: Now, changes: Vec<LeaseChange>) -> Option<Pending> {
        let address = changes.first()?.address();
        self.in_doubt.stage(&mut self.book, &changes);
        Some(Pending {
            changes,
            address,
            unix: now.unix,
            reply: None,
            happened: Vec::new(),
            achieved: Event {
                mac: MacAddr([0; 6]),
                link: LinkId(0),
                firmware: None,
                kind: EventKind::Released { address },
            },
        })
    }
}
