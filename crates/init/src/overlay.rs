//! What makes this client itself: the overlay that the server renders, and fresh ssh host keys.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use model::BootArguments;

use crate::http::{self, Patience};
use crate::retry::Failure;
use crate::{console, cpio, say, unpack};

const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(3),
    read: Duration::from_secs(10),
};

/// Largest overlay in bytes; a server that sends more is broken.
const MAX_LEN: usize = 64 << 20;

/// Fetches the archive.
pub(crate) fn fetch(arguments: &BootArguments) -> Result<Vec<u8>, Failure> {
    let path = format!("/client/{}/overlay.cpio", arguments.mac.hyphenated());
    let what = format!("fetching http://{}{path}", arguments.http());
    let with_token = format!("{path}?token={}", arguments.token);
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

/// The kind of key that every ssh client of the last ten years knows. One is enough, and each
/// more would cost a boot as long.
const KEY: &str = "ed25519";

/// An ssh host key being made.
pub(crate) struct HostKey(Option<Child>);

impl HostKey {
    /// Starts the image's own `ssh-keygen` when the image has an ssh server and neither it nor
    /// the overlay brings keys. Images are scrubbed of theirs, because all clients would share
    /// them.
    pub(crate) fn start(root: &Path) -> Self {
        let folder = root.join("etc/ssh");
        let names = fs::read_dir(&folder).into_iter().flatten().flatten();
        let has_keys = names
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .any(|name| name.starts_with("ssh_host_") && name.ends_with("_key"));
        let keygen = root.join("usr/bin/ssh-keygen");
        let wanted = folder.is_dir() && !has_keys && fs::symlink_metadata(keygen).is_ok();
        if !wanted {
            return Self(None);
        }
        let child = keygen_command(root).spawn();
        Self(
            child
                .inspect_err(|error| say!("ssh-keygen did not start: {error}"))
                .ok(),
        )
    }

    /// Waits for it. Without a key the machine still boots; only ssh to it does not work.
    pub(crate) fn finish(self) {
        let Some(child) = self.0 else { return };
        match console::patiently("waiting for ssh-keygen", || child.wait_with_output()) {
            Ok(output) if output.status.success() => {}
            Ok(output) => say!(
                "no ssh host key: ssh-keygen ended with {}: {}",
                output.status,
                String::from_utf8_lossy(&output.stderr).trim()
            ),
            Err(error) => say!("no ssh host key: {error}"),
        }
    }
}

/// This very program, asked to run `ssh-keygen` inside the new root.
fn keygen_command(root: &Path) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command
        .arg("in-root")
        .arg(root)
        .args(["/usr/bin/ssh-keygen", "-q", "-t", KEY, "-N", "", "-f"])
        .arg(format!("/etc/ssh/ssh_host_{KEY}_key"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}
