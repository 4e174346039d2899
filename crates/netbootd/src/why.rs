//! The story of one client's latest boot, for whoever asks why.

use boot::Why;
use model::MacAddr;

use crate::daemon::{Daemon, unix_millis};

/// The story of the client that has this name (with or without the domain), MAC address or address; or,
/// in words, what is known instead.
pub fn why(daemon: &Daemon, asked: &str) -> Result<Why, String> {
    let domain = format!(".{}", daemon.config.dns.domain);
    let asked = asked.trim_end_matches('.');
    let label = asked.strip_suffix(&domain).unwrap_or(asked);
    let timelines = daemon.timelines();
    let client = timelines.find(label).into_iter().next();
    let client = client.or_else(|| configured(&daemon.config, label));
    let story = client.and_then(|client| timelines.why(client, unix_millis()));
    story.ok_or_else(|| match client {
        Some(client) => format!(
            "nothing was heard of {label} ({client}) since netbootd started: is it on, does its firmware \
             boot from the network first, and is that card on a link that `netbootd status` lists?"
        ),
        None => format!(
            "no client that booted since netbootd started is called {label}, and none is configured so; \
             `netbootd status` lists them"
        ),
    })
}

/// The client that the configuration knows so.
fn configured(config: &config::Config, asked: &str) -> Option<MacAddr> {
    let address = asked.parse().ok();
    let mac = asked.parse().ok();
    let mut clients = config.clients.iter();
    let found = clients.find(|(client, settings)| {
        let hostname = settings.hostname.as_deref();
        hostname.is_some_and(|name| name.eq_ignore_ascii_case(asked))
            || (address.is_some() && settings.address == address)
            || mac == Some(**client)
    });
    found.map(|(client, _)| *client)
}
