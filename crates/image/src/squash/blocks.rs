//! The data area: what files hold, cut into blocks.
//!
//! Full blocks of a file lie one after another; its end goes into a fragment block. A block of zeros is not
//! stored at all. A file whose bytes the image already holds points at them.

use std::io::{self, Read, Seek, Write};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};

use super::compressor::Compressor;
use super::dedup::{self, FileKey, Key, Known};
use super::error::{Error, shown};
use super::fragment::{Fragment, Fragments};
use super::output::Output;
use super::pipeline::Pipeline;
use super::reuse::{List, Previous};
use crate::entry::Content;
use crate::progress::Progress;

/// In a size word: "stored as it is".
pub(super) const STORED: u32 = 1 << 24;

/// Which [`Extent`].
pub(super) type ExtentId = u32;

/// Where the bytes of a file are. Files with the same bytes share one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    pub(super) size: u64,
    /// Where its first stored block begins in the image.
    pub(super) start: u64,
    /// Its first size word in [`Blocks::size_words`] and how many it has.
    pub(super) first: u32,
    pub(super) count: u32,
    pub(super) fragment: Option<Fragment>,
    /// Bytes in blocks of zeros.
    pub(super) sparse: u64,
}

/// A block in flight.
struct Tag {
    key: Key,
    role: Role,
}

/// What a block in flight is for.
enum Role {
    Data { extent: ExtentId, word: u32 },
    Fragment,
}

/// A block of a file, read.
struct Block {
    length: usize,
    /// Its content; empty for a hole, of which nothing was read.
    bytes: Vec<u8>,
    /// `None`: it is all zeros.
    key: Option<Key>,
}

pub(super) struct Settings {
    pub(super) block_size: usize,
    pub(super) threads: NonZeroUsize,
    pub(super) tail_packing: bool,
}

pub(super) struct Blocks<'a, W: Write> {
    settings: Settings,
    progress: &'a dyn Progress,
    stop: &'a AtomicBool,
    output: Output<W>,
    pipeline: Pipeline<Tag>,
    fragments: Fragments,
    extents: Vec<Extent>,
    /// For each block of each extent its stored length, with [`STORED`]; 0 is a block of zeros.
    size_words: Vec<u32>,
    known: Known,
    previous: Option<Previous<'a>>,
    list: List,
    /// Files, and their bytes, that were found to be in the image already.
    pub(super) duplicates: u64,
    pub(super) duplicate_bytes: u64,
    /// Blocks that are stored, and those among them that were taken over from the previous image.
    stored: u64,
    reused: u64,
}

impl<'a, W: Read + Write + Seek> Blocks<'a, W> {
    pub(super) fn new(
        settings: Settings,
        output: Output<W>,
        make: impl Fn() -> io::Result<Compressor>,
        previous: Option<Previous<'a>>,
        progress: &'a dyn Progress,
        stop: &'a AtomicBool,
    ) -> Result<Self, Error> {
        Ok(Self {
            list: List::new(output.position()),
            previous,
            pipeline: Pipeline::start(settings.threads, make).map_err(Error::Compress)?,
            fragments: Fragments::new(settings.block_size),
            settings,
            progress,
            stop,
            output,
            extents: Vec::new(),
            size_words: Vec::new(),
            known: Known::default(),
            duplicates: 0,
            duplicate_bytes: 0,
            stored: 0,
            reused: 0,
        })
    }

    /// Stores a file of `size` bytes, or finds it.
    pub(super) fn add(
        &mut self,
        path: &[u8],
        size: u64,
        content: &mut dyn Content,
    ) -> Result<ExtentId, Error> {
        let mut reader = Reader {
            path,
            size,
            content,
            short: false,
        };
        let extent = match size {
            0 => self.begin(0),
            _ if size > self.settings.block_size as u64 => self.add_long(&mut reader)?,
            _ => self.add_short(&mut reader)?,
        };
        if reader.short || reader.content.changed() {
            let text = format!(
                "{} changed while it was read; the image may hold a mixture",
                shown(path)
            );
            self.progress.note(&text);
        }
        Ok(extent)
    }

    /// A file of at most one block: read it, and only then decide.
    fn add_short(&mut self, reader: &mut Reader<'_>) -> Result<ExtentId, Error> {
        let block = self.read(reader, 0)?;
        let mut key = FileKey::new(reader.size);
        key.block(block.key.as_ref());
        let key = key.finish();
        if let Some(extent) = self.found(&key, reader.size) {
            self.pipeline.recycle(block.bytes);
            return Ok(extent);
        }
        let extent = self.begin(reader.size);
        self.place(extent, block)?;
        self.known.remember(key, extent);
        Ok(extent)
    }

    /// A file of several blocks: stored as it is read, unless one with the same beginning came before.
    fn add_long(&mut self, reader: &mut Reader<'_>) -> Result<ExtentId, Error> {
        let mut block = self.read(reader, 0)?;
        let mut key = FileKey::new(reader.size);
        key.block(block.key.as_ref());
        if self.known.seen_beginning(key.clone().finish())
            && let Some(extent) = self.find_whole(reader, key.clone())?
        {
            self.pipeline.recycle(block.bytes);
            return Ok(extent);
        }
        let extent = self.begin(reader.size);
        let mut offset = 0;
        loop {
            offset += block.length as u64;
            self.place(extent, block)?;
            if offset == reader.size {
                break;
            }
            block = self.read(reader, offset)?;
            key.block(block.key.as_ref());
        }
        self.known.remember(key.finish(), extent);
        Ok(extent)
    }

    /// Reads the rest of a file, whose first block is in `key`, only to see whether the image holds it.
    fn find_whole(
        &mut self,
        reader: &mut Reader<'_>,
        mut key: FileKey,
    ) -> Result<Option<ExtentId>, Error> {
        let mut offset = self.settings.block_size as u64;
        while offset < reader.size {
            let block = self.read(reader, offset)?;
            key.block(block.key.as_ref());
            offset += block.length as u64;
            self.pipeline.recycle(block.bytes);
        }
        Ok(self.found(&key.finish(), reader.size))
    }

    fn found(&mut self, key: &Key, size: u64) -> Option<ExtentId> {
        let extent = self.known.find(key)?;
        self.duplicates += 1;
        self.duplicate_bytes += size;
        self.progress.advance(size);
        Some(extent)
    }

    fn begin(&mut self, size: u64) -> ExtentId {
        self.extents.push(Extent {
            size,
            start: 0,
            first: self.size_words.len() as u32,
            count: 0,
            fragment: None,
            sparse: 0,
        });
        self.extents.len() as u32 - 1
    }

    /// Puts the next block of `extent` where it belongs: nowhere, a data block, or a fragment block.
    fn place(&mut self, id: ExtentId, block: Block) -> Result<(), Error> {
        let Block {
            length,
            mut bytes,
            key,
        } = block;
        self.progress.advance(length as u64);
        let extent = &mut self.extents[id as usize];
        let alone = extent.size <= self.settings.block_size as u64;
        let packed = length < self.settings.block_size && (alone || self.settings.tail_packing);
        if packed {
            if !self.fragments.has_room(length) {
                self.close_fragment()?;
            }
            bytes.resize(length, 0);
            let fragment = self.fragments.append(&bytes, key.as_ref());
            self.extents[id as usize].fragment = Some(fragment);
            self.pipeline.recycle(bytes);
            return Ok(());
        }
        extent.count += 1;
        let word = self.size_words.len() as u32;
        self.size_words.push(0);
        if let Some(key) = key {
            let role = Role::Data { extent: id, word };
            return self.submit(bytes, Tag { key, role });
        }
        extent.sparse += length as u64;
        self.pipeline.recycle(bytes);
        Ok(())
    }

    fn close_fragment(&mut self) -> Result<(), Error> {
        match self.fragments.close(|| self.pipeline.buffer()) {
            Some((bytes, key)) => {
                let role = Role::Fragment;
                self.submit(bytes, Tag { key, role })
            }
            None => Ok(()),
        }
    }

    fn submit(&mut self, raw: Vec<u8>, tag: Tag) -> Result<(), Error> {
        while self.pipeline.is_full() {
            self.commit()?;
        }
        self.stored += 1;
        if let Some(previous) = &self.previous {
            let mut stored = self.pipeline.buffer();
            if let Some(compressed) = previous.read(&tag.key, &mut stored) {
                self.reused += 1;
                self.pipeline.recycle(raw);
                self.pipeline.submit_ready(stored, compressed, tag);
                return Ok(());
            }
            self.pipeline.recycle(stored);
        }
        self.pipeline.submit(raw, tag).map_err(Error::Compress)
    }

    /// Writes the oldest block in flight; `false` when there is none.
    fn commit(&mut self) -> Result<bool, Error> {
        let Some(block) = self.pipeline.take().map_err(Error::Compress)? else {
            return Ok(false);
        };
        let start = self.output.position();
        let flag = if block.compressed { 0 } else { STORED };
        let size_word = block.bytes.len() as u32 | flag;
        self.list.push(&block.tag.key, size_word, &block.bytes);
        match block.tag.role {
            Role::Fragment => self.fragments.written(start, size_word),
            Role::Data { extent, word } => {
                self.size_words[word as usize] = size_word;
                let extent = &mut self.extents[extent as usize];
                if extent.start == 0 {
                    extent.start = start;
                }
            }
        }
        self.output.write(&block.bytes).map_err(Error::Write)?;
        self.pipeline.recycle(block.bytes);
        Ok(true)
    }

    /// Reads the block at `offset`.
    fn read(&mut self, reader: &mut Reader<'_>, offset: u64) -> Result<Block, Error> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(Error::Stopped);
        }
        let mut bytes = self.pipeline.buffer();
        let length = (reader.size - offset).min(self.settings.block_size as u64) as usize;
        let data = reader.read(offset, length, &mut bytes)?;
        let key = data.then(|| dedup::block_key(&bytes));
        Ok(Block { length, bytes, key })
    }

    /// Writes everything that is still in flight; nothing can be added afterwards.
    pub(super) fn finish(mut self) -> Result<Stored<W>, Error> {
        self.close_fragment()?;
        while self.commit()? {}
        Ok(Stored {
            output: self.output,
            block_size: self.settings.block_size as u64,
            blocks: self.stored,
            reused: self.reused,
            extents: self.extents,
            size_words: self.size_words,
            fragments: self.fragments,
            list: self.list,
        })
    }
}

/// The finished data area.
pub(super) struct Stored<W: Write> {
    pub(super) output: Output<W>,
    pub(super) block_size: u64,
    /// As in [`Blocks`].
    pub(super) blocks: u64,
    pub(super) reused: u64,
    pub(super) extents: Vec<Extent>,
    pub(super) size_words: Vec<u32>,
    pub(super) fragments: Fragments,
    pub(super) list: List,
}

impl<W: Write> Stored<W> {
    /// The extent and its size words.
    pub(super) fn extent(&self, id: ExtentId) -> (&Extent, &[u32]) {
        let extent = &self.extents[id as usize];
        let first = extent.first as usize;
        (
            extent,
            &self.size_words[first..first + extent.count as usize],
        )
    }
}

/// Reads a file as if its size could not change.
struct Reader<'c> {
    path: &'c [u8],
    size: u64,
    content: &'c mut dyn Content,
    /// The content ended before the size it promised.
    short: bool,
}

impl Reader<'_> {
    /// Reads `length` bytes into `buffer`, none if they lie in a hole; whether any is not zero.
    fn read(&mut self, offset: u64, length: usize, buffer: &mut Vec<u8>) -> Result<bool, Error> {
        buffer.clear();
        if self.content.is_hole(offset, length) {
            return Ok(false);
        }
        buffer.resize(length, 0);
        let filled = self.content.fill(buffer, offset);
        let filled = filled.map_err(|cause| Error::Read {
            path: shown(self.path),
            cause,
        })?;
        if filled < length {
            self.short = true;
            buffer[filled..].fill(0);
        }
        Ok(!is_zero(buffer))
    }
}

/// Whether all bytes are zero. Most blocks say no at their first words.
fn is_zero(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<16>();
    words.iter().all(|word| u128::from_ne_bytes(*word) == 0) && rest.iter().all(|byte| *byte == 0)
}
