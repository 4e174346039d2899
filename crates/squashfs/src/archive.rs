//! An open image.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::block::{Block, BlockKey, BlockKind};
use crate::cache::BlockCache;
use crate::caches::Caches;
use crate::checkpoints::Checkpoints;
use crate::compressor::Compressor;
use crate::cursor::{METADATA_LEN, Region};
use crate::error::{Error, Table};
use crate::inode::{Inode, InodeKind, InodeRef};
use crate::read_at::{ReadAt, read_exact_at, read_exact_at_once};
use crate::superblock::Superblock;
use crate::table::Lookup;

/// An open squashfs image: the superblock, and the way to everything else.
///
/// All methods may be called by many threads at once. They block while bytes are read and
/// decompressed; everything they keep is bounded, by [`Caches`] or by a small constant.
pub struct Archive {
    pub(crate) source: Arc<dyn ReadAt + Send + Sync>,
    pub(crate) superblock: Superblock,
    pub(crate) caches: Caches,
    pub(crate) checkpoints: Arc<Checkpoints>,
    /// Directories found by walking, for images that have no export table: number to place.
    pub(crate) directories: Arc<Mutex<HashMap<u32, InodeRef>>>,
    /// The id table, once an inode needed it: at most 65 535 ids.
    ids: Arc<OnceLock<Box<[u32]>>>,
    cached: Arc<Cached>,
    /// Whether nothing is waited for.
    pub(crate) in_memory: bool,
}

/// What the caches hold of an archive; forgotten with the last who reads it.
struct Cached {
    archive: u64,
    caches: Caches,
}

impl Archive {
    /// Opens an image: reads the superblock and the root directory's inode, a few kilobytes.
    ///
    /// # Errors
    /// [`Error::NotAnImage`] or [`Error::Unsupported`] with a reason for the operator, or what is
    /// wrong with the root directory.
    pub fn open(source: Arc<dyn ReadAt + Send + Sync>, caches: &Caches) -> Result<Self, Error> {
        let image_len = source.len();
        if image_len < Superblock::LEN {
            return Err(Error::not_an_image(format!(
                "it has {image_len} bytes, and the superblock alone takes 96"
            )));
        }
        let mut bytes = [0; 96];
        read_exact_at(&*source, &mut bytes, 0, Table::Superblock)?;
        let archive = Self {
            superblock: Superblock::decode(&bytes, image_len)?,
            source,
            caches: caches.clone(),
            checkpoints: Arc::default(),
            directories: Arc::default(),
            ids: Arc::default(),
            cached: Arc::new(Cached {
                archive: caches.number_archive(),
                caches: caches.clone(),
            }),
            in_memory: false,
        };
        let root = archive.root()?;
        if root.kind != InodeKind::Directory {
            return Err(Error::NotADirectory {
                number: root.number,
            });
        }
        Ok(archive)
    }

    /// The same archive for those who must not wait: what would have to be read from a disk, waited
    /// for, or decompressed for long is [`Error::NotInMemory`]. What is decompressed is at most two
    /// data blocks in a call, of a compressor that is quick: handing them to another thread would
    /// cost about as much again.
    pub fn in_memory(&self) -> Self {
        Self {
            source: Arc::clone(&self.source),
            superblock: self.superblock.clone(),
            caches: self.caches.clone(),
            checkpoints: Arc::clone(&self.checkpoints),
            directories: Arc::clone(&self.directories),
            ids: Arc::clone(&self.ids),
            cached: Arc::clone(&self.cached),
            in_memory: true,
        }
    }

    /// What the superblock says.
    pub fn superblock(&self) -> &Superblock {
        &self.superblock
    }

    /// Where the root directory's inode is.
    pub fn root_ref(&self) -> InodeRef {
        InodeRef(self.superblock.root)
    }

    /// The root directory.
    ///
    /// # Errors
    /// As [`Archive::inode`].
    pub fn root(&self) -> Result<Inode, Error> {
        self.inode(self.root_ref())
    }

    /// Where the inode with this number is; `None` if the image has no export table.
    ///
    /// # Errors
    /// A number that the image does not have, or a corrupt export table.
    pub fn inode_ref(&self, number: u32) -> Result<Option<InodeRef>, Error> {
        let Some(start) = self.superblock.exports else {
            return Ok(None);
        };
        let table = Lookup {
            table: Table::Exports,
            index: start,
            entries: self.superblock.inode_count.into(),
        };
        let entry = table.entry::<8>(self, u64::from(number).wrapping_sub(1))?;
        Ok(Some(InodeRef(u64::from_le_bytes(entry))))
    }

    pub(crate) fn inodes(&self) -> Region {
        Region {
            table: Table::Inodes,
            start: self.superblock.inodes,
            end: self.superblock.directories,
        }
    }

    pub(crate) fn listings(&self) -> Region {
        Region {
            table: Table::Directories,
            start: self.superblock.directories,
            end: self.superblock.directories_end(),
        }
    }

    /// The user or group id with this index.
    pub(crate) fn id(&self, index: u16) -> Result<u32, Error> {
        let ids = match self.ids.get() {
            Some(ids) => ids,
            None => {
                let ids = self.read_ids()?;
                self.ids.get_or_init(|| ids)
            }
        };
        ids.get(usize::from(index)).copied().ok_or_else(|| {
            Error::corrupt(
                Table::Ids,
                self.superblock.ids,
                "an id beyond the table's end",
            )
        })
    }

    fn read_ids(&self) -> Result<Box<[u32]>, Error> {
        let table = Lookup {
            table: Table::Ids,
            index: self.superblock.ids,
            entries: self.superblock.id_count.into(),
        };
        (0..table.entries)
            .map(|number| Ok(u32::from_le_bytes(table.entry::<4>(self, number)?)))
            .collect()
    }

    /// The metadata block at `offset`, which with its header ends before `end`.
    pub(crate) fn metadata_block(
        &self,
        table: Table,
        offset: u64,
        end: u64,
    ) -> Result<Arc<Block>, Error> {
        let key = self.key(BlockKind::Metadata, offset, 0);
        let block = self.load(&self.caches.metadata, key, || {
            let corrupt = |what| Error::corrupt(table, offset, what);
            // One read takes header and body; metadata is small, so reading too far costs nothing.
            let room = end.saturating_sub(offset).min(2 + METADATA_LEN as u64) as usize;
            self.caches.workspaces.with(|workspace| {
                let stored = workspace.stored(room);
                read_exact_at(&*self.source, stored, offset, table)?;
                let header = stored
                    .first_chunk::<2>()
                    .map(|bytes| u16::from_le_bytes(*bytes))
                    .ok_or_else(|| corrupt("no room for a metadata block"))?;
                let len = usize::from(header & 0x7fff);
                if len == 0 || len > METADATA_LEN || 2 + len > room {
                    return Err(corrupt("bad length of a metadata block"));
                }
                let bytes = if header & 0x8000 != 0 {
                    stored[2..2 + len].to_vec()
                } else {
                    workspace
                        .decompress(
                            self.superblock.compressor,
                            2..2 + len,
                            Vec::with_capacity(METADATA_LEN),
                        )
                        .map_err(corrupt)?
                };
                if bytes.is_empty() {
                    return Err(corrupt("empty metadata block"));
                }
                Ok(Block::new(bytes, 2 + len as u32))
            })
        })?;
        if offset.saturating_add(block.stored.into()) > end {
            return Err(Error::corrupt(
                table,
                offset,
                "metadata block leaves its table",
            ));
        }
        Ok(block)
    }

    /// The data or fragment block at `offset` whose size word is `size` (not zero). `loads` is how
    /// many more blocks may be loaded at once, where nothing is waited for.
    pub(crate) fn data_block(
        &self,
        offset: u64,
        size: u32,
        loads: &mut u32,
    ) -> Result<Arc<Block>, Error> {
        let limit = self.superblock.block_size;
        let corrupt = |what| Error::corrupt(Table::Data, offset, what);
        let len = size & !UNCOMPRESSED;
        let end = offset.checked_add(len.into());
        if len == 0 || len > limit {
            return Err(corrupt("bad size of a data block"));
        }
        if offset < Superblock::LEN || end.is_none_or(|end| end > self.superblock.inodes) {
            return Err(corrupt("data block outside the data area"));
        }
        let key = self.key(BlockKind::Data, offset, size);
        let load = || {
            let len = len as usize;
            let buffers = &self.caches.buffers;
            let read = |buf: &mut [u8]| match self.in_memory {
                true => read_exact_at_once(&*self.source, buf, offset, Table::Data),
                false => read_exact_at(&*self.source, buf, offset, Table::Data),
            };
            if size & UNCOMPRESSED != 0 {
                let mut bytes = buffers.take(limit as usize);
                bytes.resize(len, 0);
                read(&mut bytes)?;
                return Ok(Block::in_buffer(bytes, len as u32, buffers));
            }
            self.caches.workspaces.with(|workspace| {
                read(workspace.stored(len))?;
                workspace
                    .decompress(
                        self.superblock.compressor,
                        0..len,
                        buffers.take(limit as usize),
                    )
                    .map(|bytes| Block::in_buffer(bytes, len as u32, buffers))
                    .map_err(corrupt)
            })
        };
        if !self.in_memory {
            return self.caches.data.get_or_load(key, load);
        }
        if let Some(block) = self.caches.data.get(key) {
            return Ok(block);
        }
        if *loads == 0 || limit > QUICK || self.superblock.compressor == Compressor::Xz {
            return Err(Error::NotInMemory);
        }
        *loads -= 1;
        let block = self.caches.data.get_or_load_at_once(key, load)?;
        block.ok_or(Error::NotInMemory)
    }

    /// The bytes of a table's index from `offset`, at most 4 KiB and not beyond the image.
    pub(crate) fn index_page(&self, table: Table, offset: u64) -> Result<Arc<Block>, Error> {
        let key = self.key(BlockKind::Index, offset, 0);
        self.load(&self.caches.metadata, key, || {
            let rest = self.superblock.bytes_used.saturating_sub(offset);
            let mut bytes = vec![0; rest.min(4096) as usize];
            read_exact_at(&*self.source, &mut bytes, offset, table)?;
            Ok(Block::new(bytes, 0))
        })
    }

    /// The block of `key`, by whatever this archive may do to have it.
    fn load(
        &self,
        cache: &BlockCache,
        key: BlockKey,
        load: impl FnOnce() -> Result<Block, Error>,
    ) -> Result<Arc<Block>, Error> {
        if self.in_memory {
            return cache.get(key).ok_or(Error::NotInMemory);
        }
        cache.get_or_load(key, load)
    }

    fn key(&self, kind: BlockKind, offset: u64, size: u32) -> BlockKey {
        BlockKey {
            archive: self.cached.archive,
            offset,
            size,
            kind,
        }
    }
}

/// The largest block that is decompressed where nobody may wait, in bytes: 0.15 ms with zstd.
const QUICK: u32 = 128 * 1024;

/// The bit of a size word that says "stored as it is".
pub(crate) const UNCOMPRESSED: u32 = 1 << 24;

impl Drop for Cached {
    fn drop(&mut self) {
        self.caches.metadata.forget(self.archive);
        self.caches.data.forget(self.archive);
    }
}

impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Archive")
            .field("superblock", &self.superblock)
            .finish_non_exhaustive()
    }
}

/// A lock whose holder cannot leave it half-changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
