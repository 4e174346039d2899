//! Reads squashfs 4.0 images at random: lazily, bounded, and without trusting a byte of them.
//!
//! ```text
//!   Archive ── lookup, read_dir, read, symlink_target, xattrs, resolve, walk
//!      │
//!      ├── Cursor ── metadata blocks (inodes, directories, tables) ─┐
//!      ├── data blocks and fragments ───────────────────────────────┼── BlockCache ── Compressor
//!      └── Superblock                                               │   (byte-bounded,
//!                                                                   │    single flight)
//!   ReadAt ◄────────────────────────────────────────────────────────┘
//! ```
//!
//! An [`Archive`] holds the superblock and nothing else: opening reads a few kilobytes whatever the
//! image's size. An [`Inode`] is found by its [`InodeRef`], which is its place in the image, so a
//! reference made by one process is good in another. Decompressed blocks are kept in
//! [`Caches`], which any number of archives share.
//!
//! What it never does: write, follow a claim of a length into an allocation, recurse, start a
//! thread, open a file (the bytes come from [`ReadAt`]), or know anything of NFS. What an image says
//! is checked where it is used; a lie is an [`Error`] that names the table and the offset.
//! Making images is the `image` crate's work.
#![forbid(unsafe_code)]

mod archive;
mod block;
mod buffers;
mod cache;
mod caches;
mod checkpoints;
mod compressor;
mod cursor;
mod data;
mod directory;
mod error;
mod inode;
mod lzo;
mod read_at;
mod resolve;
mod superblock;
mod table;
mod walk;
mod xattr;

pub use archive::Archive;
pub use block::{Block, BlockKey, BlockKind};
pub use cache::{BlockCache, CacheCounts};
pub use caches::Caches;
pub use compressor::Compressor;
pub use data::Slice;
pub use directory::{DirEntry, ReadDir};
pub use error::{Error, Table};
pub use inode::{Inode, InodeKind, InodeRef};
pub use read_at::ReadAt;
pub use superblock::Superblock;
pub use walk::{Walk, WalkEntry};
pub use xattr::Xattr;
