//! Compressing blocks on several threads, in bounded memory, and getting them back in order.
//!
//! ```text
//!            ┌─► worker ─┐
//! submit ────┼─► worker ─┼──► take      in the order of submit, whatever the number of workers
//!            └─► worker ─┘
//! ```

use std::collections::VecDeque;
use std::io;
use std::num::NonZeroUsize;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use super::compressor::Compressor;

/// Blocks in flight for each worker: one under compression, and enough waiting that a slow block at the
/// front does not leave the others idle.
const DEPTH: usize = 4;

/// A block that comes back from the pipeline.
pub(super) struct Block<T> {
    /// What was submitted with it.
    pub(super) tag: T,
    /// As it is to be stored.
    pub(super) bytes: Vec<u8>,
    /// Whether `bytes` is the compressed form.
    pub(super) compressed: bool,
}

struct Job {
    number: u64,
    raw: Vec<u8>,
    out: Vec<u8>,
}

struct Done {
    number: u64,
    /// What is to be stored, and the other buffer for the next block.
    result: io::Result<bool>,
    bytes: Vec<u8>,
    spare: Vec<u8>,
}

/// The workers and the blocks in flight.
pub(super) struct Pipeline<T> {
    jobs: Option<Sender<Job>>,
    done: Receiver<Done>,
    workers: Vec<JoinHandle<()>>,
    /// What was submitted and not yet taken, oldest first.
    waiting: VecDeque<(T, Option<Done>)>,
    /// The number of the oldest.
    front: u64,
    spares: Vec<Vec<u8>>,
}

impl<T> Pipeline<T> {
    /// Starts the workers, each with a compressor from `make`.
    pub(super) fn start(
        threads: NonZeroUsize,
        make: impl Fn() -> io::Result<Compressor>,
    ) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let (answers, done) = mpsc::channel();
        let queue = Arc::new(Mutex::new(queue));
        let mut workers = Vec::with_capacity(threads.get());
        for number in 0..threads.get() {
            let (queue, answers, compressor) = (Arc::clone(&queue), answers.clone(), make()?);
            let worker = thread::Builder::new().name(format!("squash-{number}"));
            workers.push(worker.spawn(move || work(&queue, &answers, compressor))?);
        }
        Ok(Self {
            jobs: Some(jobs),
            done,
            workers,
            waiting: VecDeque::new(),
            front: 0,
            spares: Vec::new(),
        })
    }

    /// An empty buffer, one that was used before if there is any.
    pub(super) fn buffer(&mut self) -> Vec<u8> {
        self.spares.pop().unwrap_or_default()
    }

    /// Whether a block has to be taken before the next one is submitted.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= self.workers.len() * DEPTH
    }

    pub(super) fn submit(&mut self, raw: Vec<u8>, tag: T) -> io::Result<()> {
        let job = Job {
            number: self.front + self.waiting.len() as u64,
            raw,
            out: self.buffer(),
        };
        self.waiting.push_back((tag, None));
        let sent = self
            .jobs
            .as_ref()
            .is_some_and(|jobs| jobs.send(job).is_ok());
        if sent { Ok(()) } else { Err(gone()) }
    }

    /// As [`Pipeline::submit`], for a block that needs no compressing.
    pub(super) fn submit_ready(&mut self, bytes: Vec<u8>, compressed: bool, tag: T) {
        let done = Done {
            number: self.front + self.waiting.len() as u64,
            result: Ok(compressed),
            bytes,
            spare: Vec::new(),
        };
        self.waiting.push_back((tag, Some(done)));
    }

    /// Waits for the oldest block; `None` when nothing is in flight.
    pub(super) fn take(&mut self) -> io::Result<Option<Block<T>>> {
        if self.waiting.is_empty() {
            return Ok(None);
        }
        while matches!(self.waiting.front(), Some((_, None))) {
            let done = self.done.recv().map_err(|_| gone())?;
            let index = (done.number - self.front) as usize;
            self.waiting[index].1 = Some(done);
        }
        let Some((tag, Some(done))) = self.waiting.pop_front() else {
            return Ok(None);
        };
        self.front += 1;
        self.recycle(done.spare);
        Ok(Some(Block {
            tag,
            compressed: done.result?,
            bytes: done.bytes,
        }))
    }

    /// Gives a buffer back for [`Pipeline::buffer`].
    pub(super) fn recycle(&mut self, mut buffer: Vec<u8>) {
        if buffer.capacity() > 0 {
            buffer.clear();
            self.spares.push(buffer);
        }
    }
}

impl<T> Drop for Pipeline<T> {
    fn drop(&mut self) {
        self.jobs = None;
        for worker in self.workers.drain(..) {
            // A worker that panicked has said so on stderr, and `take` has failed.
            let _ = worker.join();
        }
    }
}

fn work(queue: &Mutex<Receiver<Job>>, answers: &Sender<Done>, mut compressor: Compressor) {
    loop {
        // The lock is held while waiting: the other workers wait for it instead of for the queue.
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job {
            number,
            raw,
            mut out,
        }) = job
        else {
            return;
        };
        let result = compressor.compress(&raw, &mut out);
        let compressed = matches!(result, Ok(true));
        let (bytes, spare) = if compressed { (out, raw) } else { (raw, out) };
        let done = Done {
            number,
            result,
            bytes,
            spare,
        };
        if answers.send(done).is_err() {
            return;
        }
    }
}

fn gone() -> io::Error {
    io::Error::other("a compressing thread ended early")
}
