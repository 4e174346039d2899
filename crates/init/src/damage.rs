//! Telling the server of blocks of the root that are not what they must be.
//!
//! dm-verity makes each a read error for whoever reads it, and an event of its device. A process of our own waits for
//! those events from before the root is mounted until the machine is switched off: it is no unit of the image's, for
//! the damage may be what keeps those from starting.

use std::collections::HashSet;
use std::fs::OpenOptions;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::process::Command;
use std::time::{Duration, Instant};

use model::BootArguments;
use rustix::io::Errno;
use rustix::net::RecvFlags;

use crate::{ask, client, uevent};

/// What the process finds the arguments of the boot in: its own environment, which nobody but root may read.
const ARGUMENTS: &str = "NETBOOTD_BOOT";
/// Blocks that are told; a root with more of them has one cause.
const MAX_BLOCKS: usize = 16;
/// How often the page cache is emptied at most.
const PAUSE: Duration = Duration::from_secs(5);

/// The events, from now on.
pub(crate) struct Watch(OwnedFd);

impl Watch {
    /// Listens; do it before there is a device.
    pub(crate) fn begin() -> Result<Self, String> {
        uevent::open()
            .map(Self)
            .map_err(|error| format!("listening to the kernel's events: {error}"))
    }

    /// Starts the process, from the file that stays: that of `/init` can go with the initramfs. Its standard input is
    /// the events. Its standard output is where it empties the page cache: it has the initramfs for its root, and sees
    /// no `/proc` once the image's root is `/`.
    pub(crate) fn leave_behind(self, arguments: &BootArguments) -> Result<(), String> {
        let failed = |error| format!("starting the watch over the root: {error}");
        let drop_caches = OpenOptions::new()
            .write(true)
            .open("/proc/sys/vm/drop_caches");
        Command::new(client::program().map_err(failed)?)
            .arg("damage")
            .env_clear()
            .env(ARGUMENTS, arguments.render())
            .stdin(self.0)
            .stdout(drop_caches.map_err(failed)?)
            .spawn()
            .map(drop)
            .map_err(failed)
    }
}

/// The process: tells the server of each block, once.
pub(crate) fn tell() -> Result<(), String> {
    let words = std::env::var(ARGUMENTS).map_err(|_| "this is started by init alone")?;
    let arguments = BootArguments::parse(&words).map_err(|error| error.to_string())?;
    let failed = |what: &str, error: std::io::Error| format!("{what}: {error}");
    let duplicate = |fd: std::os::fd::BorrowedFd<'_>| fd.try_clone_to_owned();
    let events = duplicate(std::os::fd::AsFd::as_fd(&std::io::stdin()));
    let events = events.map_err(|error| failed("the events", error))?;
    let drop_caches = duplicate(std::os::fd::AsFd::as_fd(&std::io::stdout()));
    let drop_caches = drop_caches.map_err(|error| failed("the page cache", error))?;
    let drop_caches = std::fs::File::from(drop_caches);
    let mut told = HashSet::new();
    let mut emptied: Option<Instant> = None;
    let mut buffer = [0; 8192];
    loop {
        let length = match rustix::net::recv(&events, &mut buffer, RecvFlags::empty()) {
            Ok((length, _)) => length,
            // What was lost of thousands of events is most likely none of ours, and comes again with the next read.
            Err(Errno::INTR | Errno::NOBUFS) => continue,
            Err(error) => return Err(failed("the events", error.into())),
        };
        let Some(block) = damaged(&buffer[..length]) else {
            continue;
        };
        // A block that changed on its way must not be kept: the next read asks the server again.
        if emptied.is_none_or(|at| at.elapsed() > PAUSE) {
            emptied = Some(Instant::now());
            let _ = drop_caches.write_at(b"1", 0);
        }
        if told.len() < MAX_BLOCKS
            && !told.contains(&block)
            && ask::server(&arguments, ("damage", "block"), block.to_string()).is_ok()
        {
            told.insert(block);
        }
    }
}

/// The block of the root's device that an event is about: `DM_VERITY_ERR_BLOCK_NR=KIND,BLOCK`. The tree's blocks are
/// counted like the data's, as they are in the same file.
fn damaged(event: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(event).ok()?;
    let (heading, words) = text.split_once('\0')?;
    let ours = heading.starts_with("change@") && heading.contains("/block/dm-");
    let value = |key: &str| {
        let mut words = words.split('\0');
        words.find_map(|word| word.strip_prefix(key))
    };
    let (_, block) = value("DM_VERITY_ERR_BLOCK_NR=")
        .filter(|_| ours)?
        .split_once(',')?;
    block.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_a_damaged_block_is_told_from_others() {
        let event = b"change@/devices/virtual/block/dm-0\0ACTION=change\0SUBSYSTEM=block\0DM_VERITY_ERR_BLOCK_NR=0,4711\0DEVNAME=dm-0\0";
        assert_eq!(damaged(event), Some(4711));
        assert_eq!(
            damaged(b"change@/devices/virtual/block/dm-0\0ACTION=change\0"),
            None
        );
        assert_eq!(
            damaged(b"add@/devices/x\0DM_VERITY_ERR_BLOCK_NR=0,1\0"),
            None
        );
        assert_eq!(
            damaged(b"change@/devices/virtual/block/dm-0\0DM_VERITY_ERR_BLOCK_NR=x\0"),
            None
        );
        assert_eq!(damaged(b"\xff\xfe"), None);
        assert_eq!(damaged(b""), None);
    }
}
