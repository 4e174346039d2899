//! The hash tree of a root, in the format of the kernel's dm-verity and of `veritysetup`.
//!
//! ```text
//! superblock, 1 block │ hashes of hashes, 1 block │ … │ hashes of the data's blocks
//! ```
//!
//! Blocks of 4096 bytes, SHA-256, no salt: 128 hashes in a block, so a tree is a 127th of what it is for. A salt
//! guards against collisions that somebody prepares for many images at once, of which SHA-256 has none; one that is
//! made of the image, so that the same image has the same tree, would only be known when the image is, and all of
//! it had to be read again.
//!
//! The client is told the hash at the top and the number of blocks on its kernel's command line. The superblock is
//! for people with `veritysetup`: netbootd takes nothing from it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use model::Verity;
use sha2::{Digest, Sha256};

const BLOCK: usize = Verity::BLOCK;
/// Bytes of a hash.
const HASH: usize = 32;
/// Hashes in a block.
const FAN_OUT: u64 = (BLOCK / HASH) as u64;

/// The hashes of blocks, one behind the other.
#[derive(Default)]
pub(crate) struct Hashes(Vec<u8>);

impl Hashes {
    /// Of all blocks of `data`, which has nothing but whole ones.
    pub(crate) fn of(data: &[u8]) -> Self {
        let mut hashes = Self::default();
        hashes.extend(data);
        hashes
    }

    /// Of the blocks that come next.
    pub(crate) fn extend(&mut self, data: &[u8]) {
        debug_assert_eq!(data.len() % BLOCK, 0);
        self.0.reserve(data.len() / FAN_OUT as usize);
        for block in data.chunks(BLOCK) {
            self.0.extend_from_slice(&Sha256::digest(block));
        }
    }

    /// Of the blocks that come before.
    pub(crate) fn prepend(&mut self, data: &[u8]) {
        self.0.splice(0..0, Self::of(data).0);
    }
}

/// A hash tree.
pub(crate) struct Tree {
    superblock: Vec<u8>,
    /// The blocks of each level, the lowest first.
    levels: Vec<Vec<u8>>,
    /// What it all comes to.
    pub(crate) verity: Verity,
}

impl Tree {
    /// Over the hashes of one block of data at least.
    pub(crate) fn of(hashes: Hashes) -> Self {
        let mut hashes = hashes.0;
        let blocks = (hashes.len() / HASH) as u64;
        let mut levels = Vec::new();
        while hashes.len() > HASH {
            hashes.resize(hashes.len().next_multiple_of(BLOCK), 0);
            let above = Hashes::of(&hashes);
            levels.push(std::mem::replace(&mut hashes, above.0));
        }
        let mut root_hash = [0; HASH];
        root_hash.copy_from_slice(&hashes);
        let verity = Verity { blocks, root_hash };
        Self {
            superblock: superblock(&verity),
            levels,
            verity,
        }
    }

    /// All of it, in the order in which it lies behind the data.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &[u8]> {
        let levels = self.levels.iter().rev().map(Vec::as_slice);
        std::iter::once(self.superblock.as_slice()).chain(levels)
    }
}

/// Bytes of superblock and tree over this many blocks of data.
pub(crate) fn length(mut blocks: u64) -> u64 {
    let mut all = 1;
    while blocks > 1 {
        blocks = blocks.div_ceil(FAN_OUT);
        all += blocks;
    }
    all * BLOCK as u64
}

/// Whether the tree in `file` has the top that it must have. What is below is judged by that.
pub(crate) fn has_its_top(file: &File, verity: &Verity) -> io::Result<bool> {
    // Over a single block there is nothing but its own hash.
    let at = match verity.blocks {
        1 => 0,
        _ => verity.tree_block(),
    };
    let mut top = vec![0; BLOCK];
    match file.read_exact_at(&mut top, at * BLOCK as u64) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| Sha256::digest(&top)[..] == verity.root_hash),
    }
}

/// `struct verity_sb` of cryptsetup, in a block of its own. Its UUID is the beginning of the root hash.
fn superblock(verity: &Verity) -> Vec<u8> {
    let mut text = Vec::with_capacity(BLOCK);
    text.extend(b"verity\0\0");
    text.extend(1u32.to_le_bytes()); // of the superblock
    text.extend(1u32.to_le_bytes()); // the salt, if there is any, before the data; hashes on powers of two
    text.extend(&verity.root_hash[..16]);
    text.extend(b"sha256");
    text.resize(64, 0);
    text.extend((BLOCK as u32).to_le_bytes());
    text.extend((BLOCK as u32).to_le_bytes());
    text.extend(verity.blocks.to_le_bytes());
    text.resize(BLOCK, 0); // no salt
    text
}

#[cfg(test)]
mod tests;
