//! The story of one client's latest boot, for whoever asks why.

use boot::Why;

use crate::daemon::{Daemon, unix_millis};
use crate::find;
use crate::services::dhcp::Shared;

/// The story of the client that has this name (with or without the domain), MAC address or address; or,
/// in words, what is known instead.
pub fn why(daemon: &Daemon, shared: &Shared, asked: &str) -> Result<Why, String> {
    let client = find::client(daemon, shared, asked)?;
    let story = daemon.timelines().why(client, unix_millis());
    let story = story.map(|story| Why {
        packets: daemon.captures.file(client),
        ..story
    });
    story.ok_or_else(|| {
        format!(
            "nothing was heard of {asked} ({client}) since netbootd started: is it on, does its firmware \
             boot from the network first, and is that card on a link that `netbootd status` lists?"
        )
    })
}
