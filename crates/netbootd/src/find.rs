//! Which machine the operator means.

use std::net::Ipv4Addr;

use model::MacAddr;

use crate::daemon::{Daemon, unix_millis};
use crate::services::dhcp::Shared;

/// The client that `text` names: by the MAC address of its card, which may be one that was never
/// seen, by its address, or by its host name with or without the domain.
///
/// # Errors
/// That there is none, and which there are.
pub fn client(daemon: &Daemon, shared: &Shared, text: &str) -> Result<MacAddr, String> {
    if let Ok(mac) = text.parse() {
        return Ok(mac);
    }
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        let leased = shared.with(|server| {
            let mut leases = server.leases();
            leases.find_map(|lease| (lease.address == address).then_some(lease.mac))
        });
        let found = daemon.client_at(address).or(leased);
        return found.ok_or_else(|| format!("no client is known at {address}"));
    }
    let name = text.to_ascii_lowercase();
    let domain = format!(".{}", daemon.config.dns.domain);
    let name = name.strip_suffix(&domain).unwrap_or(&name);
    let names = names(daemon, shared);
    match names.iter().find(|(known, _)| known == name) {
        Some((_, client)) => Ok(*client),
        None => {
            let mut known: Vec<&str> = names.iter().map(|(name, _)| name.as_str()).collect();
            known.sort_unstable();
            known.dedup();
            known.truncate(20);
            Err(match known.as_slice() {
                [] => format!("no client is called {text}; none is known yet"),
                known => format!("no client is called {text}; known are {}", known.join(", ")),
            })
        }
    }
}

/// Every name with its client: the configured ones first, since they win.
fn names(daemon: &Daemon, shared: &Shared) -> Vec<(String, MacAddr)> {
    let configured: Vec<MacAddr> = daemon.config.clients.keys().copied().collect();
    let seen = daemon.timelines().status(unix_millis());
    let seen = seen.into_iter().map(|status| status.client);
    let mut names: Vec<(String, MacAddr)> = configured
        .into_iter()
        .chain(seen)
        .map(|client| (daemon.hostname(client), client))
        .collect();
    shared.with(|server| {
        let leases = server.leases();
        names.extend(leases.filter_map(|lease| {
            let name = lease.hostname.as_deref()?;
            Some((name.to_ascii_lowercase(), lease.mac))
        }));
    });
    names
}
