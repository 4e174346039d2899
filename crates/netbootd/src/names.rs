//! The names that DNS answers: kept in step with the leases.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dhcp::BindingState;
use tokio::sync::watch;

use crate::daemon::Daemon;
use crate::identity;
use crate::leases::lease_clock;
use crate::services::dhcp::Shared;
use crate::services::dns::{self, Dns};

/// How often names are looked at when no lease was written: they end by themselves.
const POLL: Duration = Duration::from_secs(1);
/// A room that is switched on at once is worth one new zone each time, not one for each machine.
const PAUSE: Duration = Duration::from_millis(20);
/// Looking through all leases takes this part of the time at most, however many they are.
const SHARE: u32 = 50;

/// The addresses of this machine, where no upstream can be.
pub fn own_addresses(system: &BTreeMap<String, net::Interface>) -> Vec<Ipv4Addr> {
    let all = system.values().flat_map(|interface| &interface.addresses);
    all.map(|(address, _)| *address)
        .filter(|address| !address.is_loopback())
        .collect()
}

/// The DNS servers that this machine itself uses, without those that only it can reach: what clients
/// are told when our own DNS is off.
pub fn system_dns_servers() -> Vec<Ipv4Addr> {
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let server = |line: &str| {
        line.strip_prefix("nameserver")?
            .trim()
            .parse::<Ipv4Addr>()
            .ok()
    };
    text.lines()
        .filter_map(server)
        .filter(|address| !address.is_loopback())
        .collect()
}

/// Publishes a new zone whenever the leases' names, the clients' host keys or the served addresses change, until `stopping`
/// changes.
pub async fn follow(
    daemon: Arc<Daemon>,
    shared: Arc<Shared>,
    dns: Arc<Dns>,
    mut stopping: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let mut tick = tokio::time::interval(POLL);
    let (mut published, state) = (None, RandomState::new());
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = shared.changed() => {}
            _ = stopping.changed() => return Ok(()),
        }
        let start = Instant::now();
        let own: Vec<Ipv4Addr> = daemon
            .links
            .load()
            .iter()
            .map(|served| served.link.address)
            .collect();
        let now = lease_clock();
        let (hosts, mut leases) = shared.with(|server| {
            let holder = |address| {
                let lease = server.lease(address)?;
                let is_active = lease.state == BindingState::Bound && lease.expires_unix > now.unix;
                is_active.then_some(lease.mac)
            };
            let names = server.names(now);
            let names = names.map(|(name, address)| (name.to_owned(), address));
            let names: Vec<(String, Ipv4Addr)> = names.collect();
            (identity::hosts(&daemon, holder), names)
        });
        leases.sort_unstable();
        // Of many names a second copy would be as long as the zone.
        let now = (own, hosts, state.hash_one(&leases));
        if published.as_ref() != Some(&now) {
            let (own, hosts, _) = &now;
            dns.publish(dns::zone(&daemon.config, own, hosts, leases));
            published = Some(now);
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE.max(start.elapsed() * SHARE)) => {}
            _ = stopping.changed() => return Ok(()),
        }
    }
}
