//! Reading ext2, ext3 and ext4 without the kernel: no mount, no root, nothing written.
//!
//! The crates that read ext4 leave out what an operating system needs (attributes, devices) or write as well;
//! this reads, and nothing else. Every number in the file system is a claim: blocks are looked for inside the disk,
//! sizes are bounded, what has to be a tree is held to be one, and each refusal names the byte where it is wrong.
//!
//! ```text
//! superblock ─► group descriptors ─► inode ─┬─► extents or block map ─► runs ─► content
//!                                           ├─► inline data
//!                                           └─► attributes: in the inode, in a block, in an inode of their own
//! ```

mod directory;
mod error;
mod inode;
mod runs;
mod superblock;
mod xattr;

use std::sync::Arc;

use squashfs::ReadAt;

pub use directory::Name;
pub use error::Error;
pub use inode::{Inode, Kind};
use runs::Runs;
use superblock::Superblock;

/// The root directory's inode.
pub const ROOT: u32 = 2;
/// The longest file, and the longest thing that is read into memory.
const SIZE_LIMIT: u64 = 16 << 40;

/// A disk, or a part of one.
pub type Disk = Arc<dyn ReadAt + Send + Sync>;

/// An open file system.
pub struct Ext4 {
    disk: Disk,
    superblock: Superblock,
}

impl Ext4 {
    /// Opens the file system that begins where `disk` does.
    ///
    /// # Errors
    /// When it is none, when it uses what cannot be read here, or when its journal has to be replayed first.
    pub fn open(disk: Disk) -> Result<Self, Error> {
        let superblock = Superblock::read(&*disk)?;
        Ok(Self { disk, superblock })
    }

    /// Whether `head`, the first 2048 bytes, look like one.
    pub fn is_likely(head: &[u8]) -> bool {
        head.get(1080..1082) == Some(&[0x53, 0xef])
    }

    /// The bytes of a block.
    fn block(&self, number: u64) -> Result<Vec<u8>, Error> {
        let size = self.superblock.block_size;
        let offset = self.place(number, 1)?;
        let mut block = vec![0; size as usize];
        self.read(&mut block, offset)?;
        Ok(block)
    }

    /// Where `count` blocks from this one on are.
    fn place(&self, block: u64, count: u64) -> Result<u64, Error> {
        let size = self.superblock.block_size;
        let end = block.checked_add(count);
        match end {
            Some(end) if block > 0 && end <= self.superblock.blocks => Ok(block * size),
            _ => Err(Error::Broken {
                offset: block.saturating_mul(size),
                what: "a block outside the file system",
            }),
        }
    }

    fn read(&self, buf: &mut [u8], offset: u64) -> Result<(), Error> {
        crate::source::read_exact(&*self.disk, buf, offset).map_err(|cause| match cause.kind() {
            std::io::ErrorKind::UnexpectedEof => Error::Broken {
                offset,
                what: "the disk ends here",
            },
            _ => Error::Io { offset, cause },
        })
    }

    /// Opens the content of a file, of a symbolic link, or of a directory.
    ///
    /// # Errors
    /// What is wrong with the map of its blocks.
    pub fn content(&self, inode: &Inode) -> Result<File, Error> {
        let source = match self.inline(inode)? {
            Some(bytes) => Source::Inline(bytes),
            None => Source::Runs(self.runs(inode)?),
        };
        Ok(File {
            size: inode.size,
            source,
        })
    }

    /// All of a small content.
    fn whole(&self, inode: &Inode, limit: u64) -> Result<Vec<u8>, Error> {
        if inode.size > limit {
            return Err(inode.broken("it is longer than it may be"));
        }
        let file = self.content(inode)?;
        let mut bytes = vec![0; inode.size as usize];
        let mut filled = 0;
        while filled < bytes.len() {
            match file.read_at(self, &mut bytes[filled..], filled as u64)? {
                0 => break,
                count => filled += count,
            }
        }
        Ok(bytes)
    }
}

/// The content of an inode.
pub struct File {
    size: u64,
    source: Source,
}

enum Source {
    Inline(Vec<u8>),
    Runs(Runs),
}

impl File {
    /// Reads at `offset`; 0 is the end.
    ///
    /// # Errors
    /// When the disk cannot be read, or ends.
    pub fn read_at(&self, disk: &Ext4, buf: &mut [u8], offset: u64) -> Result<usize, Error> {
        let rest = self.size.saturating_sub(offset).min(buf.len() as u64) as usize;
        let buf = &mut buf[..rest];
        if rest == 0 {
            return Ok(0);
        }
        match &self.source {
            Source::Inline(bytes) => {
                let begin = usize::try_from(offset).unwrap_or(usize::MAX);
                let there = bytes.get(begin..).unwrap_or_default();
                let count = there.len().min(rest);
                buf[..count].copy_from_slice(&there[..count]);
                buf[count..].fill(0);
                Ok(rest)
            }
            Source::Runs(runs) => {
                let block_size = disk.superblock.block_size;
                let (place, there) = runs.find(offset, block_size);
                let count = there.min(rest as u64) as usize;
                match place {
                    Some(place) => disk.read(&mut buf[..count], place)?,
                    None => buf[..count].fill(0),
                }
                Ok(count)
            }
        }
    }

    /// The next bytes at or after `offset` that are not a hole.
    pub fn data_after(&self, disk: &Ext4, offset: u64) -> Option<std::ops::Range<u64>> {
        match &self.source {
            Source::Inline(bytes) => {
                let end = bytes.len() as u64;
                (offset < end).then_some(offset..end)
            }
            Source::Runs(runs) => runs.data_after(offset, disk.superblock.block_size),
        }
    }
}

/// Numbers in little endian.
fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

/// A number whose halves lie apart.
fn joined(low: u32, high: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}
