//! Finding files whose content the image already holds.
//!
//! Files are known by 128 bits of SHA-256 over their content, block by block, so that nobody who may put
//! files into a source can make two of them pass for one. A long file is read ahead of compression only if
//! an earlier one had the same length and the same first block.

use std::collections::{HashMap, HashSet};

use sha2::{Digest, Sha256};

use super::blocks::ExtentId;

/// 128 bits that stand for some bytes.
pub(super) type Key = [u8; 16];

/// The key of the concatenated parts.
pub(super) fn digest<T: AsRef<[u8]>>(parts: impl IntoIterator<Item = T>) -> Key {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    key(hash)
}

fn key(hash: Sha256) -> Key {
    let mut key = Key::default();
    key.copy_from_slice(&hash.finalize()[..16]);
    key
}

/// The key of a file, computed as its blocks pass.
#[derive(Clone)]
pub(super) struct FileKey(Sha256);

impl FileKey {
    pub(super) fn new(size: u64) -> Self {
        Self(Sha256::new().chain_update(size.to_le_bytes()))
    }

    /// The next block. A block of zeros costs nothing, however it came to be one.
    pub(super) fn block(&mut self, block: Option<&[u8]>) {
        match block {
            Some(bytes) => {
                self.0.update([1]);
                self.0.update(bytes);
            }
            None => self.0.update([0]),
        }
    }

    pub(super) fn finish(self) -> Key {
        key(self.0)
    }
}

/// What the image holds so far.
#[derive(Default)]
pub(super) struct Known {
    files: HashMap<Key, ExtentId>,
    beginnings: HashSet<Key>,
}

impl Known {
    pub(super) fn find(&self, file: &Key) -> Option<ExtentId> {
        self.files.get(file).copied()
    }

    pub(super) fn remember(&mut self, file: Key, extent: ExtentId) {
        self.files.insert(file, extent);
    }

    /// Whether an earlier file of several blocks began like this one (`beginning`: size and first block);
    /// from now on one did.
    pub(super) fn seen_beginning(&mut self, beginning: Key) -> bool {
        !self.beginnings.insert(beginning)
    }
}
