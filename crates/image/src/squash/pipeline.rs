//! Compressing blocks on several threads, in bounded memory, and getting them back in order.
//!
//! ```text
//! submit ──► workers ──► take      in the order of submit, whatever the number of workers
//! ```

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{self, Receiver, Sender};

use super::buffers::Buffers;
use super::compressor::Compressor;
use super::reuse::{self, Stored};
use super::workers::{Workers, gone, guarded};

/// Blocks in flight for each worker: one under compression, and enough waiting that a slow block at the
/// front does not leave the others idle.
const DEPTH: usize = 4;

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
    result: io::Result<Packed>,
}

/// The blocks in flight, each with a tag that comes back with it.
pub(super) struct Pipeline<T> {
    answers: Sender<Done>,
    done: Receiver<Done>,
    /// What was submitted and not yet taken, oldest first.
    waiting: VecDeque<(T, Option<io::Result<Packed>>)>,
    /// The number of the oldest.
    front: u64,
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
            buffers,
        }
    }

    /// Whether a block has to be taken before the next one is submitted.
    pub(super) fn is_full(&self, workers: &Workers) -> bool {
        self.waiting.len() >= workers.count() * DEPTH
    }

    /// Has `raw` compressed, or `stored` copied if that is whole.
    pub(super) fn submit(
        &mut self,
        workers: &Workers,
        raw: Vec<u8>,
        stored: Option<Stored>,
        tag: T,
    ) {
        let number = self.front + self.waiting.len() as u64;
        let (answers, buffers) = (self.answers.clone(), self.buffers.clone());
        self.waiting.push_back((tag, None));
        workers.ask(Box::new(move |compressor| {
            let result = guarded(|| pack(compressor, raw, stored, &buffers));
            // Nobody is there any more when the writer has failed.
            let _ = answers.send(Done { number, result });
        }));
    }

    /// Waits for the oldest block; `None` when nothing is in flight.
    pub(super) fn take(&mut self) -> io::Result<Option<(T, Packed)>> {
        if self.waiting.is_empty() {
            return Ok(None);
        }
        while matches!(self.waiting.front(), Some((_, None))) {
            let done = self.done.recv().map_err(|_| gone())?;
            let index = (done.number - self.front) as usize;
            self.waiting[index].1 = Some(done.result);
        }
        let Some((tag, Some(result))) = self.waiting.pop_front() else {
            return Ok(None);
        };
        self.front += 1;
        Ok(Some((tag, result?)))
    }
}

fn pack(
    compressor: &mut Compressor,
    raw: Vec<u8>,
    stored: Option<Stored>,
    buffers: &Buffers,
) -> io::Result<Packed> {
    if let Some(packed) = stored.and_then(|stored| stored.read(buffers)) {
        buffers.recycle(raw);
        return Ok(packed);
    }
    let mut out = buffers.empty();
    let compressed = compressor.compress(&raw, &mut out)?;
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
