//! Leases between the protocol's words and the disk's, and those of clients that are running.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use dhcp::{BindingState, Lease, LeaseChange};
use tokio::sync::watch;

use crate::daemon::{Daemon, unix_seconds};
use crate::services::dhcp::Shared;
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

/// How often running clients are looked for: well within the shortest lease, two minutes.
const KEEP_EVERY: Duration = Duration::from_secs(30);

/// Keeps the address of every client whose root hangs on us, whatever becomes of its DHCP client:
/// an address that is given to another machine under a running one takes both down. Runs until
/// `stopping` changes.
pub async fn keep_those_of_running_clients(
    daemon: Arc<Daemon>,
    shared: Arc<Shared>,
    mut stopping: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let mut tick = tokio::time::interval(KEEP_EVERY);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            _ = stopping.changed() => return Ok(()),
        }
        let figures = daemon.nfs_counters.figures().into_iter();
        let connected = figures.filter(|client| client.connections > 0);
        let now = lease_clock();
        shared.with(|server| {
            for client in connected {
                if let IpAddr::V4(address) = client.address.to_canonical() {
                    server.heard_of(now, address);
                }
            }
        });
    }
}

/// The time that leases are counted in: the wall clock as it was when the daemon started, and since
/// then a clock that nobody sets. A step of the wall clock must not end every lease at once.
pub fn lease_clock() -> dhcp::Now {
    static START: OnceLock<(u64, u64)> = OnceLock::new();
    let since_boot = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        u64::try_from(time.tv_sec).unwrap_or(0)
    };
    let (wall, boot) = *START.get_or_init(|| (unix_seconds(), since_boot()));
    dhcp::Now {
        unix: wall + since_boot().saturating_sub(boot),
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
