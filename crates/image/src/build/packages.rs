//! Keeps dpkg from changing the source while it is read.

use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use super::BuildError;
use crate::progress::Progress;
use crate::scrub::{Action, Rule};
use crate::tree::Directory;

/// What apt and dpkg lock, in their order.
const LOCKS: [&str; 2] = ["var/lib/dpkg/lock-frontend", "var/lib/dpkg/lock"];

/// The locks of dpkg, held until dropped.
pub(super) struct Packages {
    _files: Vec<File>,
}

/// Takes the locks, waiting for a package run that is under way. Other package managers, and
/// sources that cannot be written to, are not locked.
pub(super) fn lock(
    tree: &Directory,
    progress: &dyn Progress,
    stop: &AtomicBool,
) -> Result<Packages, BuildError> {
    let mut files = Vec::new();
    for path in LOCKS {
        let Ok(file) = tree.open_to_lock(path) else {
            continue;
        };
        let mut told = false;
        loop {
            // dpkg uses fcntl's locks, so flock's would not be seen.
            match rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(Errno::ACCESS | Errno::AGAIN) => {}
                Err(_) => break, // a file system without locks
            }
            if stop.load(Ordering::Relaxed) {
                return Err(BuildError::Stopped);
            }
            if !told {
                progress
                    .note("packages are being installed in the source: waiting until that ends");
                told = true;
            }
            thread::sleep(Duration::from_millis(250));
        }
        files.push(file);
    }
    Ok(Packages { _files: files })
}

/// The lock files are left out of the image: a process loses such a lock as soon as it closes the
/// file once, which reading it for the image would do. dpkg makes them again.
pub(super) fn rule() -> Rule {
    Rule::new(
        "package-locks",
        "held while the image is made; made again when needed",
        Action::LeaveOut,
        &LOCKS,
    )
    .expect("the patterns are plain names")
}
