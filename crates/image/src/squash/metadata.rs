//! Metadata blocks: 8 KiB of table each, compressed, with a two-byte length in front.

use std::io;

use super::compressor::Compressor;

/// Bytes of table in one metadata block.
pub(super) const BLOCK: usize = 8192;
/// In a block's length: "stored as it is".
pub(super) const STORED: u16 = 0x8000;

/// A place in a table of metadata blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Where the block begins, in bytes from the table's beginning.
    pub(super) start: u32,
    /// Where in the decompressed block: below 8192.
    pub(super) offset: u16,
}

impl Place {
    /// The form that inode references and the xattr table use.
    pub(super) fn reference(self) -> u64 {
        u64::from(self.start) << 16 | u64::from(self.offset)
    }
}

/// A table that grows at its end.
pub(super) struct Table {
    compressor: Compressor,
    finished: Vec<u8>,
    /// Where each finished block begins.
    starts: Vec<u32>,
    open: Vec<u8>,
    scratch: Vec<u8>,
}

impl Table {
    pub(super) fn new(compressor: Compressor) -> Self {
        Self {
            compressor,
            finished: Vec::new(),
            starts: Vec::new(),
            open: Vec::with_capacity(BLOCK),
            scratch: Vec::new(),
        }
    }

    /// Where the next byte will be. Never at the end of a block: a full block is closed at once.
    pub(super) fn place(&self) -> Place {
        Place {
            start: self.finished.len() as u32,
            offset: self.open.len() as u16,
        }
    }

    /// Bytes written so far, before compression.
    pub(super) fn written(&self) -> u64 {
        (self.starts.len() * BLOCK + self.open.len()) as u64
    }

    pub(super) fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let count = bytes.len().min(BLOCK - self.open.len());
            self.open.extend_from_slice(&bytes[..count]);
            bytes = &bytes[count..];
            if self.open.len() == BLOCK {
                self.close()?;
            }
        }
        Ok(())
    }

    /// The whole table, and where in it each block begins.
    pub(super) fn finish(mut self) -> io::Result<(Vec<u8>, Vec<u32>)> {
        if !self.open.is_empty() {
            self.close()?;
        }
        Ok((self.finished, self.starts))
    }

    fn close(&mut self) -> io::Result<()> {
        self.starts.push(self.finished.len() as u32);
        let smaller = self.compressor.compress(&self.open, &mut self.scratch)?;
        let (bytes, flag) = if smaller {
            (&self.scratch, 0)
        } else {
            (&self.open, STORED)
        };
        let length = bytes.len() as u16 | flag;
        self.finished.extend(length.to_le_bytes());
        self.finished.extend_from_slice(bytes);
        self.open.clear();
        Ok(())
    }
}
