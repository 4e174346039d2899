//! Where files of a folder were last seen.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use quick_cache::UnitWeighter;
use quick_cache::sync::Cache;

/// A file of a folder: what its handle says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in super::super) struct FileId {
    /// Its number in the file system.
    pub(in super::super) inode: u64,
    /// Its time of birth, in nanoseconds since 1970: another file with this number was born at
    /// another time. 0 on file systems that are never written.
    pub(in super::super) born: u64,
}

/// Places that are remembered of one folder: about 100 bytes each.
pub(super) const CAPACITY: usize = 100_000;
/// Deepest path, in names. Also the end of a circle of places that have changed since.
pub(super) const MAX_DEPTH: usize = 4096;
/// How long a search that found nothing is not repeated.
const GONE_FOR: Duration = Duration::from_secs(10);
/// How many files are remembered to be gone.
const MAX_GONE: usize = 1024;

/// For inodes, the directory and name under which they were last seen. What is forgotten is found
/// again by a search.
#[derive(Debug)]
pub(super) struct Places {
    known: Cache<u64, (u64, Box<[u8]>)>,
    gone: Mutex<HashMap<FileId, Instant>>,
    /// Held by the one search that runs.
    pub(super) searching: Mutex<()>,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            known: Cache::with_weighter(1000, CAPACITY as u64, UnitWeighter),
            gone: Mutex::default(),
            searching: Mutex::default(),
        }
    }
}

impl Places {
    /// Remembers that `inode` is `name` in `directory`.
    pub(super) fn learn(&self, inode: u64, directory: u64, name: &[u8]) {
        let known = self.known.get(&inode);
        if known.is_none_or(|(parent, old)| parent != directory || *old != *name) {
            self.known.insert(inode, (directory, name.into()));
        }
    }

    /// The names from `root` down to `inode`, as they were last seen. Never empty.
    pub(super) fn path(&self, inode: u64, root: u64) -> Option<Vec<Box<[u8]>>> {
        let mut names = Vec::new();
        let mut at = inode;
        while at != root {
            let (parent, name) = self.known.get(&at)?;
            names.push(name);
            at = parent;
            if names.len() > MAX_DEPTH {
                return None;
            }
        }
        names.reverse();
        (!names.is_empty()).then_some(names)
    }

    /// Whether a search has just not found it.
    pub(super) fn is_gone(&self, id: FileId) -> bool {
        let gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        gone.get(&id).is_some_and(|at| at.elapsed() < GONE_FOR)
    }

    /// Remembers that a search has not found it.
    pub(super) fn was_not_found(&self, id: FileId) {
        let mut gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        if gone.len() >= MAX_GONE {
            gone.clear();
        }
        gone.insert(id, Instant::now());
    }
}
