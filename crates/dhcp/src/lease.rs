//! A lease, and a change to one as the shell writes it down.

use std::net::Ipv4Addr;

use model::MacAddr;
use serde::{Deserialize, Serialize};

/// Where an address stands (RFC 2131 section 2.2, RFC 6926 section 6.2.7). An offer is not a
/// binding and never reaches the disk; an expired lease is a bound one whose time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BindingState {
    /// Acknowledged to the client until `expires_unix`.
    Bound,
    /// Given back. Kept so that the client gets the same address when it returns.
    Released,
    /// The client found somebody else using it (DHCPDECLINE); nobody gets it until `expires_unix`.
    Declined,
}

/// An address bound to a client. Plain data: the shell stores it under `address`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Lease {
    /// The address, unique among leases.
    pub address: Ipv4Addr,
    /// The client's hardware address, the first half of its identity.
    pub mac: MacAddr,
    /// What tells apart several DHCP clients behind one hardware address, see
    /// [`crate::ClientKey`]; `None` for firmware and for identifiers that only repeat the address.
    pub client_id: Option<Vec<u8>>,
    /// The DNS label granted to the client, lower case, unique among active leases.
    pub hostname: Option<String>,
    /// When it ends, in seconds since 1970.
    pub expires_unix: u64,
    /// Where the address stands.
    pub state: BindingState,
}

impl Lease {
    /// Whether the client may use the address at `unix` seconds.
    pub fn is_active(&self, unix: u64) -> bool {
        self.state == BindingState::Bound && unix < self.expires_unix
    }
}

/// One change to the stored leases. Later changes to an address replace earlier ones.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LeaseChange {
    /// Insert or replace the lease of `lease.address`.
    Put(Lease),
    /// Forget the address.
    Remove(Ipv4Addr),
}

impl LeaseChange {
    /// The address that changes.
    pub fn address(&self) -> Ipv4Addr {
        match self {
            Self::Put(lease) => lease.address,
            Self::Remove(address) => *address,
        }
    }
}
