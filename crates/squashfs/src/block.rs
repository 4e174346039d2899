//! A decompressed block, and its name in the cache.

use std::ops::Deref;

/// What a cached block is, since a corrupt image may name one place as two things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BlockKind {
    /// A metadata block of at most 8 KiB.
    Metadata,
    /// A data block or a fragment block.
    Data,
    /// Plain bytes of a table's index.
    Index,
}

/// Names one block of one archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlockKey {
    /// The archive, numbered by its [`Caches`].
    pub archive: u64,
    /// Where the stored block begins, in bytes from the start of the image.
    pub offset: u64,
    /// Bytes it takes in the image, with the format's "uncompressed" bit; 0 for metadata blocks,
    /// which say so themselves.
    pub size: u32,
    /// What it is.
    pub kind: BlockKind,
}

/// A decompressed block.
#[derive(Debug)]
pub struct Block {
    bytes: Box<[u8]>,
    /// Bytes it takes in the image, a metadata block's header included.
    pub(crate) stored: u32,
}

impl Block {
    pub(crate) fn new(bytes: Vec<u8>, stored: u32) -> Self {
        Self {
            bytes: bytes.into_boxed_slice(),
            stored,
        }
    }

    /// What it costs to keep: its bytes, its key (twice) and the allocations' own.
    pub(crate) fn weight(&self) -> usize {
        self.bytes.len() + 160
    }
}

impl Deref for Block {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}
