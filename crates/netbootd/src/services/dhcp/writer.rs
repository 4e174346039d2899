//! The thread that brings leases to the disk, and lets the acknowledgements go after it.
//!
//! Whatever is decided while it waits for the disk is written with the next commit, all of it at
//! once. Nobody else ever waits for the disk with the server in their hands.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use dhcp::{Pending, Server};
use store::{Change, Leases, StoreError};
use tokio::sync::Notify;
use tracing::{error, info};

use super::Outlet;
use crate::leases::{lease_clock, to_change, to_record};

/// Decisions that wait at most; a disk that is so slow is as good as full.
const MAX_WAITING: usize = 4096;
/// How often a disk that failed is tried when nobody wants anything.
const PROBE: Duration = Duration::from_secs(1);

/// What becomes of a decision when it is on the disk, or cannot be.
pub(super) enum Then {
    /// Its answer leaves here.
    Send(Arc<Outlet>),
    /// Somebody waits to hear whether it is on the disk.
    Tell(mpsc::Sender<bool>),
}

/// Who brings leases to the disk. It ends, with what is waiting written, when this is dropped.
pub(super) struct Writer {
    common: Arc<Common>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Common {
    queue: Mutex<Queue>,
    filled: Condvar,
    /// Told after a commit that may change names, for those that follow them.
    changed: Notify,
    /// Why leases cannot be written.
    alarm: Mutex<Option<String>>,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<(Pending, Then)>,
    is_over: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Writer {
    pub(super) fn start(server: Arc<Mutex<Server>>, leases: Leases) -> Self {
        let common = Arc::new(Common::default());
        let work = Work {
            common: Arc::clone(&common),
            server,
            leases,
            unsure: BTreeSet::new(),
        };
        let thread = std::thread::spawn(move || work.run());
        Self {
            common,
            thread: Some(thread),
        }
    }

    /// Leaves a decision of `server` to be written; [`Writer::wake`] is to follow when the server is let go.
    pub(super) fn write(&self, server: &mut Server, pending: Pending, then: Then) {
        let mut queue = lock(&self.common.queue);
        if queue.waiting.len() < MAX_WAITING {
            queue.waiting.push((pending, then));
        } else {
            drop(queue);
            finish(server.abort(pending), then, false);
        }
    }

    /// Has the thread look at what waits. With no lock held, which it would run into.
    pub(super) fn wake(&self) {
        let is_filled = !lock(&self.common.queue).waiting.is_empty();
        if is_filled {
            self.common.filled.notify_one();
        }
    }

    pub(super) async fn changed(&self) {
        self.common.changed.notified().await;
    }

    pub(super) fn alarm(&self) -> Option<String> {
        lock(&self.common.alarm).clone()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        lock(&self.common.queue).is_over = true;
        self.common.filled.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn finish(done: dhcp::Done, then: Then, is_stored: bool) {
    match then {
        Then::Send(outlet) => outlet.send(done),
        // Whoever asked may have gone.
        Then::Tell(tell) => drop(tell.send(is_stored)),
    }
}

/// Whether names may mean something else now. Looking through all of them is not for every lease.
fn concerns_names(changes: &[Change]) -> bool {
    changes.iter().any(|change| match change {
        Change::Put(record) => record.hostname.is_some(),
        Change::Remove(_) => true,
    })
}

struct Work {
    common: Arc<Common>,
    server: Arc<Mutex<Server>>,
    leases: Leases,
    /// Addresses of changes that failed: what the disk has of them is not known.
    unsure: BTreeSet<Ipv4Addr>,
}

impl Work {
    fn run(mut self) {
        // A disk that was full at the start is an alarm from the start.
        let written = self.leases.commit(&[]);
        self.judge(&[], &written);
        let mut has_failed = written.is_err();
        while let Some(waiting) = self.next(has_failed) {
            let changes = self.changes(&waiting);
            let written = self.leases.commit(&changes);
            self.judge(&changes, &written);
            has_failed = written.is_err();
            let mut server = lock(&self.server);
            let resolve = |(pending, then)| match has_failed {
                false => (server.commit(pending), then),
                true => (server.abort(pending), then),
            };
            let done: Vec<_> = waiting.into_iter().map(resolve).collect();
            drop(server);
            if concerns_names(&changes) {
                self.common.changed.notify_one();
            }
            for (done, then) in done {
                finish(done, then, !has_failed);
            }
        }
    }

    /// Everything that waits. Nothing, after a while, if the disk is to be tried.
    fn next(&self, has_failed: bool) -> Option<Vec<(Pending, Then)>> {
        let is_idle = |queue: &mut Queue| queue.waiting.is_empty() && !queue.is_over;
        let (queue, filled) = (lock(&self.common.queue), &self.common.filled);
        let mut queue = if has_failed {
            let waited = filled.wait_timeout_while(queue, PROBE, is_idle);
            waited.unwrap_or_else(PoisonError::into_inner).0
        } else {
            let waited = filled.wait_while(queue, is_idle);
            waited.unwrap_or_else(PoisonError::into_inner)
        };
        let is_over = queue.is_over && queue.waiting.is_empty();
        (!is_over).then(|| std::mem::take(&mut queue.waiting))
    }

    /// What to write: first what the book has of those addresses that failed.
    fn changes(&self, waiting: &[(Pending, Then)]) -> Vec<Change> {
        let (now, mut changes) = (lease_clock(), Vec::with_capacity(waiting.len()));
        if !self.unsure.is_empty() {
            let server = lock(&self.server);
            changes.extend(
                self.unsure
                    .iter()
                    .map(|address| match server.lease(*address) {
                        Some(lease) => Change::Put(to_record(lease, now)),
                        None => Change::Remove(*address),
                    }),
            );
        }
        let decided = waiting.iter().flat_map(|(pending, _)| pending.changes());
        changes.extend(decided.map(|change| to_change(change, now)));
        changes
    }

    /// Raises the alarm once, and ends it.
    fn judge(&mut self, changes: &[Change], written: &Result<(), StoreError>) {
        let mut alarm = lock(&self.common.alarm);
        match written {
            Ok(()) => {
                self.unsure.clear();
                if alarm.take().is_some() {
                    info!("leases can be written again");
                }
            }
            Err(error) => {
                self.unsure
                    .extend(changes.iter().map(|change| match change {
                        Change::Put(record) => record.address,
                        Change::Remove(address) => *address,
                    }));
                if alarm.is_none() {
                    // Not on disk, so not true: nobody is told, and the clients will ask again.
                    error!(%error, "leases cannot be written: nobody gets a new one until they can");
                    *alarm = Some(format!("{error}: nobody gets a new lease until it can"));
                }
            }
        }
    }
}
