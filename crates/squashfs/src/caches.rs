//! What archives share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::buffers::Buffers;
use crate::cache::BlockCache;
use crate::compressor::Workspaces;

/// What archives share: a cache for metadata, one for file data (so that reading a large file does
/// not push out directories), and decoders. Cloning shares.
#[derive(Clone)]
pub struct Caches {
    /// Inodes, directories and tables.
    pub metadata: Arc<BlockCache>,
    /// Data blocks and fragments.
    pub data: Arc<BlockCache>,
    pub(crate) workspaces: Arc<Workspaces>,
    pub(crate) buffers: Arc<Buffers>,
    next_archive: Arc<AtomicU64>,
}

impl Caches {
    /// Caches bounded to so many bytes each.
    pub fn new(metadata_bytes: usize, data_bytes: usize) -> Self {
        Self {
            metadata: Arc::new(BlockCache::new(metadata_bytes)),
            data: Arc::new(BlockCache::new(data_bytes)),
            workspaces: Arc::default(),
            buffers: Arc::default(),
            next_archive: Arc::default(),
        }
    }

    pub(crate) fn number_archive(&self) -> u64 {
        self.next_archive.fetch_add(1, Relaxed)
    }
}

impl Default for Caches {
    /// 8 MiB of metadata, 32 MiB of data.
    fn default() -> Self {
        Self::new(8 << 20, 32 << 20)
    }
}

impl std::fmt::Debug for Caches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Caches")
            .field("metadata", &self.metadata)
            .field("data", &self.data)
            .finish_non_exhaustive()
    }
}
