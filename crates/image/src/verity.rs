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

/// How many blocks each level has, the lowest first: none over a single block of data.
fn levels(mut blocks: u64) -> Vec<u64> {
    let mut levels = Vec::new();
    while blocks > 1 {
        blocks = blocks.div_ceil(FAN_OUT);
        levels.push(blocks);
    }
    levels
}

/// Bytes of superblock and tree over this many blocks of data.
pub(crate) fn length(blocks: u64) -> u64 {
    (1 + levels(blocks).iter().sum::<u64>()) * BLOCK as u64
}

/// Whether the tree in `file` has the top that it must have. What is below is judged by that.
pub(crate) fn has_its_top(file: &File, verity: &Verity) -> io::Result<bool> {
    // Over a single block there is nothing but its own hash.
    is_sound(
        file,
        verity,
        match verity.blocks {
            1 => 0,
            _ => verity.tree_block(),
        },
    )
}

/// Whether a block of `file`, of its data or of its tree, is what it must be: its number is that in the file, as the
/// kernel tells it. False also of one that nothing is known of. Reads a block of each level.
///
/// # Errors
/// When the file cannot be read; that it is too short is no error.
pub fn is_sound(file: &File, verity: &Verity, block: u64) -> io::Result<bool> {
    let levels = levels(verity.blocks);
    // Down to the block: the data below a block of the tree is found through it.
    let mut begin = verity.tree_block();
    let mut data = block;
    for (height, count) in levels.iter().enumerate().rev() {
        if (begin..begin + count).contains(&block) {
            data = (block - begin) * FAN_OUT.pow(height as u32 + 1);
        }
        begin += count;
    }
    if data >= verity.blocks {
        return Ok(false);
    }
    let mut expected = verity.root_hash;
    let mut bytes = vec![0; BLOCK];
    let mut begin = verity.tree_block();
    for (height, count) in levels.iter().enumerate().rev() {
        let below = data / FAN_OUT.pow(height as u32);
        let at = begin + below / FAN_OUT;
        if !read(file, at, &expected, &mut bytes)? {
            return Ok(false);
        }
        if at == block {
            return Ok(true);
        }
        let entry = (below % FAN_OUT) as usize * HASH;
        expected.copy_from_slice(&bytes[entry..entry + HASH]);
        begin += count;
    }
    read(file, data, &expected, &mut bytes)
}

/// Reads a block; whether it is the one with this hash.
fn read(file: &File, block: u64, expected: &[u8; HASH], bytes: &mut [u8]) -> io::Result<bool> {
    let Some(at) = block.checked_mul(BLOCK as u64) else {
        return Ok(false);
    };
    match file.read_exact_at(bytes, at) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| Sha256::digest(&*bytes)[..] == *expected),
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
pub(crate) mod tests;
