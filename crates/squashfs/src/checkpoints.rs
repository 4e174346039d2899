//! Places passed on the way through long lists, so that the next reader need not start over.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use crate::archive::lock;
use crate::cursor::Position;
use crate::inode::InodeRef;

/// A place in an inode's list: the block sizes of a file, or the entries of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    /// Number of the list's next item.
    pub(crate) item: u64,
    /// Where that item is.
    pub(crate) position: Position,
    /// A file: where its data block lies. A directory: bytes of the listing before it.
    pub(crate) sum: u64,
}

/// The checkpoints of the inodes that were read last, bounded in all. They are made only of what
/// was really read, never of what an inode claims.
#[derive(Debug, Default)]
pub(crate) struct Checkpoints(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    lists: HashMap<InodeRef, Vec<Checkpoint>>,
    /// The inodes in the order in which they came.
    order: VecDeque<InodeRef>,
    count: usize,
}

impl Checkpoints {
    /// Items from one checkpoint to the next.
    pub(crate) const EVERY: u64 = 512;
    /// Checkpoints of one archive: enough for 512 GiB of files, in 2 MiB at most.
    const KEPT: usize = 8 * 1024;

    /// The last known place at or before `item`.
    pub(crate) fn before(&self, inode: InodeRef, item: u64) -> Option<Checkpoint> {
        let state = lock(&self.0);
        let list = state.lists.get(&inode)?;
        let after = list.partition_point(|checkpoint| checkpoint.item <= item);
        list.get(after.checked_sub(1)?).copied()
    }

    /// Remembers a place if it is [`Checkpoints::EVERY`] items from every one known.
    pub(crate) fn note(&self, inode: InodeRef, checkpoint: Checkpoint) {
        let mut state = lock(&self.0);
        let near = |other: &Checkpoint| other.item.abs_diff(checkpoint.item) < Self::EVERY;
        let place = |list: &[Checkpoint]| list.partition_point(|c| c.item <= checkpoint.item);
        if checkpoint.item < Self::EVERY {
            return;
        }
        if let Some(list) = state.lists.get(&inode) {
            let at = place(list);
            if list[..at].last().is_some_and(near) || list[at..].first().is_some_and(near) {
                return;
            }
        }
        while state.count >= Self::KEPT {
            let Some(oldest) = state.order.pop_front() else {
                break;
            };
            let freed = state.lists.remove(&oldest).map_or(0, |list| list.len());
            state.count -= freed;
        }
        if !state.lists.contains_key(&inode) {
            state.order.push_back(inode);
        }
        let list = state.lists.entry(inode).or_default();
        list.insert(place(list), checkpoint);
        state.count += 1;
    }
}
