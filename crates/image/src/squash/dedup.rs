//! Finding files whose content the image already holds.
//!
//! Blocks, and files by the keys of their blocks, are known by 128 bits of BLAKE3, so that nobody who may put
//! files into a source can make two of them pass for one. A long file is read ahead of compression only if an
//! earlier one had the same length and the same first block.

use std::collections::{HashMap, HashSet};

use blake3::Hasher;

use super::blocks::ExtentId;

/// 128 bits that stand for some bytes.
pub(super) type Key = [u8; 16];

/// Stands for zeros, however many: no content's digest.
pub(super) const ZEROS: Key = [0; 16];

/// What a key is of: none is taken for one of another kind, whatever somebody puts into a file.
const FILE: &str = "netbootd image: a file of blocks";
const FRAGMENT: &str = "netbootd image: a fragment block of ends";
const OTHER: &str = "netbootd image: anything else";

/// The key of the concatenated parts.
pub(super) fn digest<T: AsRef<[u8]>>(parts: impl IntoIterator<Item = T>) -> Key {
    let mut hash = Hasher::new_derive_key(OTHER);
    for part in parts {
        hash.update(part.as_ref());
    }
    key(&hash)
}

fn key(hash: &Hasher) -> Key {
    short(hash.finalize())
}

fn short(hash: blake3::Hash) -> Key {
    let mut key = Key::default();
    key.copy_from_slice(&hash.as_bytes()[..16]);
    key
}

/// The key of a block of a file's content.
pub(super) fn block_key(content: &[u8]) -> Key {
    short(blake3::hash(content))
}

/// The key of a file, computed as its blocks pass, and theirs.
pub(super) struct FileKey {
    hash: Hasher,
    blocks: Vec<Key>,
}

impl FileKey {
    pub(super) fn new(size: u64) -> Self {
        let mut hash = Hasher::new_derive_key(FILE);
        hash.update(&size.to_le_bytes());
        Self {
            hash,
            blocks: Vec::new(),
        }
    }

    /// The next block, by its key; `None` is a block of zeros.
    pub(super) fn block(&mut self, block: Option<&Key>) {
        let key = block.unwrap_or(&ZEROS);
        self.hash.update(key);
        self.blocks.push(*key);
    }

    /// The keys of its blocks, [`ZEROS`] for a block of zeros.
    pub(super) fn blocks(&self) -> &[Key] {
        &self.blocks
    }

    pub(super) fn finish(&self) -> Key {
        key(&self.hash)
    }
}

/// The key of a fragment block, computed as it is filled: that of the ends in it, which are known already.
pub(super) struct FragmentKey(Hasher);

impl FragmentKey {
    pub(super) fn new() -> Self {
        Self(Hasher::new_derive_key(FRAGMENT))
    }

    /// The next end, by its length and key; `None` is zeros.
    pub(super) fn end(&mut self, length: usize, end: Option<&Key>) {
        self.0.update(&(length as u64).to_le_bytes());
        self.0.update(end.unwrap_or(&ZEROS));
    }

    pub(super) fn finish(self) -> Key {
        key(&self.0)
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
