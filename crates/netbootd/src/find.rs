//! Which machine the operator means.

use std::net::Ipv4Addr;

use model::MacAddr;

use crate::daemon::{Daemon, unix_millis};
use crate::services::dhcp::Shared;

/// The client that `text` names: by the MAC address of its card, which may be one that was never
/// seen, by what else it is known by in the configuration, by its address, or by its host name with or without the
/// domain. A machine that booted wins over one that is only configured, and that over one that only has a lease.
///
/// # Errors
/// That there is none, and which there are; or that it has no card yet.
pub fn client(daemon: &Daemon, shared: &Shared, text: &str) -> Result<MacAddr, String> {
    if let Ok(mac) = text.parse() {
        return Ok(mac);
    }
    let domain = format!(".{}", daemon.config.dns.domain);
    let name = text.trim_end_matches('.').to_ascii_lowercase();
    let name = name.strip_suffix(&domain).unwrap_or(&name);
    let booted = daemon.timelines().find(name).into_iter().next();
    if let Some(client) = booted {
        return Ok(client);
    }
    if let Some(found) = daemon.images.load().site.card_of(name) {
        return found;
    }
    let known = known(daemon, shared);
    let address: Option<Ipv4Addr> = name.parse().ok();
    let is_it =
        |known: &&Known| known.name == name || (address.is_some() && known.address == address);
    if let Some(known) = known.iter().find(is_it) {
        return Ok(known.client);
    }
    let mut names: Vec<String> = known.into_iter().map(|known| known.name).collect();
    names.sort_unstable();
    names.dedup();
    names.truncate(20);
    Err(match names.as_slice() {
        [] => format!("no client is called {text}; none is known yet"),
        names => format!("no client is called {text}; known are {}", names.join(", ")),
    })
}

/// A machine that has a table in the configuration, a timeline or a lease.
struct Known {
    name: String,
    address: Option<Ipv4Addr>,
    client: MacAddr,
}

/// All of them, those that win first.
fn known(daemon: &Daemon, shared: &Shared) -> Vec<Known> {
    let of = |client, address| Known {
        name: daemon.hostname(client),
        address,
        client,
    };
    let site = &daemon.images.load().site;
    let reserved = |client| daemon.config.clients.get(&site.known_by(client))?.address;
    let mut known: Vec<Known> = site
        .cards()
        .map(|client| of(client, reserved(client)))
        .collect();
    let booted = daemon.timelines().status(unix_millis());
    known.extend(
        booted
            .into_iter()
            .map(|status| of(status.client, status.address)),
    );
    shared.with(|server| {
        known.extend(server.leases().map(|lease| {
            Known {
                name: lease
                    .hostname
                    .as_deref()
                    .unwrap_or_default()
                    .to_ascii_lowercase(),
                address: Some(lease.address),
                client: lease.mac,
            }
        }));
    });
    known.retain(|known| !known.name.is_empty() || known.address.is_some());
    known
}
