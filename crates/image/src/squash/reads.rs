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
use std::sync::mpsc::{self, Receiver, Sender};

use super::buffers::Buffers;
use super::dedup::{self, Key};
use super::workers::{Workers, gone, guarded};
use crate::entry::Content;

/// The length of a piece in bytes, or one block where that is longer.
const PIECE: usize = 512 << 10;
/// Files that travel together at most.
const TOGETHER: usize = 64;
/// Batches under way for each worker.
const DEPTH: usize = 3;
/// Open files in all, however many workers.
const FILES: usize = 256;

/// A block of a file, read.
pub(super) struct Block {
    pub(super) length: usize,
    /// Its content; empty for a hole, of which nothing was read.
    pub(super) bytes: Vec<u8>,
    /// `None`: it is all zeros.
    pub(super) key: Option<Key>,
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
            content: self.content.take(),
        }
    }

    /// Reads the next piece, and closes the file after the last one.
    fn read(&mut self, block_size: usize, buffers: &Buffers) -> io::Result<()> {
        let Some(content) = &mut self.content else {
            return Ok(());
        };
        let end = self.size.min(self.offset + piece(block_size) as u64);
        while self.offset < end {
            let length = (end - self.offset).min(block_size as u64) as usize;
            let mut bytes = Vec::new();
            if !content.is_hole(self.offset, length) {
                bytes = buffers.take(length);
                let filled = content.fill(&mut bytes, self.offset)?;
                self.changed |= filled < length;
                bytes[filled..].fill(0);
            }
            let key = (!is_zero(&bytes)).then(|| dedup::block_key(&bytes));
            self.blocks.push(Block { length, bytes, key });
            self.offset += length as u64;
        }
        if self.offset == self.size {
            self.changed |= content.changed();
            if !self.again {
                self.content = None;
            }
        }
        Ok(())
    }
}

/// Files on their way together, or what went wrong with the last of them.
type Batch = (VecDeque<Reading>, Option<io::Error>);

/// The files on their way.
pub(super) struct Reads {
    block_size: usize,
    buffers: Buffers,
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
    pub(super) fn new(block_size: usize, buffers: Buffers) -> Self {
        let (answers, done) = mpsc::channel();
        Self {
            block_size,
            buffers,
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

    /// Has the beginning of a file read.
    pub(super) fn ask(&mut self, workers: &Workers, size: u64, content: Box<dyn Content>) {
        self.files += 1;
        self.bytes += size;
        self.gathered.push_back(Reading {
            size,
            offset: 0,
            blocks: Vec::new(),
            changed: false,
            again: false,
            content: Some(content),
        });
        if self.gathered.len() >= TOGETHER || self.bytes >= piece(self.block_size) as u64 {
            self.send(workers);
        }
    }

    fn send(&mut self, workers: &Workers) {
        let mut files = std::mem::take(&mut self.gathered);
        self.bytes = 0;
        let number = self.front + self.waiting.len() as u64;
        self.waiting.push_back(None);
        let (answers, buffers, block_size) =
            (self.answers.clone(), self.buffers.clone(), self.block_size);
        workers.ask(Box::new(move |_| {
            let mut failed = None;
            for (index, file) in files.iter_mut().enumerate() {
                if let Err(error) = guarded(|| file.read(block_size, &buffers)) {
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
        let (answer, buffers, block_size) =
            (self.rest.0.clone(), self.buffers.clone(), self.block_size);
        workers.ask(Box::new(move |_| {
            let read = guarded(|| file.read(block_size, &buffers));
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
