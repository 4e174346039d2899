//! The threads that do the work: they read files and compress blocks, while one thread decides.
//!
//! ```text
//!            ┌─► worker ─┐
//! pipeline ──┤           ├──► pipeline     blocks, to be compressed
//! reads ─────┼─► worker ─┼──► reads        files, to be read
//!            └─► worker ─┘
//! ```
//!
//! One queue for both, first come first served: whatever is asked for is wanted soonest by who asked first.

use std::io;
use std::num::NonZeroUsize;
use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use super::compressor::Compressor;

/// Something to do, with a compressor at hand. It sends its answer itself.
pub(super) type Job = Box<dyn FnOnce(&mut Compressor) + Send>;

/// The threads. They end when this is dropped, after what was asked for.
pub(super) struct Workers {
    jobs: Option<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Starts `count` threads, each with a compressor from `make`.
    pub(super) fn start(
        count: NonZeroUsize,
        make: impl Fn() -> io::Result<Compressor>,
    ) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel();
        let queue = Arc::new(Mutex::new(queue));
        let mut threads = Vec::with_capacity(count.get());
        for number in 0..count.get() {
            let (queue, compressor) = (Arc::clone(&queue), make()?);
            let worker = thread::Builder::new().name(format!("squash-{number}"));
            threads.push(worker.spawn(move || work(&queue, compressor))?);
        }
        Ok(Self {
            jobs: Some(jobs),
            threads,
        })
    }

    /// How many they are.
    pub(super) fn count(&self) -> usize {
        self.threads.len()
    }

    pub(super) fn ask(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            let _ = jobs.send(job); // the threads live as long as the sender
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join(); // what panicked has answered with an error
        }
    }
}

fn work(queue: &Mutex<Receiver<Job>>, mut compressor: Compressor) {
    loop {
        // The lock is held while waiting: the other workers wait for it instead of for the queue.
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        job(&mut compressor);
    }
}

/// What `action` answers; a panic in it, which has said so on stderr, is an error. Nobody waits for an answer
/// that does not come.
pub(super) fn guarded<T>(action: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    panic::catch_unwind(AssertUnwindSafe(action)).unwrap_or_else(|_| Err(gone()))
}

pub(super) fn gone() -> io::Error {
    io::Error::other("a thread of the image writer ended early")
}
