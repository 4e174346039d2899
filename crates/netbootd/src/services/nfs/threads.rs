//! The threads that connections run on: one for each processor, each with a runtime of its own.
//!
//! On tokio's work-stealing threads, which the rest of the daemon shares, every READ that wakes one
//! of them wakes a second one too, to look for more work; and where nothing is stolen, a connection
//! that has begun to send stays on the processor that has its data.

use std::io;
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// The threads, until this is dropped; what runs on them then is dropped too.
pub(super) struct Threads(Vec<Thread>);

struct Thread {
    runtime: Handle,
    /// How many connections it has.
    load: usize,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Threads {
    /// Starts `count` threads.
    pub(super) fn start(count: usize) -> io::Result<Self> {
        (0..count.max(1))
            .map(|_| Thread::start())
            .collect::<io::Result<_>>()
            .map(Self)
    }

    /// The thread with the fewest connections, which has one more now: its number and runtime.
    pub(super) fn take(&mut self) -> Option<(usize, Handle)> {
        let (number, thread) = self
            .0
            .iter_mut()
            .enumerate()
            .min_by_key(|(_, it)| it.load)?;
        thread.load += 1;
        Some((number, thread.runtime.clone()))
    }

    /// A connection of this thread has ended.
    pub(super) fn give_back(&mut self, number: usize) {
        if let Some(thread) = self.0.get_mut(number) {
            thread.load = thread.load.saturating_sub(1);
        }
    }
}

impl Thread {
    fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .thread_name("nfs-blocking")
            .build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("nfs".into())
            .spawn(move || {
                // The sender is dropped without a word, which is one.
                let _ = runtime.block_on(stopped);
                runtime.shutdown_background();
            })?;
        Ok(Self {
            runtime: handle,
            load: 0,
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It has nothing to say at its end.
            let _ = thread.join();
        }
    }
}
