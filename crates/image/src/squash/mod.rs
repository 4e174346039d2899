//! Writing a squashfs 4.0 image, little endian, as every Linux kernel since 2.6.29 mounts it.
//!
//! ```text
//! entries ──► tree ─────────────────────────► inode, directory ──┐
//!    │          ▲ extents                      (metadata blocks) ├──► output ──► superblock, digest
//!    │          ├─► pipeline (threads) ──► data, fragments ──────┘
//!    └─► blocks ┴─► reads (threads)
//!
//! superblock │ compressor options │ data and fragment blocks │ inodes │ directories │
//!            │ fragment table │ export table │ id table │ xattr table, to 4 KiB │ hash tree, if it is wanted
//!            │ list of blocks, to 4 KiB
//! ```
//!
//! *The same entries and options make the same bytes*, whatever the number of threads and the machine; a
//! difference is a defect. File content passes through in bounded memory (a few blocks for each thread);
//! what is kept of a file until the end is its name and about a hundred bytes.
//!
//! Knows nothing of directories on disk: entries come from [`crate::source`] or from a test.

mod ahead;
mod blocks;
mod buffers;
mod compressor;
mod dedup;
mod directory;
mod error;
mod fragment;
mod ids;
mod inode;
mod metadata;
mod options;
mod output;
mod pipeline;
mod reads;
mod reuse;
mod superblock;
mod tables;
mod times;
mod tree;
mod usage;
mod workers;
mod xattr;

use std::io::{Seek, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use model::Verity;

use crate::entry::{Entry, Kind};
use crate::progress::Progress;
use crate::sizes::Sizes;
use crate::source;
use ahead::Ahead;
use blocks::{Before, Blocks, Settings};
use compressor::Compressor;
use ids::Ids;
use metadata::Table;
use output::Output;
use tree::{Body, Directory, Inode, Tree};
use xattr::Xattrs;

pub use error::Error;
pub(crate) use error::shown;
pub use options::{BlockSize, Compression, Options};

/// A finished image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Length of the image, a multiple of 4096.
    pub bytes: u64,
    /// Files, directories, links and nodes, each once however many names it has.
    pub inodes: u32,
    /// Regular files among them.
    pub files: u32,
    /// What the regular files hold, in bytes, before compression and with duplicates.
    pub file_bytes: u64,
    /// Regular files whose content was in the image already.
    pub duplicates: u64,
    /// What these hold, in bytes.
    pub duplicate_bytes: u64,
    /// Blocks that the image stores.
    pub blocks: u64,
    /// Those among them that were copied from [`Options::previous`].
    pub reused: u64,
    /// Regular files that were not read, see [`Options::trusted`].
    pub unread: u64,
    /// Digest of the image in pieces, see [`crate::digest`].
    pub digest: [u8; 32],
    /// What its hash tree comes to, see [`Options::verity`].
    pub verity: Option<Verity>,
    /// How much of it each directory takes.
    pub sizes: Sizes,
}

/// Writes an image of `entries` into `out`, an empty file.
///
/// The caller has announced the stage; this counts file bytes with [`Progress::advance`] and files with [`Progress::file`]. `stop` is looked at
/// before each entry and each block.
///
/// # Errors
/// When the source cannot be read or `out` written, when something does not fit into the format, and
/// [`Error::Stopped`] soon after `stop` became true. What is in `out` is then not an image.
pub fn write<W: Write + Seek + Send + 'static>(
    entries: &mut dyn Iterator<Item = Result<Entry, source::Error>>,
    out: W,
    options: &Options,
    progress: &dyn Progress,
    stop: &AtomicBool,
) -> Result<Summary, Error> {
    let make = || Compressor::new(options.compression, options.block_size);
    let table = || make().map(Table::new).map_err(Error::Compress);
    let output = begin(out, options).map_err(Error::Write)?;
    let settings = Settings {
        block_size: options.block_size.bytes(),
        threads: options.threads,
        tail_packing: options.tail_packing,
    };
    let before = Before {
        previous: reuse::Previous::open(options),
        times: times::Times::open(options),
        remember: times::Remember::begin(options).map_err(Error::Write)?,
    };
    let mut writer = Writer {
        blocks: Blocks::new(settings, output, make, before, progress, stop)?,
        tree: Tree::default(),
        ids: Ids::default(),
        xattrs: Xattrs::new(table()?),
        epoch: options.epoch,
        progress,
        newest: 0,
        files: 0,
        file_bytes: 0,
    };
    let mut ahead = Ahead::new(entries);
    while let Some(entry) = ahead.next(&mut writer.blocks) {
        if stop.load(Ordering::Relaxed) {
            return Err(Error::Stopped);
        }
        writer.add(entry?)?;
    }
    writer.finish(options)
}

/// The gathering half: everything is added once.
struct Writer<'a, W: Write> {
    blocks: Blocks<'a, W>,
    tree: Tree,
    ids: Ids,
    xattrs: Xattrs,
    epoch: Option<u32>,
    progress: &'a dyn Progress,
    newest: u32,
    files: u32,
    file_bytes: u64,
}

impl<W: Write + Seek + Send + 'static> Writer<'_, W> {
    fn add(&mut self, entry: Entry) -> Result<(), Error> {
        let path = entry.path.as_slice();
        let body = match entry.kind {
            Kind::HardLink(target) => return self.tree.link(path, &target),
            Kind::Directory => Body::Directory(Directory::new()),
            Kind::File { size, .. } => {
                self.files += 1;
                self.file_bytes += size;
                self.progress.file();
                Body::File(self.blocks.add(path, size)?)
            }
            Kind::Symlink(target) => Body::Symlink(target.into()),
            Kind::BlockDevice(number) => Body::BlockDevice(tree::device(path, number)?),
            Kind::CharDevice(number) => Body::CharDevice(tree::device(path, number)?),
            Kind::Fifo => Body::Fifo,
            Kind::Socket => Body::Socket,
        };
        for xattr in &entry.xattrs {
            if !Xattrs::holds(&xattr.name) {
                let text = format!(
                    "{}: squashfs cannot hold the attribute {}",
                    shown(path),
                    shown(&xattr.name)
                );
                self.progress.note(&text);
            }
        }
        let mtime = entry.mtime.clamp(0, self.epoch.unwrap_or(u32::MAX).into()) as u32;
        self.newest = self.newest.max(mtime);
        let inode = Inode {
            mode: entry.mode & 0o7777,
            uid: self.ids.index(entry.uid)?,
            gid: self.ids.index(entry.gid)?,
            mtime,
            xattrs: self.xattrs.index(&entry.xattrs).map_err(Error::Compress)?,
            links: 1,
            body,
        };
        let id = self.tree.add(path, inode)?;
        if entry.linked {
            self.tree.remember(path, id);
        }
        Ok(())
    }

    fn finish(self, options: &Options) -> Result<Summary, Error> {
        let (duplicates, duplicate_bytes) = (self.blocks.duplicates, self.blocks.duplicate_bytes);
        let tables = tables::Tables {
            tree: &self.tree,
            ids: &self.ids,
            xattrs: self.xattrs,
            made: self.epoch.unwrap_or(self.newest),
        };
        let stored = self.blocks.finish()?;
        let (blocks, reused, unread) = (stored.blocks, stored.reused, stored.unread);
        let sizes = usage::sizes(&self.tree, &stored);
        let written = tables.write(stored, options)?;
        Ok(Summary {
            bytes: written.length,
            inodes: self.tree.len() as u32,
            files: self.files,
            file_bytes: self.file_bytes,
            duplicates,
            duplicate_bytes,
            blocks,
            reused,
            unread,
            digest: written.digest,
            verity: written.verity,
            sizes,
        })
    }
}

/// Leaves room for the superblock and writes the compressor's options.
fn begin<W: Write + Seek + Send + 'static>(
    out: W,
    options: &Options,
) -> std::io::Result<Output<W>> {
    let mut output = Output::new(out, options.verity)?;
    output.write(&[0; superblock::LENGTH])?;
    if let Some(block) = options.compression.options_block(options.block_size) {
        output.write(&(block.len() as u16 | metadata::STORED).to_le_bytes())?;
        output.write(&block)?;
    }
    Ok(output)
}
