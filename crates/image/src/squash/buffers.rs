//! Buffers of a block's length, used again and again by all threads.

use std::sync::{Arc, Mutex, PoisonError};

/// A heap of buffers; its clones are the same heap.
#[derive(Clone)]
pub(super) struct Buffers {
    block_size: usize,
    heap: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Buffers {
    pub(super) fn new(block_size: usize) -> Self {
        Self {
            block_size,
            heap: Arc::default(),
        }
    }

    /// A buffer of `length` bytes, whatever they are. A short one is its own, so that the end of a file does not
    /// hold a whole block's memory.
    pub(super) fn take(&self, length: usize) -> Vec<u8> {
        if length <= self.block_size / 2 {
            return vec![0; length];
        }
        let mut buffer = self.heap().pop().unwrap_or_default();
        buffer.reserve_exact(self.block_size.saturating_sub(buffer.len()));
        buffer.resize(length, 0); // writes only behind what was in it
        buffer
    }

    /// An empty buffer with room for a block.
    pub(super) fn empty(&self) -> Vec<u8> {
        let mut buffer = self.heap().pop().unwrap_or_default();
        buffer.clear();
        buffer.reserve_exact(self.block_size);
        buffer
    }

    /// Gives a buffer back.
    pub(super) fn recycle(&self, buffer: Vec<u8>) {
        if buffer.capacity() >= self.block_size {
            self.heap().push(buffer);
        }
    }

    fn heap(&self) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
        self.heap.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
