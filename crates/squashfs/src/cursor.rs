//! Reading through a chain of metadata blocks.

use std::sync::Arc;

use crate::archive::Archive;
use crate::block::Block;
use crate::error::{Error, Table};

/// Bytes in a full metadata block once it is decompressed. All but a table's last one are full.
pub(crate) const METADATA_LEN: usize = 8192;

/// The metadata blocks of one table: what a [`Cursor`] cannot leave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Region {
    pub(crate) table: Table,
    /// The first block, in bytes from the start of the image.
    pub(crate) start: u64,
    /// The byte after the last block.
    pub(crate) end: u64,
}

/// A place in decompressed metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// The stored block, in bytes from the start of the image.
    pub(crate) block: u64,
    /// Bytes into the decompressed block; its whole length means the start of the next one.
    pub(crate) offset: u32,
}

/// Reads metadata forwards from a place, over the ends of blocks, within a region.
pub(crate) struct Cursor<'a> {
    archive: &'a Archive,
    region: Region,
    at: u64,
    block: Arc<Block>,
    offset: usize,
}

impl<'a> Cursor<'a> {
    /// At `offset` of the block that begins `block` bytes into the region.
    pub(crate) fn open(
        archive: &'a Archive,
        region: Region,
        block: u64,
        offset: usize,
    ) -> Result<Self, Error> {
        let at = region
            .start
            .checked_add(block)
            .filter(|at| *at < region.end)
            .ok_or_else(|| {
                Error::corrupt(region.table, region.start, "reference leaves its table")
            })?;
        Self::at(
            archive,
            region,
            Position {
                block: at,
                offset: offset as u32,
            },
        )
    }

    /// At a place that another cursor of the region told.
    pub(crate) fn at(
        archive: &'a Archive,
        region: Region,
        position: Position,
    ) -> Result<Self, Error> {
        let block = archive.metadata_block(region.table, position.block, region.end)?;
        let cursor = Self {
            archive,
            region,
            at: position.block,
            block,
            offset: position.offset as usize,
        };
        if cursor.offset > cursor.block.len() {
            return Err(cursor.corrupt("reference leaves its metadata block"));
        }
        Ok(cursor)
    }

    /// Where the next byte is.
    pub(crate) fn position(&self) -> Position {
        Position {
            block: self.at,
            offset: self.offset as u32,
        }
    }

    /// What is wrong here.
    pub(crate) fn corrupt(&self, what: &'static str) -> Error {
        Error::corrupt(self.region.table, self.at, what)
    }

    /// The rest of this block; of the next one where this one is used up. Never empty.
    pub(crate) fn fill(&mut self) -> Result<&[u8], Error> {
        if self.offset == self.block.len() {
            let next = self.at + u64::from(self.block.stored);
            if next >= self.region.end {
                return Err(self.corrupt("the table ends in the middle of something"));
            }
            self.block = self
                .archive
                .metadata_block(self.region.table, next, self.region.end)?;
            self.at = next;
            self.offset = 0;
        }
        Ok(&self.block[self.offset..])
    }

    /// Goes on by `count` of the bytes that [`Cursor::fill`] returned.
    pub(crate) fn consume(&mut self, count: usize) {
        self.offset = (self.offset + count).min(self.block.len());
    }

    /// Fills `out`.
    pub(crate) fn take(&mut self, mut out: &mut [u8]) -> Result<(), Error> {
        while !out.is_empty() {
            let rest = self.fill()?;
            let count = rest.len().min(out.len());
            out[..count].copy_from_slice(&rest[..count]);
            out = &mut out[count..];
            self.consume(count);
        }
        Ok(())
    }

    /// Goes on by `count` bytes.
    pub(crate) fn skip(&mut self, mut count: u64) -> Result<(), Error> {
        while count != 0 {
            let step = (self.fill()?.len() as u64).min(count);
            self.consume(step as usize);
            count -= step;
        }
        Ok(())
    }

    /// Appends `count` bytes to `out`, which grows only by what is there.
    pub(crate) fn append(&mut self, mut count: usize, out: &mut Vec<u8>) -> Result<(), Error> {
        while count != 0 {
            let rest = self.fill()?;
            let step = rest.len().min(count);
            out.extend_from_slice(&rest[..step]);
            self.consume(step);
            count -= step;
        }
        Ok(())
    }

    /// The next `N` bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        // Almost always they lie in one block.
        if let Some(bytes) = self.block[self.offset..].first_chunk::<N>() {
            self.offset += N;
            return Ok(*bytes);
        }
        let mut bytes = [0; N];
        self.take(&mut bytes)?;
        Ok(bytes)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Error> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Error> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Error> {
        self.array().map(u64::from_le_bytes)
    }
}
