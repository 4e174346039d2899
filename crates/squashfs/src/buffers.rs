//! Memory of data blocks, used again.

use std::sync::{Mutex, PoisonError};

/// Room for decompressed data blocks that was given back.
///
/// Blocks come and go by the thousand in each second that a tree is read. Left to the allocator,
/// their room was fresh pages each time, and pieces of what other threads had given back: a cache of
/// 64 MiB made a process of 200 MiB.
#[derive(Debug, Default)]
pub(crate) struct Buffers(Mutex<Vec<Vec<u8>>>);

impl Buffers {
    /// Buffers kept for the next block: no more than blocks are loaded at once.
    const KEPT: usize = 16;
    /// Smaller ones are the allocator's business.
    const SMALLEST: usize = 64 * 1024;

    /// An empty buffer with room for exactly `len` bytes.
    pub(crate) fn take(&self, len: usize) -> Vec<u8> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fitting = kept.iter().rposition(|buffer| buffer.capacity() == len);
        match fitting {
            Some(at) => kept.swap_remove(at),
            None => Vec::with_capacity(len),
        }
    }

    /// Gives a buffer back.
    pub(crate) fn give(&self, mut buffer: Vec<u8>) {
        if buffer.capacity() < Self::SMALLEST {
            return;
        }
        buffer.clear();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= Self::KEPT {
            // The oldest may be of a block size that is no longer read.
            kept.remove(0);
        }
        kept.push(buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_is_taken_again_if_it_fits() {
        let buffers = Buffers::default();
        let mut first = buffers.take(128 * 1024);
        first.extend([1; 1000]);
        let place = first.as_ptr();
        buffers.give(first);
        let larger = buffers.take(256 * 1024);
        assert_ne!(larger.as_ptr(), place);
        let second = buffers.take(128 * 1024);
        assert_eq!((second.as_ptr(), second.len()), (place, 0));
    }

    #[test]
    fn no_more_than_a_few_are_kept() {
        let buffers = Buffers::default();
        for _ in 0..100 {
            buffers.give(Vec::with_capacity(128 * 1024));
            buffers.give(Vec::with_capacity(100));
        }
        assert_eq!(buffers.0.lock().unwrap().len(), Buffers::KEPT);
    }
}
