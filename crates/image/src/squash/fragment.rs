//! Fragment blocks: the ends of many files packed together.

use std::io;

use super::blocks::STORED;
use super::dedup::{FragmentKey, Key, block_key};
use super::error::{Error, shown};
use crate::entry::Content;

/// "This file has no fragment."
pub(super) const NONE: u32 = u32::MAX;

/// Where the end of a file is: in which fragment block, and from which byte of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fragment {
    pub(super) block: u32,
    pub(super) offset: u32,
}

/// A block's content, parts of which are read only when somebody must know them.
#[derive(Default)]
pub(super) struct Closed {
    pub(super) bytes: Vec<u8>,
    pub(super) unread: Vec<Unread>,
}

/// A file whose content has its place in a block and was not read.
pub(super) struct Unread {
    at: usize,
    length: usize,
    key: Key,
    path: Box<[u8]>,
    content: Box<dyn Content>,
}

impl From<Vec<u8>> for Closed {
    fn from(bytes: Vec<u8>) -> Self {
        let unread = Vec::new();
        Self { bytes, unread }
    }
}

impl Closed {
    /// Reads what was not read.
    pub(super) fn fill(&mut self) -> Result<(), Error> {
        for mut file in self.unread.drain(..) {
            let bytes = &mut self.bytes[file.at..file.at + file.length];
            let same = match file.content.fill(bytes, 0) {
                Ok(_) if block_key(bytes) == file.key => Ok(()),
                Ok(_) => Err(io::Error::other(
                    "it was written to while the image was made; build again",
                )),
                Err(cause) => Err(cause),
            };
            let path = || shown(&file.path);
            same.map_err(|cause| Error::Read {
                path: path(),
                cause,
            })?;
        }
        Ok(())
    }
}

/// The fragment block that is being filled, and the table of the finished ones.
pub(super) struct Fragments {
    block_size: usize,
    open: Closed,
    key: FragmentKey,
    /// Blocks handed out by [`Fragments::close`] so far: the number of the open one.
    closed: u32,
    table: Vec<u8>,
    /// Lengths of the written blocks: as stored, and decompressed.
    lengths: Vec<(u32, u32)>,
    raw: Vec<u32>,
}

impl Fragments {
    pub(super) fn new(block_size: usize) -> Self {
        Self {
            block_size,
            open: Closed::default(),
            key: FragmentKey::new(),
            closed: 0,
            table: Vec::new(),
            lengths: Vec::new(),
            raw: Vec::new(),
        }
    }

    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.open.bytes.len() + bytes <= self.block_size
    }

    /// Appends a file's end, for which there must be room. `key` is its key, `None` for zeros.
    pub(super) fn append(&mut self, end: &[u8], key: Option<&Key>) -> Fragment {
        let place = self.place(end.len(), key);
        self.open.bytes.extend_from_slice(end);
        place
    }

    /// Likewise a whole file of `length` bytes that was not read.
    pub(super) fn append_unread(
        &mut self,
        length: usize,
        key: Key,
        path: &[u8],
        content: Box<dyn Content>,
    ) -> Fragment {
        let place = self.place(length, Some(&key));
        let at = self.open.bytes.len();
        self.open.bytes.resize(at + length, 0);
        self.open.unread.push(Unread {
            at,
            length,
            key,
            path: path.into(),
            content,
        });
        place
    }

    fn place(&mut self, length: usize, key: Option<&Key>) -> Fragment {
        debug_assert!(self.has_room(length), "the caller closes a full block");
        self.key.end(length, key);
        Fragment {
            block: self.closed,
            offset: self.open.bytes.len() as u32,
        }
    }

    /// Swaps the open block for an empty one and answers it with its key, or `None` when nothing is in it.
    pub(super) fn close(&mut self, empty: impl FnOnce() -> Vec<u8>) -> Option<(Closed, Key)> {
        if self.open.bytes.is_empty() {
            return None;
        }
        self.closed += 1;
        self.raw.push(self.open.bytes.len() as u32);
        let key = std::mem::replace(&mut self.key, FragmentKey::new());
        Some((
            std::mem::replace(&mut self.open, empty().into()),
            key.finish(),
        ))
    }

    /// A closed block was written; blocks are written in the order in which they were closed.
    pub(super) fn written(&mut self, start: u64, size_word: u32) {
        let raw = self
            .raw
            .get(self.lengths.len())
            .copied()
            .unwrap_or_default();
        self.lengths.push((size_word & !STORED, raw));
        self.table.extend(start.to_le_bytes());
        self.table.extend(size_word.to_le_bytes());
        self.table.extend(0_u32.to_le_bytes());
    }

    /// Bytes that a written block takes, and bytes in it.
    pub(super) fn lengths(&self, block: u32) -> (u64, u64) {
        let (stored, raw) = self
            .lengths
            .get(block as usize)
            .copied()
            .unwrap_or_default();
        (stored.into(), raw.into())
    }

    pub(super) fn count(&self) -> u32 {
        self.closed
    }

    /// The table: (start u64, size word u32, unused u32) for each block.
    pub(super) fn encode(&self) -> &[u8] {
        &self.table
    }
}
