//! A decompressed block, and its name in the cache.

use std::ops::Deref;
use std::sync::Arc;

use crate::buffers::Buffers;

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
    bytes: Vec<u8>,
    /// Where the room goes back to.
    home: Option<Arc<Buffers>>,
    /// Bytes it takes in the image, a metadata block's header included.
    pub(crate) stored: u32,
}

impl Block {
    pub(crate) fn new(mut bytes: Vec<u8>, stored: u32) -> Self {
        bytes.shrink_to_fit();
        Self {
            bytes,
            home: None,
            stored,
        }
    }

    /// A block in room of `buffers`, which goes back there; one that fills little of it moves out.
    pub(crate) fn in_buffer(bytes: Vec<u8>, stored: u32, buffers: &Arc<Buffers>) -> Self {
        if bytes.len() < bytes.capacity() / 4 * 3 {
            let block = Self::new(bytes.as_slice().to_vec(), stored);
            buffers.give(bytes);
            return block;
        }
        Self {
            bytes,
            home: Some(Arc::clone(buffers)),
            stored,
        }
    }

    /// What it costs to keep: its bytes, its key (twice) and the allocations' own.
    pub(crate) fn weight(&self) -> usize {
        self.bytes.capacity() + 160
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if let Some(home) = &self.home {
            home.give(std::mem::take(&mut self.bytes));
        }
    }
}

impl Deref for Block {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}
