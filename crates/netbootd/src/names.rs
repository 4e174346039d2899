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
        let clock = lease_clock();
        let (now, leases) = shared.with(|server| {
            let holder = |address| {
                let lease = server.lease(address)?;
                let is_active =
                    lease.state == BindingState::Bound && lease.expires_unix > clock.unix;
                is_active.then_some(lease.mac)
            };
            let names = || server.names(clock);
            // They come in no order.
            let sum = names().map(|name| state.hash_one(name));
            let sum = sum.fold(0, u64::wrapping_add);
            let now = Some((own, identity::hosts(&daemon, holder), sum));
            // Of many names a copy is as long as the zone: it is made when something has changed.
            let owned = |(name, address): (&str, _)| (name.to_owned(), address);
            let leases = (published != now).then(|| names().map(owned).collect::<Vec<_>>());
            (now, leases)
        });
        if let (Some((own, hosts, _)), Some(leases)) = (&now, leases) {
            dns.publish(dns::zone(&daemon.config, own, hosts, leases));
            published = now;
            // What the making took goes back: as much as the zone has, twice and more.
            net::return_freed_memory();
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE.max(start.elapsed() * SHARE)) => {}
            _ = stopping.changed() => return Ok(()),
        }
    }
}
