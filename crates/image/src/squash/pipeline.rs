//! Compressing blocks on several threads, in bounded memory, and getting them back in order.
//!
//! ```text
//! submit ──► workers ──► take      in the order of submit, whatever the number of workers
//! ```

use std::collections::VecDeque;
use std::sync::mpsc::{self, Receiver, Sender};

use super::buffers::Buffers;
use super::compressor::Compressor;
use super::error::Error;
use super::fragment::Closed;
use super::reuse;
use super::workers::{Workers, gone, guarded};

/// Blocks in flight for each worker: one under compression, and enough waiting that a slow block at the
/// front does not leave the others idle.
const DEPTH: usize = 4;
/// Blocks that wait with those and need no compressing: most of them, when little has changed.
const PASSED: usize = 64;

/// A block as it is to be stored.
pub(super) struct Packed {
    pub(super) bytes: Vec<u8>,
    /// Whether `bytes` is the compressed form.
    pub(super) compressed: bool,
    /// Whether it was taken over from the previous image.
    pub(super) reused: bool,
    /// CRC-32 of `bytes`.
    pub(super) crc: u32,
}

struct Done {
    number: u64,
    result: Result<Packed, Error>,
}

/// The blocks in flight, each with a tag that comes back with it.
pub(super) struct Pipeline<T> {
    answers: Sender<Done>,
    done: Receiver<Done>,
    /// What was submitted and not yet taken, oldest first.
    waiting: VecDeque<(T, Option<Result<Packed, Error>>)>,
    /// The number of the oldest.
    front: u64,
    /// Those that are under compression.
    busy: usize,
    buffers: Buffers,
}

impl<T> Pipeline<T> {
    pub(super) fn new(buffers: Buffers) -> Self {
        let (answers, done) = mpsc::channel();
        Self {
            answers,
            done,
            waiting: VecDeque::new(),
            front: 0,
            busy: 0,
            buffers,
        }
    }

    /// Whether a block has to be taken before the next one is submitted.
    pub(super) fn is_full(&self, workers: &Workers) -> bool {
        let depth = workers.count() * DEPTH;
        self.busy >= depth || self.waiting.len() >= depth + PASSED
    }

    /// Has `raw` compressed.
    pub(super) fn submit(&mut self, workers: &Workers, raw: Closed, tag: T) {
        let number = self.front + self.waiting.len() as u64;
        let (answers, buffers) = (self.answers.clone(), self.buffers.clone());
        self.waiting.push_back((tag, None));
        self.busy += 1;
        workers.ask(Box::new(move |compressor| {
            let result = guarded(|| Ok(pack(compressor, raw, &buffers)));
            let result = result.map_err(Error::Compress).flatten();
            // Nobody is there any more when the writer has failed.
            let _ = answers.send(Done { number, result });
        }));
    }

    /// Takes a block that is packed already.
    pub(super) fn pass(&mut self, packed: Packed, tag: T) {
        self.waiting.push_back((tag, Some(Ok(packed))));
    }

    /// Waits for the oldest block; `None` when nothing is in flight.
    pub(super) fn take(&mut self) -> Result<Option<(T, Packed)>, Error> {
        if self.waiting.is_empty() {
            return Ok(None);
        }
        while matches!(self.waiting.front(), Some((_, None))) {
            let done = self.done.recv().map_err(|_| Error::Compress(gone()))?;
            let index = (done.number - self.front) as usize;
            self.waiting[index].1 = Some(done.result);
            self.busy -= 1;
        }
        let Some((tag, Some(result))) = self.waiting.pop_front() else {
            return Ok(None);
        };
        self.front += 1;
        Ok(Some((tag, result?)))
    }
}

fn pack(compressor: &mut Compressor, mut raw: Closed, buffers: &Buffers) -> Result<Packed, Error> {
    raw.fill()?;
    let raw = raw.bytes;
    let mut out = buffers.empty();
    let compressed = compressor
        .compress(&raw, &mut out)
        .map_err(Error::Compress)?;
    let bytes = match compressed {
        true => {
            buffers.recycle(raw);
            out
        }
        false => {
            buffers.recycle(out);
            raw
        }
    };
    Ok(Packed {
        crc: reuse::crc(&bytes),
        compressed,
        reused: false,
        bytes,
    })
}
