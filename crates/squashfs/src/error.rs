//! What can be wrong with an image, or with a question about it.

use std::fmt;
use std::io;

/// Part of an image, as errors name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Table {
    /// The 96 bytes at the start.
    Superblock,
    /// Inodes.
    Inodes,
    /// Directory listings.
    Directories,
    /// User and group ids.
    Ids,
    /// Where fragments are.
    Fragments,
    /// Inode number to inode reference.
    Exports,
    /// Extended attributes.
    Xattrs,
    /// Data blocks and fragment blocks.
    Data,
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Superblock => "superblock",
            Self::Inodes => "inode table",
            Self::Directories => "directory table",
            Self::Ids => "id table",
            Self::Fragments => "fragment table",
            Self::Exports => "export table",
            Self::Xattrs => "xattr table",
            Self::Data => "data area",
        })
    }
}

/// Why an image, or a part of it, cannot be read. Closed, so that callers can match on it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file is not a squashfs 4.0 image, or is one that was cut short.
    #[error("not a usable squashfs image: {what}")]
    NotAnImage {
        /// What the superblock says that cannot be.
        what: String,
    },
    /// A correct image that uses something this crate does not have.
    #[error("unsupported squashfs image: {what}")]
    Unsupported {
        /// What is missing here.
        what: String,
    },
    /// The image contradicts itself: damaged, or made to do harm.
    #[error("corrupt squashfs image: {table} at byte {offset}: {what}")]
    Corrupt {
        /// The part that is wrong.
        table: Table,
        /// Bytes from the start of the image: the metadata block, data block or field.
        offset: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The source of the bytes failed: the disk, not the image.
    #[error("cannot read the image's {table} at byte {offset}: {kind}")]
    Read {
        /// The part that was wanted.
        table: Table,
        /// Bytes from the start of the image.
        offset: u64,
        /// What the source said.
        kind: io::ErrorKind,
    },
    /// [`Archive::in_memory`](crate::Archive::in_memory) was asked for what
    /// takes time.
    #[error("not in memory")]
    NotInMemory,
    /// The question needs a directory.
    #[error("inode {number} is not a directory")]
    NotADirectory {
        /// The inode's number.
        number: u32,
    },
    /// The question needs a regular file.
    #[error("inode {number} is not a regular file")]
    NotAFile {
        /// The inode's number.
        number: u32,
    },
    /// The question needs a symbolic link.
    #[error("inode {number} is not a symbolic link")]
    NotASymlink {
        /// The inode's number.
        number: u32,
    },
    /// A path goes through more symbolic links, or more bytes of them, than any sane path does.
    #[error("too many levels of symbolic links")]
    TooManyLinks,
    /// A directory lies deeper than the walk was told to go.
    #[error("directory {number} lies deeper than {limit} levels")]
    TooDeep {
        /// The directory's inode number.
        number: u32,
        /// The walk's limit.
        limit: usize,
    },
    /// Nothing in the image leads to this directory's parent.
    #[error("the parent of directory {number} cannot be found")]
    NoParent {
        /// The directory's inode number.
        number: u32,
    },
}

impl Error {
    pub(crate) fn corrupt(table: Table, offset: u64, what: &'static str) -> Self {
        Self::Corrupt {
            table,
            offset,
            what,
        }
    }

    pub(crate) fn read(table: Table, offset: u64, error: &io::Error) -> Self {
        Self::Read {
            table,
            offset,
            kind: error.kind(),
        }
    }

    pub(crate) fn not_an_image(what: impl Into<String>) -> Self {
        Self::NotAnImage { what: what.into() }
    }
}
