//! What makes this client itself: the overlay that the server renders.

use std::path::Path;
use std::time::Duration;

use model::BootArguments;

use crate::http::{self, Patience};
use crate::retry::Failure;
use crate::{cpio, unpack};

const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(3),
    read: Duration::from_secs(10),
};

/// Largest overlay in bytes; a server that sends more is broken.
pub(crate) const MAX_LEN: usize = 64 << 20;

/// Fetches the archive.
pub(crate) fn fetch(arguments: &BootArguments) -> Result<Vec<u8>, Failure> {
    let path = format!("/client/{}/overlay.cpio", arguments.mac.hyphenated());
    let what = format!("fetching http://{}{path}", arguments.http());
    let network = arguments.network.as_ref();
    let dns = network.and_then(|network| network.dns);
    let dns = dns.map_or_else(String::new, |server| format!("&dns={server}"));
    let with_token = format!("{path}?token={}{dns}", arguments.token);
    let passing = |error| Failure::Passing(format!("{what}: {error}"));
    let answer = http::get(arguments.http(), &with_token, 0, PATIENCE).map_err(passing)?;
    match answer.head.status {
        200 => answer.into_body(MAX_LEN).map_err(passing),
        403 => Err(Failure::Final(format!(
            "{what}: the server does not accept this boot's token. It lives a few minutes and is good for one boot: start the machine again"
        ))),
        status @ 400..=499 => Err(Failure::Refused(format!(
            "{what}: the server answered {status}"
        ))),
        status => Err(Failure::Passing(format!(
            "{what}: the server answered {status}"
        ))),
    }
}

/// Unpacks it over the new root. Returns how many entries it had.
pub(crate) fn unpack(archive: &[u8], root: &Path) -> Result<usize, String> {
    let entries = cpio::parse(archive).map_err(|error| format!("the overlay: {error}"))?;
    unpack::into_root(root, &entries).map_err(|error| format!("the overlay: {error}"))?;
    Ok(entries.len())
}
