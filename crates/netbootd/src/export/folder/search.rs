//! Finding a file whose place is not known: after a restart, or when it was moved.

use std::sync::TryLockError;
use std::time::{Duration, Instant};

use nfs::Status;
use rustix::fs::{FileType, RawDir};

use super::beneath::{self, LIST};
use super::file::File;
use super::places::{CAPACITY, FileId};
use super::{Folder, listing};

/// A search ends after so many names. What lies behind them is found by looking it up only.
const MAX_NAMES: usize = 4_000_000;
/// A search that has taken so long is broken off, and the client is asked to try again later; by
/// then the kernel has in memory what it had to read.
const MAX_TIME: Duration = Duration::from_secs(10);
/// How long a call waits for the search of another.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is still to be looked into of one directory on the way down.
type Level = Vec<Box<[u8]>>;

impl Folder {
    /// Looks through the folder until `wanted` was seen, and remembers the place of all that it
    /// sees on the way; goes on as long as there is room to remember more. One search runs at a
    /// time, those that wait for it look again afterwards.
    pub(super) fn search(&self, root: &File, wanted: FileId) -> Result<(), Status> {
        let patience = Instant::now() + PATIENCE;
        let _searching = loop {
            match self.places.searching.try_lock() {
                Ok(guard) => break guard,
                Err(TryLockError::Poisoned(poisoned)) => break poisoned.into_inner(),
                Err(TryLockError::WouldBlock) if Instant::now() > patience => {
                    return Err(Status::JukeBox);
                }
                Err(TryLockError::WouldBlock) => {
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        };
        if self.at_its_place(root, wanted).is_some() {
            return Ok(());
        }
        if self.places.is_gone(wanted) {
            return Err(Status::Stale);
        }
        if self.walk(root, wanted)? {
            return Ok(());
        }
        self.places.was_not_found(wanted);
        Err(Status::Stale)
    }

    fn walk(&self, root: &File, wanted: FileId) -> Result<bool, Status> {
        let end = Instant::now() + MAX_TIME;
        let (mut seen, mut found) = (0, false);
        let mut path: Vec<Box<[u8]>> = Vec::new();
        let mut levels = vec![self.look_into(root, &path, root, wanted, &mut seen, &mut found)];
        while let Some(level) = levels.last_mut() {
            if seen > MAX_NAMES || (found && seen > CAPACITY) {
                break;
            }
            if Instant::now() > end {
                return if found {
                    Ok(true)
                } else {
                    Err(Status::JukeBox)
                };
            }
            let Some(name) = level.pop() else {
                levels.pop();
                path.pop();
                continue;
            };
            path.push(name);
            let directory = beneath::open_path(root, &path, beneath::ASK).and_then(File::new);
            match directory {
                Ok(directory) if directory.device() == root.device() => levels
                    .push(self.look_into(&directory, &path, root, wanted, &mut seen, &mut found)),
                // Gone meanwhile, another file system, or not for us: nothing to be found there.
                _ => {
                    path.pop();
                }
            }
        }
        Ok(found)
    }

    /// Remembers what is in a directory.
    fn look_into(
        &self,
        directory: &File,
        path: &[Box<[u8]>],
        root: &File,
        wanted: FileId,
        seen: &mut usize,
        found: &mut bool,
    ) -> Level {
        let inode = directory.id().inode;
        let mut names = Vec::new();
        let mut buffer = listing::buffer();
        if let Ok(list) = beneath::open(directory, b".", LIST) {
            let mut entries = RawDir::new(list, &mut buffer);
            while let Some(Ok(entry)) = entries.next() {
                let name = entry.file_name().to_bytes();
                if name == b"." || name == b".." {
                    continue;
                }
                *seen += 1;
                self.places.learn(entry.ino(), inode, name);
                *found |= entry.ino() == wanted.inode && self.at_its_place(root, wanted).is_some();
                let may_be_directory =
                    matches!(entry.file_type(), FileType::Directory | FileType::Unknown);
                if may_be_directory && path.len() < super::places::MAX_DEPTH {
                    names.push(name.into());
                }
            }
        }
        names
    }
}
