//! A lease as it lies on disk.

use std::net::Ipv4Addr;

use model::MacAddr;
use serde::{Deserialize, Serialize};

/// Whether an address is a client's or kept from everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordState {
    /// Acknowledged to the client.
    Bound,
    /// Given back; kept so that the client gets the same address when it returns.
    Released,
    /// A client found the address in use by someone else (DHCPDECLINE).
    Declined,
}

/// One lease. Unknown fields of a later version are ignored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRecord {
    /// The leased address; records are found by it.
    pub address: Ipv4Addr,
    /// The client's hardware address.
    pub mac: MacAddr,
    /// DHCP option 61, in hexadecimal, if the client sent one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The client's name, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// End of the lease, in seconds of Unix time.
    pub expires: u64,
    /// Whose it is.
    pub state: RecordState,
}
