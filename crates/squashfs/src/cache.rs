//! Decompressed blocks, kept under a byte bound and loaded once however many ask.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::block::{Block, BlockKey};
use crate::error::Error;

/// How a cache has done so far, and what it holds now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheCounts {
    /// Blocks asked for and found, or being loaded by another thread.
    pub hits: u64,
    /// Blocks that were loaded.
    pub misses: u64,
    /// Bytes held now, bookkeeping included.
    pub bytes: u64,
}

/// Decompressed blocks of any number of archives, together never above a bound.
///
/// A block that is asked for while another thread loads it is waited for, not loaded twice. What
/// was used since it was last looked at is kept before what was not (the clock algorithm).
/// Failed loads are not remembered.
pub struct BlockCache {
    shards: Box<[Mutex<Shard>]>,
    /// The bound of one shard, in bytes.
    bound: usize,
    hasher: RandomState,
    hits: AtomicU64,
    misses: AtomicU64,
}

#[derive(Default)]
struct Shard {
    slots: HashMap<BlockKey, Slot>,
    /// The clock: keys of ready slots, the next to be looked at in front.
    order: VecDeque<BlockKey>,
    bytes: usize,
}

enum Slot {
    Ready { block: Arc<Block>, used: bool },
    Loading(Arc<Flight>),
}

/// One load that others wait for.
#[derive(Default)]
struct Flight {
    landed: Mutex<Landed>,
    changed: Condvar,
}

#[derive(Default)]
enum Landed {
    #[default]
    NotYet,
    /// The loader panicked, or had no time; whoever waits loads for itself.
    Lost,
    With(Result<Arc<Block>, Error>),
}

impl std::fmt::Debug for BlockCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlockCache")
            .field("bound", &(self.bound * self.shards.len()))
            .field("counts", &self.counts())
            .finish()
    }
}

impl BlockCache {
    /// A cache that holds at most `bytes` bytes, bookkeeping included. Zero keeps nothing.
    pub fn new(bytes: usize) -> Self {
        // A shard must hold several of the largest blocks (1 MiB) to be of use.
        let shards = (bytes >> 23).clamp(1, 16);
        Self {
            shards: (0..shards).map(|_| Mutex::default()).collect(),
            bound: bytes / shards,
            hasher: RandomState::new(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// The block of `key`: kept, waited for, or loaded by `load` on this thread.
    ///
    /// # Errors
    /// What `load` returned, here or on the thread that was waited for.
    pub fn get_or_load(
        &self,
        key: BlockKey,
        load: impl FnOnce() -> Result<Block, Error>,
    ) -> Result<Arc<Block>, Error> {
        let shard = self.shard(key);
        loop {
            // The lock ends with this block: nothing is loaded or waited for under it.
            let (flight, ours) = {
                let mut shard = lock(shard);
                match shard.slots.entry(key) {
                    Entry::Occupied(mut slot) => match slot.get_mut() {
                        Slot::Ready { block, used } => {
                            *used = true;
                            self.hits.fetch_add(1, Relaxed);
                            return Ok(Arc::clone(block));
                        }
                        Slot::Loading(flight) => (Arc::clone(flight), false),
                    },
                    Entry::Vacant(slot) => {
                        let flight = Arc::<Flight>::default();
                        slot.insert(Slot::Loading(Arc::clone(&flight)));
                        (flight, true)
                    }
                }
            };
            if ours {
                self.misses.fetch_add(1, Relaxed);
                return self.load(shard, key, flight, load);
            }
            if let Some(result) = flight.wait() {
                self.hits.fetch_add(1, Relaxed);
                return result;
            }
        }
    }

    /// The block of `key`: kept, or loaded by `load` on this thread; `None` if another thread is
    /// loading it. What `load` has no time for ([`Error::NotInMemory`]) is loaded by who waits for it.
    ///
    /// # Errors
    /// What `load` returned.
    pub fn get_or_load_at_once(
        &self,
        key: BlockKey,
        load: impl FnOnce() -> Result<Block, Error>,
    ) -> Result<Option<Arc<Block>>, Error> {
        let shard = self.shard(key);
        let flight = match lock(shard).slots.entry(key) {
            Entry::Occupied(mut slot) => match slot.get_mut() {
                Slot::Ready { block, used } => {
                    *used = true;
                    self.hits.fetch_add(1, Relaxed);
                    return Ok(Some(Arc::clone(block)));
                }
                Slot::Loading(_) => return Ok(None),
            },
            Entry::Vacant(slot) => {
                let flight = Arc::<Flight>::default();
                slot.insert(Slot::Loading(Arc::clone(&flight)));
                flight
            }
        };
        self.misses.fetch_add(1, Relaxed);
        self.load(shard, key, flight, load).map(Some)
    }

    /// The block of `key` if it is kept; nothing is loaded or waited for.
    pub fn get(&self, key: BlockKey) -> Option<Arc<Block>> {
        match lock(self.shard(key)).slots.get_mut(&key) {
            Some(Slot::Ready { block, used }) => {
                *used = true;
                self.hits.fetch_add(1, Relaxed);
                Some(Arc::clone(block))
            }
            _ => None,
        }
    }

    fn shard(&self, key: BlockKey) -> &Mutex<Shard> {
        &self.shards[self.hasher.hash_one(key) as usize % self.shards.len()]
    }

    /// Drops every block of `archive`.
    pub fn forget(&self, archive: u64) {
        for shard in &self.shards {
            let mut shard = lock(shard);
            let mut freed = 0;
            shard.slots.retain(|key, slot| match slot {
                Slot::Ready { block, .. } if key.archive == archive => {
                    freed += block.weight();
                    false
                }
                _ => true,
            });
            shard.bytes -= freed;
            shard.order.retain(|key| key.archive != archive);
        }
    }

    /// How the cache has done so far.
    pub fn counts(&self) -> CacheCounts {
        CacheCounts {
            hits: self.hits.load(Relaxed),
            misses: self.misses.load(Relaxed),
            bytes: self.shards.iter().map(|s| lock(s).bytes as u64).sum(),
        }
    }

    fn load(
        &self,
        shard: &Mutex<Shard>,
        key: BlockKey,
        flight: Arc<Flight>,
        load: impl FnOnce() -> Result<Block, Error>,
    ) -> Result<Arc<Block>, Error> {
        let mut landing = Landing {
            shard,
            key,
            flight,
            bound: self.bound,
            landed: Landed::Lost,
        };
        let result = load().map(Arc::new);
        if !matches!(result, Err(Error::NotInMemory)) {
            landing.landed = Landed::With(result.clone());
        }
        drop(landing);
        result
    }
}

/// Ends a flight when dropped, so that a panic in a load leaves nobody waiting.
struct Landing<'a> {
    shard: &'a Mutex<Shard>,
    key: BlockKey,
    flight: Arc<Flight>,
    bound: usize,
    landed: Landed,
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        let mut shard = lock(self.shard);
        shard.slots.remove(&self.key);
        if let Landed::With(Ok(block)) = &self.landed {
            shard.keep(self.key, block, self.bound);
        }
        drop(shard);
        *lock(&self.flight.landed) = std::mem::take(&mut self.landed);
        self.flight.changed.notify_all();
    }
}

impl Flight {
    /// Waits for the loader; `None` if it was lost.
    fn wait(&self) -> Option<Result<Arc<Block>, Error>> {
        let mut landed = lock(&self.landed);
        loop {
            match &*landed {
                Landed::NotYet => {
                    landed = self
                        .changed
                        .wait(landed)
                        .unwrap_or_else(PoisonError::into_inner);
                }
                Landed::Lost => return None,
                Landed::With(result) => return Some(result.clone()),
            }
        }
    }
}

impl Shard {
    fn keep(&mut self, key: BlockKey, block: &Arc<Block>, bound: usize) {
        let weight = block.weight();
        if weight > bound {
            return;
        }
        while self.bytes + weight > bound {
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            match self.slots.get_mut(&oldest) {
                Some(Slot::Ready { used, .. }) if *used => {
                    *used = false;
                    self.order.push_back(oldest);
                }
                Some(Slot::Ready { block, .. }) => {
                    self.bytes -= block.weight();
                    self.slots.remove(&oldest);
                }
                _ => {}
            }
        }
        self.bytes += weight;
        self.order.push_back(key);
        let block = Arc::clone(block);
        self.slots.insert(key, Slot::Ready { block, used: false });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
