//! Reading files ahead of the writer, on several threads.
//!
//! ```text
//! ask ──► workers: read, hash ──► next      the beginnings, in the order of ask
//! go_on ──► workers ──► came                the rest of a long file, a piece at a time
//! ```
//!
//! Small files travel together. What is in memory is bounded by [`Reads::is_full`]: a few pieces for each worker.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};

use super::blocks::Settings;
use super::buffers::Buffers;
use super::dedup::{self, Key};
use super::pipeline::Packed;
use super::reuse::{Previous, Stored};
use super::workers::{Workers, gone, guarded};
use crate::entry::{Content, Stamp};

/// The length of a piece in bytes, or one block where that is longer.
const PIECE: usize = 512 << 10;
/// Files that travel together at most.
const TOGETHER: usize = 64;
/// Batches under way for each worker.
const DEPTH: usize = 3;
/// Open files in all, however many workers.
const FILES: usize = 256;

/// A block of a file.
pub(super) struct Block {
    pub(super) length: usize,
    /// Where it is in the file.
    pub(super) offset: u64,
    pub(super) body: Body,
    /// `None`: it is all zeros.
    pub(super) key: Option<Key>,
}

/// What a block holds.
pub(super) enum Body {
    /// These bytes; none for zeros that were not read.
    Raw(Vec<u8>),
    /// Not read: the previous image has it here.
    Stored(Stored),
    /// As it is to be stored.
    Packed(Packed),
    /// What this holds from its beginning, a whole file, if somebody has to know.
    Unread(Box<dyn Content>),
}

impl Body {
    /// The bytes that were read; none where nothing was.
    pub(super) fn into_raw(self) -> Vec<u8> {
        match self {
            Self::Raw(bytes) => bytes,
            Self::Stored(_) | Self::Packed(_) | Self::Unread(_) => Vec::new(),
        }
    }
}

/// What is known of a file before it is read.
pub(super) struct Trusted {
    pub(super) stamp: Stamp,
    /// Of its blocks.
    pub(super) keys: Box<[Option<Key>]>,
}

/// What every thread reads with.
#[derive(Clone)]
struct Means {
    block_size: usize,
    tail_packing: bool,
    buffers: Buffers,
    previous: Option<Arc<Previous>>,
}

/// A file that is read piece by piece, as if its size could not change.
pub(super) struct Reading {
    pub(super) size: u64,
    /// How far it is read.
    pub(super) offset: u64,
    /// What was read last and not yet taken.
    pub(super) blocks: Vec<Block>,
    /// The content ended before the size it promised, or was written to meanwhile.
    pub(super) changed: bool,
    /// Whether it may have to be read again.
    pub(super) again: bool,
    /// Whether any of it was read.
    pub(super) read: bool,
    /// What stands for the content, when all of it has passed.
    pub(super) stamp: Option<Stamp>,
    trusted: Option<Box<[Option<Key>]>>,
    content: Option<Box<dyn Content>>,
}

impl Reading {
    /// Whether all of it is read.
    pub(super) fn is_done(&self) -> bool {
        self.offset == self.size
    }

    /// The file for somebody else, who gives it back; what stays is only its place.
    pub(super) fn leave(&mut self) -> Self {
        Self {
            size: self.size,
            offset: self.offset,
            blocks: Vec::new(),
            changed: self.changed,
            again: self.again,
            read: self.read,
            stamp: self.stamp,
            trusted: self.trusted.take(),
            content: self.content.take(),
        }
    }

    /// Passes over what is known, reads the next piece of what is not, and closes a file that was read.
    fn read(&mut self, means: &Means) -> io::Result<()> {
        self.pass_known(means);
        let end = self.size.min(self.offset + piece(means.block_size) as u64);
        while self.offset < end {
            let length = (end - self.offset).min(means.block_size as u64) as usize;
            let block = self.read_block(length, &means.buffers)?;
            self.blocks.push(block);
            self.offset += length as u64;
            self.pass_known(means);
        }
        if self.is_done()
            && self.read
            && let Some(content) = &mut self.content
        {
            self.changed |= content.changed();
            self.stamp = content.stamp().filter(|_| !self.changed);
            if !self.again && self.trusted.is_none() {
                self.content = None;
            }
        }
        Ok(())
    }

    fn read_block(&mut self, length: usize, buffers: &Buffers) -> io::Result<Block> {
        let (bytes, key) = self.read_at(self.offset, length, buffers)?;
        Ok(Block {
            length,
            offset: self.offset,
            body: Body::Raw(bytes),
            key,
        })
    }

    /// Has the block's content at hand: as the previous image stores it, or read after all.
    pub(super) fn resolve(&mut self, block: &mut Block, buffers: &Buffers) -> io::Result<()> {
        let Body::Stored(stored) = &block.body else {
            return Ok(());
        };
        if let Some(packed) = stored.read(buffers) {
            block.body = Body::Packed(packed);
            return Ok(());
        }
        let (bytes, key) = self.read_at(block.offset, block.length, buffers)?;
        (block.body, block.key) = (Body::Raw(bytes), key);
        self.stamp = None;
        Ok(())
    }

    /// Whether something was known of it before.
    pub(super) fn is_trusted(&self) -> bool {
        self.trusted.is_some()
    }

    /// The bytes of a block, none for a hole, and their key.
    fn read_at(
        &mut self,
        offset: u64,
        length: usize,
        buffers: &Buffers,
    ) -> io::Result<(Vec<u8>, Option<Key>)> {
        let content = self.content.as_mut().ok_or_else(gone)?;
        self.read = true;
        let mut bytes = Vec::new();
        if !content.is_hole(offset, length) {
            bytes = buffers.take(length);
            let filled = content.fill(&mut bytes, offset)?;
            self.changed |= filled < length;
            bytes[filled..].fill(0);
        }
        let key = (!is_zero(&bytes)).then(|| dedup::block_key(&bytes));
        Ok((bytes, key))
    }

    /// Passes over the next blocks as far as they are known without reading them.
    fn pass_known(&mut self, means: &Means) {
        while !self.is_done() {
            let length = (self.size - self.offset).min(means.block_size as u64) as usize;
            let Some(block) = self.known(length, means) else {
                return;
            };
            self.blocks.push(block);
            self.offset += length as u64;
        }
    }

    fn known(&mut self, length: usize, means: &Means) -> Option<Block> {
        let index = self.offset / means.block_size as u64;
        let key = *self.trusted.as_ref()?.get(index as usize)?;
        let (full, whole) = (length == means.block_size, self.size == length as u64);
        let body = match key {
            None => Body::Raw(Vec::new()),
            Some(key) if full || !(whole || means.tail_packing) => {
                Body::Stored(means.previous.as_ref()?.find(&key)?)
            }
            Some(_) if whole => Body::Unread(self.content.take()?),
            Some(_) => return None,
        };
        Some(Block {
            length,
            offset: self.offset,
            body,
            key,
        })
    }
}

/// Files on their way together, or what went wrong with the last of them.
type Batch = (VecDeque<Reading>, Option<io::Error>);

/// The files on their way.
pub(super) struct Reads {
    means: Means,
    answers: Sender<(u64, Batch)>,
    done: Receiver<(u64, Batch)>,
    /// Files not yet asked for, and their bytes.
    gathered: VecDeque<Reading>,
    bytes: u64,
    /// What was asked for, oldest first.
    waiting: VecDeque<Option<Batch>>,
    /// The number of the oldest.
    front: u64,
    /// Files that were taken in and not yet handed out.
    files: usize,
    rest: (Sender<io::Result<Reading>>, Receiver<io::Result<Reading>>),
}

impl Reads {
    pub(super) fn new(
        settings: &Settings,
        buffers: Buffers,
        previous: Option<Arc<Previous>>,
    ) -> Self {
        let (answers, done) = mpsc::channel();
        Self {
            means: Means {
                block_size: settings.block_size,
                tail_packing: settings.tail_packing,
                buffers,
                previous,
            },
            answers,
            done,
            gathered: VecDeque::new(),
            bytes: 0,
            waiting: VecDeque::new(),
            front: 0,
            files: 0,
            rest: mpsc::channel(),
        }
    }

    /// Whether enough files are under way.
    pub(super) fn is_full(&self, workers: &Workers) -> bool {
        self.waiting.len() >= workers.count() * DEPTH || self.files >= FILES
    }

    /// Has the beginning of a file read, as far as it is not known.
    pub(super) fn ask(
        &mut self,
        workers: &Workers,
        size: u64,
        content: Box<dyn Content>,
        trusted: Option<Trusted>,
    ) {
        self.files += 1;
        let (stamp, trusted) = match trusted {
            Some(Trusted { stamp, keys }) => (Some(stamp), Some(keys)),
            None => (None, None),
        };
        let mut file = Reading {
            size,
            offset: 0,
            blocks: Vec::new(),
            changed: false,
            again: false,
            read: false,
            stamp,
            trusted,
            content: Some(content),
        };
        file.pass_known(&self.means);
        self.bytes += size - file.offset;
        self.gathered.push_back(file);
        if self.gathered.len() >= TOGETHER || self.bytes >= piece(self.means.block_size) as u64 {
            self.send(workers);
        }
    }

    fn send(&mut self, workers: &Workers) {
        let mut files = std::mem::take(&mut self.gathered);
        self.bytes = 0;
        if files.iter().all(Reading::is_done) {
            return self.waiting.push_back(Some((files, None)));
        }
        let number = self.front + self.waiting.len() as u64;
        self.waiting.push_back(None);
        let (answers, means) = (self.answers.clone(), self.means.clone());
        workers.ask(Box::new(move |_| {
            let mut failed = None;
            for (index, file) in files.iter_mut().enumerate() {
                if let Err(error) = guarded(|| file.read(&means)) {
                    failed = Some((index, error));
                    break;
                }
            }
            let failed = failed.map(|(index, error)| {
                files.truncate(index);
                error
            });
            let _ = answers.send((number, (files, failed)));
        }));
    }

    /// The next file of those asked for, with its first piece.
    pub(super) fn next(&mut self, workers: &Workers) -> io::Result<Reading> {
        if self.waiting.is_empty() {
            self.send(workers);
        }
        while matches!(self.waiting.front(), Some(None)) {
            let (number, batch) = self.done.recv().map_err(|_| gone())?;
            self.waiting[(number - self.front) as usize] = Some(batch);
        }
        let Some(Some((files, failed))) = self.waiting.front_mut() else {
            return Err(gone());
        };
        let Some(file) = files.pop_front() else {
            return Err(failed.take().unwrap_or_else(gone));
        };
        if files.is_empty() && failed.is_none() {
            self.waiting.pop_front();
            self.front += 1;
        }
        self.files -= 1;
        Ok(file)
    }

    /// Has the next piece of a long file read; one at a time, until [`Reads::came`].
    pub(super) fn go_on(&self, workers: &Workers, mut file: Reading) {
        let (answer, means) = (self.rest.0.clone(), self.means.clone());
        workers.ask(Box::new(move |_| {
            let read = guarded(|| file.read(&means));
            let _ = answer.send(read.map(|()| file));
        }));
    }

    /// Waits for the piece.
    pub(super) fn came(&self) -> io::Result<Reading> {
        self.rest.1.recv().unwrap_or_else(|_| Err(gone()))
    }
}

fn piece(block_size: usize) -> usize {
    PIECE.max(block_size)
}

/// Whether all bytes are zero. Most blocks say no at their first words.
fn is_zero(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<16>();
    words.iter().all(|word| u128::from_ne_bytes(*word) == 0) && rest.iter().all(|byte| *byte == 0)
}
