//! How an image is to be written.

use std::fs::File;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;

/// How an image is to be written.
#[derive(Clone, Debug)]
pub struct Options {
    /// How blocks and tables are compressed.
    pub compression: Compression,
    /// Bytes of file content in one block.
    pub block_size: BlockSize,
    /// Threads that compress. The image's bytes do not depend on it.
    pub threads: NonZeroUsize,
    /// No time in the image is later than this (seconds since 1970, `SOURCE_DATE_EPOCH`), and the image says
    /// that it was made then. Without it the image was made when its newest file changed.
    pub epoch: Option<u32>,
    /// Whether the last, short block of a long file shares a fragment block with others, or only files shorter
    /// than one block do. On a Debian root packing costs 0.1 % of the size: unlike neighbours compress badly.
    pub tail_packing: bool,
    /// Whether a hash tree for dm-verity follows the file system, see [`Summary::verity`](super::Summary::verity).
    pub verity: bool,
    /// An image of an earlier build. Blocks that it has, made with the same settings, are copied instead of
    /// compressed: a rebuild costs little more than reading. The bytes of the image do not depend on it.
    pub previous: Option<Arc<File>>,
    /// What an earlier build left in its [`Options::remember`]. A file that has the same stamp
    /// ([`Content::stamp`](crate::entry::Content::stamp)) as then is not read, nor searched for secrets, as
    /// far as [`Options::previous`] has its blocks.
    pub trusted: Option<Arc<File>>,
    /// An empty file that remembers for a later build which blocks the files consist of.
    pub remember: Option<Arc<File>>,
}

impl Default for Options {
    /// zstd 9 in 128 KiB blocks on every core: boots fastest and sends the fewest bytes.
    fn default() -> Self {
        Self {
            compression: Compression::default(),
            block_size: BlockSize::default(),
            threads: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            epoch: None,
            tail_packing: false,
            verity: false,
            previous: None,
            trusted: None,
            remember: None,
        }
    }
}

/// How blocks and tables are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all: for images that are compressed elsewhere.
    None,
    /// zlib; every kernel with squashfs reads it. Level `1..=12` of libdeflate: 6 is smaller than zlib's 9.
    Gzip {
        /// `1..=12`.
        level: u8,
    },
    /// The quickest to read and the largest.
    Lz4,
    /// The smallest and by far the slowest to read.
    Xz {
        /// liblzma's preset, `0..=9`.
        level: u8,
    },
    /// Small and quick to read; kernels since 4.14.
    Zstd {
        /// `1..=22`.
        level: u8,
    },
}

impl Default for Compression {
    fn default() -> Self {
        Self::Zstd { level: 9 }
    }
}

/// Bytes of file content in one block: a power of two from 4 KiB to 1 MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockSize {
    log: u8,
}

impl BlockSize {
    /// A block of `bytes`, or `None` unless that is a power of two from 4096 to 1 048 576.
    pub fn new(bytes: u32) -> Option<Self> {
        let allowed = bytes.is_power_of_two() && (1 << 12..=1 << 20).contains(&bytes);
        allowed.then(|| Self {
            log: bytes.trailing_zeros() as u8,
        })
    }

    /// In bytes.
    pub fn bytes(self) -> usize {
        1 << self.log
    }

    /// The power of two.
    pub(super) fn log(self) -> u16 {
        self.log.into()
    }
}

impl Default for BlockSize {
    fn default() -> Self {
        Self { log: 17 }
    }
}
