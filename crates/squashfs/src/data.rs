//! File content: full blocks, holes, and the tail in a fragment.

use std::ops::Range;
use std::sync::Arc;

use crate::archive::{Archive, UNCOMPRESSED};
use crate::block::Block;
use crate::checkpoints::{Checkpoint, Checkpoints};
use crate::cursor::Cursor;
use crate::error::{Error, Table};
use crate::inode::{Body, Inode};
use crate::table::Lookup;

/// What one call decompresses where nothing is waited for, in bytes: two blocks of the usual size, and
/// a READ of 128 KiB touches no more.
const AT_ONCE: u32 = 256 * 1024;

/// A stretch of a file's content.
enum Piece {
    Bytes(Slice),
    Hole(usize),
}

/// Bytes of a decompressed block, which lives as long as somebody has some of it.
#[derive(Clone, Debug)]
pub struct Slice {
    block: Arc<Block>,
    range: Range<usize>,
}

impl Slice {
    /// The bytes from `start` to `end` of the block, if it has them.
    fn new(block: Arc<Block>, range: Range<usize>) -> Option<Self> {
        block.get(range.clone())?;
        Some(Self { block, range })
    }
}

impl std::ops::Deref for Slice {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.block.get(self.range.clone()).unwrap_or_default()
    }
}

impl Archive {
    /// Appends to `out` at most `len` bytes of a file's content from `offset`; returns how many.
    /// Fewer than `len` only at the end of the file. Holes are read as zeros.
    ///
    /// `out` grows by what is read: a caller bounds `len`.
    ///
    /// # Errors
    /// [`Error::NotAFile`], or what is wrong with the blocks that are touched; `out` is then as
    /// long as it was.
    pub fn read(
        &self,
        inode: &Inode,
        offset: u64,
        len: usize,
        out: &mut Vec<u8>,
    ) -> Result<usize, Error> {
        let before = out.len();
        let result = self.pieces(inode, offset, len, &mut |piece| match piece {
            Piece::Bytes(bytes) => out.extend_from_slice(&bytes),
            Piece::Hole(len) => out.resize(out.len() + len, 0),
        });
        if let Err(error) = result {
            out.truncate(before);
            return Err(error);
        }
        Ok(out.len() - before)
    }

    /// What [`Archive::read`] would append, not copied; `None` if there is a hole in it.
    ///
    /// # Errors
    /// As [`Archive::read`].
    pub fn slices(
        &self,
        inode: &Inode,
        offset: u64,
        len: usize,
    ) -> Result<Option<Vec<Slice>>, Error> {
        let mut slices = Some(Vec::new());
        self.pieces(inode, offset, len, &mut |piece| match piece {
            Piece::Bytes(bytes) => {
                if let Some(slices) = &mut slices {
                    slices.push(bytes);
                }
            }
            Piece::Hole(_) => slices = None,
        })?;
        Ok(slices)
    }

    /// Brings the blocks of a stretch of a file's content into the cache, for who will read it next.
    ///
    /// # Errors
    /// As [`Archive::read`].
    pub fn prefetch(&self, inode: &Inode, offset: u64, len: usize) -> Result<(), Error> {
        self.pieces(inode, offset, len, &mut |_| {})
    }

    /// Calls `piece` for each stretch of content in the range, in order.
    fn pieces(
        &self,
        inode: &Inode,
        offset: u64,
        len: usize,
        piece: &mut dyn FnMut(Piece),
    ) -> Result<(), Error> {
        let Body::File { fragment, .. } = inode.body else {
            return Err(Error::NotAFile {
                number: inode.number,
            });
        };
        let end = offset.saturating_add(len as u64).min(inode.size);
        if offset >= end {
            return Ok(());
        }
        let block_size = u64::from(self.superblock.block_size);
        let listed = match fragment {
            Some(_) => inode.size / block_size,
            None => inode.size.div_ceil(block_size),
        };
        let first = offset / block_size;
        let mut blocks = None;
        let mut loads = AT_ONCE / self.superblock.block_size;
        for number in first..=(end - 1) / block_size {
            let start = number * block_size;
            let expected = block_size.min(inode.size - start) as usize;
            // Both lie in a block of at most 1 MiB.
            let range = offset.saturating_sub(start) as usize
                ..usize::try_from(end - start).map_or(expected, |end| end.min(expected));
            if number >= listed {
                self.tail(fragment, expected, range, &mut loads, piece)?;
                continue;
            }
            let list = match &mut blocks {
                Some(list) => list,
                none => none.insert(BlockList::open(self, inode, first)?),
            };
            let (at, size) = list.next()?;
            if size == 0 {
                piece(Piece::Hole(range.len()));
                continue;
            }
            let block = self.data_block(at, size, &mut loads)?;
            let whole = block.len() == expected;
            match Slice::new(block, range) {
                Some(bytes) if whole => piece(Piece::Bytes(bytes)),
                _ => return Err(Error::corrupt(Table::Data, at, "block of the wrong length")),
            }
        }
        Ok(())
    }

    /// The part `range` of the last `len` bytes of a file, which lie in a fragment.
    fn tail(
        &self,
        fragment: Option<(u32, u32)>,
        len: usize,
        range: Range<usize>,
        loads: &mut u32,
        piece: &mut dyn FnMut(Piece),
    ) -> Result<(), Error> {
        let table = Lookup {
            table: Table::Fragments,
            index: self.superblock.fragments.unwrap_or(self.superblock.ids),
            entries: self.superblock.fragment_count.into(),
        };
        let (number, offset) = fragment.unwrap_or((u32::MAX, 0));
        let entry = table.entry::<16>(self, number.into())?;
        let [at, size] = [0, 8].map(|start| {
            let mut word = [0; 8];
            word.copy_from_slice(&entry[start..start + 8]);
            u64::from_le_bytes(word)
        });
        // The upper half of the second word is unused.
        let block = self.data_block(at, checked_size(size as u32, at)?, loads)?;
        let offset = offset as usize;
        let bytes = block
            .get(offset..offset + len)
            .and_then(|tail| tail.get(range.clone()))
            .and_then(|_| Slice::new(Arc::clone(&block), offset + range.start..offset + range.end))
            .ok_or_else(|| Error::corrupt(Table::Data, at, "fragment without the file's tail"))?;
        piece(Piece::Bytes(bytes));
        Ok(())
    }
}

/// A size word, if only the bits that the format has are set.
fn checked_size(word: u32, at: u64) -> Result<u32, Error> {
    if word & !(UNCOMPRESSED | (UNCOMPRESSED - 1)) != 0 {
        return Err(Error::corrupt(Table::Data, at, "bad size of a data block"));
    }
    Ok(word)
}

/// Walks the sizes of a file's blocks, and with them the blocks' places: each follows the last.
struct BlockList<'a> {
    cursor: Cursor<'a>,
    inode: &'a Inode,
    archive: &'a Archive,
    /// Number of the next block.
    item: u64,
    /// Where the next block lies in the image.
    at: u64,
}

impl<'a> BlockList<'a> {
    /// At block `number`.
    fn open(archive: &'a Archive, inode: &'a Inode, number: u64) -> Result<Self, Error> {
        let Body::File { start, sizes, .. } = inode.body else {
            return Err(Error::NotAFile {
                number: inode.number,
            });
        };
        let from = archive
            .checkpoints
            .before(inode.reference, number)
            .unwrap_or(Checkpoint {
                item: 0,
                position: sizes,
                sum: start,
            });
        let mut list = Self {
            cursor: Cursor::at(archive, archive.inodes(), from.position)?,
            inode,
            archive,
            item: from.item,
            at: from.sum,
        };
        while list.item < number {
            list.next()?;
        }
        Ok(list)
    }

    /// Where the next block lies, and its size word.
    fn next(&mut self) -> Result<(u64, u32), Error> {
        if self.item.is_multiple_of(Checkpoints::EVERY) && self.item != 0 {
            let checkpoint = Checkpoint {
                item: self.item,
                position: self.cursor.position(),
                sum: self.at,
            };
            self.archive
                .checkpoints
                .note(self.inode.reference, checkpoint);
        }
        let at = self.at;
        let word = checked_size(self.cursor.u32()?, at)?;
        self.item += 1;
        self.at = at.saturating_add(u64::from(word & !UNCOMPRESSED));
        Ok((at, word))
    }
}
