//! Leases between the protocol's words and the disk's, and those of clients that are running.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use dhcp::{BindingState, Lease, LeaseChange, Now};
use tokio::sync::watch;

use crate::daemon::{Daemon, unix_seconds};
use crate::services::dhcp::Shared;
use store::{Change, LeaseRecord, RecordState};

/// A change as the disk takes it now.
pub fn to_change(change: &LeaseChange, now: Now) -> Change {
    match change {
        LeaseChange::Put(lease) => Change::Put(to_record(lease, now)),
        LeaseChange::Remove(address) => Change::Remove(*address),
    }
}

/// A lease as the disk keeps it from now on.
pub fn to_record(lease: &Lease, now: Now) -> LeaseRecord {
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
        written: now.unix,
    }
}

/// A clock that is further from the last that was written is not believed.
const BELIEVED_AHEAD: u64 = 30 * 24 * 3600;
/// The same for one that went backwards.
const BELIEVED_BEHIND: u64 = 24 * 3600;

/// What the disk had, by the clock as it is now. Where the clock has gone back since, or ahead by more
/// than a month, nobody knows how much time has passed (a server whose clock has no battery begins in
/// some other year): then none has, so that no client loses its address by it, and the records as
/// they are to be written anew come with a line for the log.
pub fn from_disk<R: Iterator<Item = LeaseRecord> + Clone>(
    records: R,
    now: Now,
) -> (
    impl Iterator<Item = Lease> + use<R>,
    Option<(Vec<Change>, String)>,
) {
    let written = records.clone().map(|record| record.written).max();
    let written = written.unwrap_or(0);
    let believed = written.saturating_sub(BELIEVED_BEHIND)..=written.saturating_add(BELIEVED_AHEAD);
    let is_believed = written == 0 || believed.contains(&now.unix);
    let leases = records
        .map(from_record)
        .map(move |lease| match is_believed {
            true => lease,
            false => Lease {
                // Of a year at most: the server cuts what is left.
                expires_unix: (lease.expires_unix.saturating_add(now.unix)).saturating_sub(written),
                ..lease
            },
        });
    let rewritten = (!is_believed).then(|| {
        let note = format!(
            "the clock says {} and leases were last written at {written} (seconds since 1970): each is taken \
             to have as much time left as it had then",
            now.unix
        );
        let put = |lease| Change::Put(to_record(&lease, now));
        (leases.clone().map(put).collect(), note)
    });
    (leases, rewritten)
}

/// A lease as the protocol knows it.
fn from_record(record: LeaseRecord) -> Lease {
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
pub fn lease_clock() -> Now {
    static START: OnceLock<(u64, u64)> = OnceLock::new();
    let since_boot = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        u64::try_from(time.tv_sec).unwrap_or(0)
    };
    let (wall, boot) = *START.get_or_init(|| (unix_seconds(), since_boot()));
    Now {
        unix: wall.saturating_add(since_boot().saturating_sub(boot)),
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

    const NOW: Now = Now {
        unix: 1_800_000_000,
    };
    const YEAR: u64 = 366 * 24 * 3600;

    fn lease(last: u8, expires_unix: u64) -> Lease {
        Lease {
            address: Ipv4Addr::new(192, 168, 67, last),
            mac: model::MacAddr([2, 0, 0, 0, 0, last]),
            client_id: Some(vec![0xff, 0, 1]),
            hostname: Some("pc1".into()),
            expires_unix,
            state: BindingState::Declined,
        }
    }

    #[test]
    fn a_lease_survives_the_disk() {
        let lease = lease(20, 7);
        assert_eq!(from_record(to_record(&lease, NOW)), lease);
        assert_eq!(from_hex("0"), None);
        assert_eq!(from_hex("zz"), None);
    }

    /// What is left, at `now`, of two leases that had an hour and nothing left when they were written.
    fn left_at(now: u64) -> (u64, u64, bool) {
        let stored = [lease(1, NOW.unix + 3600), lease(2, NOW.unix)];
        let records = stored.iter().map(|lease| to_record(lease, NOW));
        let (leases, rewritten) = from_disk(records, Now { unix: now });
        let leases: Vec<Lease> = leases.collect();
        let left = |at: usize| leases[at].expires_unix.saturating_sub(now);
        (left(0), left(1), rewritten.is_some())
    }

    #[test]
    fn time_that_passed_while_the_daemon_was_off_has_passed() {
        assert_eq!(left_at(NOW.unix + 60), (3540, 0, false));
        assert_eq!(left_at(NOW.unix + 24 * 3600), (0, 0, false));
        assert_eq!(left_at(NOW.unix - 60), (3660, 60, false));
    }

    #[test]
    fn a_clock_that_is_years_off_ends_no_lease_and_prolongs_none() {
        for years in [1, 10, 50] {
            assert_eq!(left_at(NOW.unix + years * YEAR), (3600, 0, true));
            assert_eq!(left_at(NOW.unix - years * YEAR), (3600, 0, true));
        }
        assert_eq!(left_at(0), (3600, 0, true));
        assert!(left_at(u64::MAX).2);
    }

    #[test]
    fn a_clock_that_is_put_right_again_ends_no_lease_either() {
        let record = to_record(&lease(1, NOW.unix + 3600), NOW);
        let wrong = Now { unix: 1000 };
        let (_, rewritten) = from_disk(std::iter::once(record), wrong);
        let put = |change| match change {
            Change::Put(record) => record,
            Change::Remove(address) => panic!("{address} was removed"),
        };
        let on_disk = rewritten.unwrap().0.into_iter().map(put);
        let (leases, _) = from_disk(on_disk, NOW);
        assert!(leases.eq([lease(1, NOW.unix + 3600)]));
    }

    #[test]
    fn the_clock_of_leases_goes_on_from_the_wall_clock() {
        let wall = unix_seconds();
        assert!(lease_clock().unix.abs_diff(wall) <= 1);
    }
}
