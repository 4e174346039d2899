//! Why a file system cannot be read.

use std::io;

/// Why a file system, or something in it, cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not ext2, ext3 or ext4.
    #[error("no ext2, ext3 or ext4 file system")]
    NotExt4,
    /// It contradicts itself, or goes beyond what is read.
    #[error("{what} (ext4, byte {offset})")]
    Broken {
        /// Bytes from the file system's beginning.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// It uses something that is not read here.
    #[error("the ext4 file system uses {0}, which is not read here")]
    Unsupported(String),
    /// It was not unmounted.
    #[error(
        "the ext4 file system was not unmounted cleanly: shut the machine down, or let e2fsck -p replay its journal"
    )]
    Journal,
    /// The disk could not be read.
    #[error("cannot read the disk at byte {offset}: {cause}")]
    Io {
        /// Bytes from the file system's beginning.
        offset: u64,
        /// What the operating system said.
        #[source]
        cause: io::Error,
    },
}
