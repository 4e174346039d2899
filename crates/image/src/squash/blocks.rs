//! The data area: what files hold, cut into blocks.
//!
//! Full blocks of a file lie one after another; its end goes into a fragment block. A block of zeros is not
//! stored at all. A file whose bytes the image already holds points at them.

use std::io::{self, Seek, Write};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::buffers::Buffers;
use super::compressor::Compressor;
use super::dedup::{FileKey, Key, Known};
use super::error::{Error, shown};
use super::fragment::{Closed, Fragment, Fragments};
use super::output::Output;
use super::pipeline::{Packed, Pipeline};
use super::reads::{Block, Body, Reading, Reads, Trusted};
use super::reuse::{List, Previous};
use super::times::{Remember, Times};
use super::workers::Workers;
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
    Data {
        extent: ExtentId,
        word: u32,
    },
    /// With so many files that stay open until it is compressed.
    Fragment {
        open: u32,
    },
}

/// Files that are kept open at most, in case they have to be read.
const OPEN: u32 = 256;

/// What is known from earlier builds, and what is kept for the next one.
pub(super) struct Before {
    pub(super) previous: Option<Previous>,
    pub(super) times: Option<Times>,
    pub(super) remember: Option<Remember>,
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
    workers: Workers,
    reads: Reads,
    pipeline: Pipeline<Tag>,
    buffers: Buffers,
    fragments: Fragments,
    extents: Vec<Extent>,
    /// For each block of each extent its stored length, with [`STORED`]; 0 is a block of zeros.
    size_words: Vec<u32>,
    known: Known,
    previous: Option<Arc<Previous>>,
    times: Option<Times>,
    remember: Option<Remember>,
    list: List,
    /// Files, and their bytes, that were found to be in the image already.
    pub(super) duplicates: u64,
    pub(super) duplicate_bytes: u64,
    /// Blocks that are stored, and those among them that were taken over from the previous image.
    stored: u64,
    reused: u64,
    /// Files that were not read, and those that are open as they may have to be.
    unread: u64,
    open: u32,
}

impl<'a, W: Write + Seek + Send + 'static> Blocks<'a, W> {
    pub(super) fn new(
        settings: Settings,
        output: Output<W>,
        make: impl Fn() -> io::Result<Compressor>,
        before: Before,
        progress: &'a dyn Progress,
        stop: &'a AtomicBool,
    ) -> Result<Self, Error> {
        let buffers = Buffers::new(settings.block_size);
        let previous = before.previous.map(Arc::new);
        Ok(Self {
            list: List::new(output.position()),
            times: before.times.filter(|_| previous.is_some()),
            remember: before.remember,
            workers: Workers::start(settings.threads, make).map_err(Error::Compress)?,
            reads: Reads::new(&settings, buffers.clone(), previous.clone()),
            previous,
            pipeline: Pipeline::new(buffers.clone()),
            buffers,
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
            unread: 0,
            open: 0,
        })
    }

    /// Whether as many files are being read ahead as may be.
    pub(super) fn is_full(&self) -> bool {
        self.reads.is_full(&self.workers)
    }

    /// Begins to read a file of `size` bytes, which is to be added after those that were announced before.
    pub(super) fn announce(&mut self, path: &[u8], size: u64, mut content: Box<dyn Content>) {
        if size == 0 {
            return;
        }
        let mut trusted = None;
        if let Some(times) = &self.times
            && self.open < OPEN
            && let Some(stamp) = content.stamp().filter(|stamp| stamp.size == size)
        {
            let keys = times.find(path, &stamp);
            trusted = keys.map(|keys| Trusted { stamp, keys });
        }
        self.reads.ask(&self.workers, size, content, trusted);
    }

    /// Stores the file that was announced first of those not yet added, or finds it.
    pub(super) fn add(&mut self, path: &[u8], size: u64) -> Result<ExtentId, Error> {
        if size == 0 {
            return Ok(self.begin(0));
        }
        let failed = |cause| Error::Read {
            path: shown(path),
            cause,
        };
        let mut file = self.reads.next(&self.workers).map_err(failed)?;
        let extent = match size > self.settings.block_size as u64 {
            true => self.add_long(&mut file, path, failed)?,
            false => self.add_short(&mut file, path, failed)?,
        };
        self.unread += u64::from(!file.read);
        if file.changed {
            let text = format!(
                "{} changed while it was read; the image may hold a mixture",
                shown(path)
            );
            self.progress.note(&text);
        }
        Ok(extent)
    }

    /// A file of at most one block: read it, and only then decide.
    fn add_short(
        &mut self,
        file: &mut Reading,
        path: &[u8],
        failed: impl Fn(io::Error) -> Error,
    ) -> Result<ExtentId, Error> {
        let mut blocks = std::mem::take(&mut file.blocks);
        let mut key = FileKey::new(file.size);
        for block in &mut blocks {
            file.resolve(block, &self.buffers).map_err(&failed)?;
            key.block(block.key.as_ref());
        }
        self.remember(path, file, &key)?;
        let key = key.finish();
        if let Some(extent) = self.found(&key, file.size) {
            self.forget(blocks);
            return Ok(extent);
        }
        let extent = self.begin(file.size);
        for block in blocks {
            self.place(extent, block, path)?;
        }
        self.known.remember(key, extent);
        Ok(extent)
    }

    /// Remembers a file all of which has passed.
    fn remember(&mut self, path: &[u8], file: &Reading, key: &FileKey) -> Result<(), Error> {
        match (&mut self.remember, &file.stamp) {
            (Some(remember), Some(stamp)) => remember
                .file(path, stamp, key.blocks())
                .map_err(Error::Write),
            _ => Ok(()),
        }
    }

    /// A file of several blocks: stored as it is read, unless one with the same beginning came before.
    fn add_long(
        &mut self,
        file: &mut Reading,
        path: &[u8],
        failed: impl Fn(io::Error) -> Error,
    ) -> Result<ExtentId, Error> {
        let mut key = FileKey::new(file.size);
        key.block(file.blocks.first().and_then(|block| block.key.as_ref()));
        if self.known.seen_beginning(key.finish())
            && let (key, Some(extent)) = self.find_whole(file).map_err(&failed)?
        {
            self.remember(path, file, &key)?;
            return Ok(extent);
        }
        let extent = self.begin(file.size);
        let mut key = FileKey::new(file.size);
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Err(Error::Stopped);
            }
            let blocks = std::mem::take(&mut file.blocks);
            let (more, trusted) = (!file.is_done(), file.is_trusted());
            if more && !trusted {
                self.reads.go_on(&self.workers, file.leave());
            }
            for mut block in blocks {
                file.resolve(&mut block, &self.buffers).map_err(&failed)?;
                key.block(block.key.as_ref());
                self.place(extent, block, path)?;
            }
            if !more {
                break;
            }
            if trusted {
                self.reads.go_on(&self.workers, file.leave());
            }
            *file = self.reads.came().map_err(&failed)?;
        }
        self.remember(path, file, &key)?;
        self.known.remember(key.finish(), extent);
        Ok(extent)
    }

    /// Reads the rest of a file, whose first piece is there, only to see whether the image holds it. If not, the
    /// file is as it was.
    fn find_whole(&mut self, file: &mut Reading) -> io::Result<(FileKey, Option<ExtentId>)> {
        let first = std::mem::take(&mut file.blocks);
        let end = file.offset;
        let mut key = FileKey::new(file.size);
        for block in &first {
            key.block(block.key.as_ref());
        }
        file.again = true;
        while !file.is_done() && !self.stop.load(Ordering::Relaxed) {
            self.reads.go_on(&self.workers, file.leave());
            *file = self.reads.came()?;
            for block in &file.blocks {
                key.block(block.key.as_ref());
            }
            self.forget(std::mem::take(&mut file.blocks));
        }
        if let Some(extent) = self.found(&key.finish(), file.size) {
            self.forget(first);
            return Ok((key, Some(extent)));
        }
        file.blocks = first;
        file.again = false;
        file.offset = end;
        Ok((key, None))
    }

    fn forget(&self, blocks: Vec<Block>) {
        for block in blocks {
            self.buffers.recycle(block.body.into_raw());
        }
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
    fn place(&mut self, id: ExtentId, block: Block, path: &[u8]) -> Result<(), Error> {
        let Block {
            length, body, key, ..
        } = block;
        self.progress.advance(length as u64);
        let extent = &mut self.extents[id as usize];
        let alone = extent.size <= self.settings.block_size as u64;
        let packed = length < self.settings.block_size && (alone || self.settings.tail_packing);
        if packed {
            if !self.fragments.has_room(length) {
                self.close_fragment()?;
            }
            let fragment = match (body, key) {
                (Body::Unread(content), Some(key)) => {
                    self.open += 1;
                    self.fragments.append_unread(length, key, path, content)
                }
                (body, key) => {
                    let mut bytes = body.into_raw();
                    bytes.resize(length, 0);
                    let fragment = self.fragments.append(&bytes, key.as_ref());
                    self.buffers.recycle(bytes);
                    fragment
                }
            };
            self.extents[id as usize].fragment = Some(fragment);
            return Ok(());
        }
        extent.count += 1;
        let word = self.size_words.len() as u32;
        self.size_words.push(0);
        let Some(key) = key else {
            extent.sparse += length as u64;
            self.buffers.recycle(body.into_raw());
            return Ok(());
        };
        let role = Role::Data { extent: id, word };
        let tag = Tag { key, role };
        match body {
            Body::Packed(packed) => self.pass(packed, tag),
            body => self.submit(body.into_raw().into(), tag),
        }
    }

    /// Takes a block that is packed already.
    fn pass(&mut self, packed: Packed, tag: Tag) -> Result<(), Error> {
        self.make_room()?;
        self.pipeline.pass(packed, tag);
        Ok(())
    }

    fn close_fragment(&mut self) -> Result<(), Error> {
        match self.fragments.close(|| self.buffers.empty()) {
            Some((closed, key)) => {
                let open = closed.unread.len() as u32;
                let role = Role::Fragment { open };
                self.submit(closed, Tag { key, role })
            }
            None => Ok(()),
        }
    }

    /// Makes room for one more block in flight.
    fn make_room(&mut self) -> Result<(), Error> {
        while self.pipeline.is_full(&self.workers) {
            self.commit()?;
        }
        self.stored += 1;
        Ok(())
    }

    /// Has a block compressed, unless the previous image has it.
    fn submit(&mut self, raw: Closed, tag: Tag) -> Result<(), Error> {
        let stored = self.previous.as_ref().and_then(|it| it.find(&tag.key));
        let open = raw.unread.len() as u32;
        if let Some(packed) = stored.and_then(|stored| stored.read(&self.buffers)) {
            self.open -= open;
            self.buffers.recycle(raw.bytes);
            return self.pass(packed, tag);
        }
        self.unread -= u64::from(open);
        self.make_room()?;
        self.pipeline.submit(&self.workers, raw, tag);
        Ok(())
    }

    /// Writes the oldest block in flight; `false` when there is none.
    fn commit(&mut self) -> Result<bool, Error> {
        let Some((tag, block)) = self.pipeline.take()? else {
            return Ok(false);
        };
        self.reused += u64::from(block.reused);
        let start = self.output.position();
        let flag = if block.compressed { 0 } else { STORED };
        let size_word = block.bytes.len() as u32 | flag;
        self.list.push(&tag.key, size_word, block.crc);
        match tag.role {
            Role::Fragment { open } => {
                if !block.reused {
                    self.open -= open;
                }
                self.fragments.written(start, size_word);
            }
            Role::Data { extent, word } => {
                self.size_words[word as usize] = size_word;
                let extent = &mut self.extents[extent as usize];
                if extent.start == 0 {
                    extent.start = start;
                }
            }
        }
        self.output.write(&block.bytes).map_err(Error::Write)?;
        self.buffers.recycle(block.bytes);
        Ok(true)
    }

    /// Writes everything that is still in flight; nothing can be added afterwards.
    pub(super) fn finish(mut self) -> Result<Stored<W>, Error> {
        self.close_fragment()?;
        while self.commit()? {}
        if let Some(remember) = self.remember {
            remember.finish().map_err(Error::Write)?;
        }
        Ok(Stored {
            output: self.output,
            block_size: self.settings.block_size as u64,
            blocks: self.stored,
            reused: self.reused,
            unread: self.unread,
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
    pub(super) unread: u64,
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
