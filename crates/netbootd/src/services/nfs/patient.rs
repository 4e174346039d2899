//! Calls that may have to wait for a disk or a decompressor: answered on blocking threads, beside
//! those that need not wait and may overtake them.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use ::nfs::Reply;
use tokio::task::{JoinSet, spawn_blocking};
use tracing::error;

use super::Service;
use super::ahead::Fetch;
use super::session::Clerk;

/// Bytes of replies that one connection may have in the making, by what they may at most be. One
/// call is always taken, so this and one longest reply bound what a peer that never reads costs.
const IN_THE_MAKING: usize = 1 << 20;
/// Bytes of replies that one thread makes before they are sent. Handing calls to a thread and back
/// costs 20 to 30 µs in a virtual machine, a tenth of decompressing a block.
const TOGETHER: usize = 512 * 1024;
/// What a reply other than READ's may be: a listing.
const LISTING: usize = 64 * 1024;
/// Calls that wait for a thread: beyond, nothing more is read from the peer. Bytes and number.
const WAITING: (usize, usize) = (64 * 1024, 64);
/// A read-ahead of more than this is shared by two threads, in bytes.
const SHARED: u32 = 256 * 1024;

/// One connection's calls that wait, and the threads that answer them.
pub(super) struct Patient {
    service: Arc<Service>,
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
    threads: JoinSet<io::Result<Answers>>,
    most_threads: usize,
    in_the_making: usize,
}

struct Waiting {
    record: Vec<u8>,
    /// The most bytes that its reply may have.
    claim: usize,
    since: Instant,
}

/// Replies to some calls.
pub(super) struct Answers {
    pub(super) out: Vec<u8>,
    pub(super) calls: u64,
    pub(super) since: Instant,
    claim: usize,
}

impl Patient {
    pub(super) fn new(service: Arc<Service>) -> Self {
        Self {
            service,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            threads: JoinSet::new(),
            most_threads: super::cores().clamp(2, 4),
            in_the_making: 0,
        }
    }

    /// Takes a call that could not be answered at once, with what became of it then.
    pub(super) fn wait(&mut self, record: &[u8], reply: Option<&Reply>, since: Instant) {
        let read = reply.and_then(|reply| reply.about?.read);
        self.waiting_bytes += record.len();
        self.waiting.push_back(Waiting {
            record: record.to_vec(),
            claim: read.map_or(LISTING, |read| read.count as usize),
            since,
        });
    }

    /// Whether no more calls are to be taken for now.
    pub(super) fn is_full(&self) -> bool {
        self.waiting_bytes >= WAITING.0 || self.waiting.len() >= WAITING.1
    }

    /// Whether answers are on their way.
    pub(super) fn is_busy(&self) -> bool {
        !self.threads.is_empty()
    }

    /// Starts threads on what waits, as far as bounds allow. `clerk` makes one for each,
    /// `spare` has buffers that were used before.
    pub(super) fn start(&mut self, clerk: impl Fn() -> Clerk, spare: &mut Vec<Vec<u8>>) {
        while self.threads.len() < self.most_threads && !self.waiting.is_empty() {
            let share = self
                .waiting
                .len()
                .div_ceil(self.most_threads - self.threads.len());
            let (mut calls, mut claim) = (Vec::new(), 0);
            while calls.len() < share
                && let Some(next) = self.waiting.front()
            {
                let room = claim + next.claim <= TOGETHER
                    && self.in_the_making + claim + next.claim <= IN_THE_MAKING;
                if !room && (self.in_the_making > 0 || claim > 0) {
                    break;
                }
                claim += next.claim;
                self.waiting_bytes -= next.record.len();
                calls.extend(self.waiting.pop_front());
            }
            if calls.is_empty() {
                return;
            }
            self.in_the_making += claim;
            self.spawn(clerk(), calls, claim, spare.pop().unwrap_or_default());
        }
    }

    fn spawn(&mut self, clerk: Clerk, calls: Vec<Waiting>, claim: usize, out: Vec<u8>) {
        let permits = Arc::clone(&self.service.blocking);
        match Arc::clone(&permits).try_acquire_owned() {
            Ok(permit) => {
                self.threads.spawn_blocking(move || {
                    let answers = answer(clerk, &calls, claim, out);
                    drop(permit);
                    answers
                });
            }
            Err(_) => {
                self.threads.spawn(async move {
                    let permit = permits.acquire_owned().await.map_err(io::Error::other)?;
                    let answers = move || {
                        let answers = answer(clerk, &calls, claim, out);
                        drop(permit);
                        answers
                    };
                    spawn_blocking(answers).await.map_err(lost)?
                });
            }
        }
    }

    /// The next answers there are. To be called only when [`Patient::is_busy`].
    pub(super) async fn answers(&mut self) -> io::Result<Answers> {
        let Some(ended) = self.threads.join_next().await else {
            return std::future::pending().await;
        };
        let answers = ended.map_err(lost)??;
        self.in_the_making -= answers.claim;
        Ok(answers)
    }

    /// Makes something ready that nobody waits for yet, if there is a thread for it.
    pub(super) fn prefetch(&self, fetch: Fetch) {
        // Where every processor has a call to answer, nothing is won by answering early.
        let answering =
            self.service.options.max_blocking - self.service.blocking.available_permits();
        if answering >= super::cores() {
            return;
        }
        let halves = if fetch.len > SHARED { 2 } else { 1 };
        let len = fetch.len.div_ceil(halves).next_multiple_of(SHARED / 2);
        for offset in (0..fetch.len).step_by(len as usize) {
            let Ok(permit) = Arc::clone(&self.service.ahead).try_acquire_owned() else {
                return;
            };
            let service = Arc::clone(&self.service);
            let len = len.min(fetch.len - offset);
            // Nobody waits for its end, and it is bounded by what a window holds.
            drop(spawn_blocking(move || {
                let offset = fetch.offset + u64::from(offset);
                service.files.prefetch(&fetch.file, offset, len);
                drop(permit);
            }));
        }
    }
}

fn answer(
    mut clerk: Clerk,
    calls: &[Waiting],
    claim: usize,
    mut out: Vec<u8>,
) -> io::Result<Answers> {
    for call in calls {
        clerk.answer(&call.record, &mut out)?;
    }
    Ok(Answers {
        out,
        calls: calls.len() as u64,
        since: calls.first().map_or_else(Instant::now, |call| call.since),
        claim,
    })
}

/// A panic in a call ends its connection, and no other.
fn lost(fault: tokio::task::JoinError) -> io::Error {
    error!(%fault, "an NFS call was lost to a fault of ours");
    io::Error::other(fault)
}
