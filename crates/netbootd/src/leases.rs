//! Leases between the protocol's words and the disk's.

use std::net::Ipv4Addr;

use dhcp::{BindingState, Lease, LeaseChange};
use store::{Change, LeaseRecord, RecordState};

/// A change as the disk takes it.
pub fn to_change(change: &LeaseChange) -> Change {
    match change {
        LeaseChange::Put(lease) => Change::Put(to_record(lease)),
        LeaseChange::Remove(address) => Change::Remove(*address),
    }
}

/// A lease as the disk keeps it.
pub fn to_record(lease: &Lease) -> LeaseRecord {
    LeaseRecord {
        address: lease.address,
        mac: lease.mac,
        client_id: lease
            .client_id
            .as_ref()
            .map(|id| id.iter().map(|byte| format!("{byte:02x}")).collect()),
        hostname: lease.hostname.clone(),
        expires: lease.expires_unix,
        state: match lease.state {
            BindingState::Bound => RecordState::Bound,
            BindingState::Released => RecordState::Released,
            BindingState::Declined => RecordState::Declined,
        },
    }
}

/// A lease as the protocol knows it.
pub fn from_record(record: LeaseRecord) -> Lease {
    Lease {
        address: record.address,
        mac: record.mac,
        client_id: record.client_id.as_deref().and_then(from_hex),
        hostname: record.hostname,
        expires_unix: record.expires,
        state: match record.state {
            RecordState::Bound => BindingState::Bound,
            RecordState::Released => BindingState::Released,
            RecordState::Declined => BindingState::Declined,
        },
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    if !digits.len().is_multiple_of(2) {
        None
    } else {
        digits.chunks(2).map(byte).collect()
    }
}

/// A lease as `netbootd leases` and the control API show it.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct LeaseStatus {
    /// The leased address.
    pub address: Ipv4Addr,
    /// The client's hardware address.
    pub client: model::MacAddr,
    /// Its name.
    pub hostname: Option<String>,
    /// Seconds until the lease ends; 0 when it has ended.
    pub remaining: u64,
    /// `bound`, `released` or `declined`.
    pub state: RecordState,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_survives_the_disk() {
        let lease = Lease {
            address: Ipv4Addr::new(192, 168, 67, 20),
            mac: model::MacAddr([2, 0, 0, 0, 0, 1]),
            client_id: Some(vec![0xff, 0, 1]),
            hostname: Some("pc1".into()),
            expires_unix: 7,
            state: BindingState::Declined,
        };
        assert_eq!(from_record(to_record(&lease)), lease);
        assert_eq!(from_hex("0"), None);
        assert_eq!(from_hex("zz"), None);
    }
}
