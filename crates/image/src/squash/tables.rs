//! The tables behind the data area, written when everything is known.
//!
//! Directories are taken last to first. As a directory comes before everything below it, the directories in
//! it are listed by then, and its inodes can be written, next to each other; then its own listing can.

use std::collections::HashMap;
use std::io::{self, Seek, Write};

use super::blocks::Stored;
use super::compressor::Compressor;
use super::directory::{self, Listed, Listing};
use super::error::Error;
use super::ids::Ids;
use super::inode::{self, Target};
use super::metadata::{Place, Table};
use super::options::{Compression, Options};
use super::output::Finished;
use super::superblock::{ABSENT, Superblock, flags};
use super::tree::{Body, InodeId, Tree};
use super::xattr::Xattrs;

pub(super) struct Tables<'a> {
    pub(super) tree: &'a Tree,
    pub(super) ids: &'a Ids,
    pub(super) xattrs: Xattrs,
    /// When the image says that it was made.
    pub(super) made: u32,
}

impl Tables<'_> {
    /// Finishes the image.
    pub(super) fn write<W: Write + Seek + Send + 'static>(
        self,
        mut stored: Stored<W>,
        options: &Options,
    ) -> Result<Finished, Error> {
        if self.tree.len() == 0 {
            return Err(Error::Full("it has no root directory"));
        }
        let make = || Compressor::new(options.compression, options.block_size);
        let compressor = || make().map_err(Error::Compress);
        let inodes = Inodes {
            tree: self.tree,
            stored: &stored,
            table: Table::new(compressor()?),
            directories: Table::new(compressor()?),
            places: vec![None; self.tree.len()],
            scratch: Vec::new(),
        };
        let written = inodes.write().map_err(Error::Compress)?;

        let output = &mut stored.output;
        let inode_table = output.position();
        output.write(&written.inodes).map_err(Error::Write)?;
        let directory_table = output.position();
        output.write(&written.directories).map_err(Error::Write)?;
        let mut lookup = |entries: &[u8]| {
            output
                .write_lookup(entries, &[], make().map_err(Error::Compress)?)
                .map_err(Error::Write)
        };
        let fragment_table = lookup(stored.fragments.encode())?;
        let export_table = lookup(&written.export)?;
        let id_table = lookup(&self.ids.encode())?;
        let xattr_table = write_xattrs(self.xattrs, output, compressor()?)?;

        let superblock = Superblock {
            inodes: self.tree.len() as u32,
            made: self.made,
            block_log: options.block_size.log(),
            fragments: stored.fragments.count(),
            compressor: options.compression.id(),
            flags: flags_of(options, xattr_table != ABSENT),
            ids: self.ids.count(),
            root: written.root.reference(),
            bytes_used: output.position(),
            id_table,
            xattr_table,
            inode_table,
            directory_table,
            fragment_table,
            export_table,
        };
        let (list, footer) = stored.list.encode(options, stored.output.list_begin());
        let output = stored.output;
        output
            .finish(&list, &footer, &superblock.encode())
            .map_err(Error::Write)
    }
}

/// The finished inode, directory and export tables.
struct Written {
    inodes: Vec<u8>,
    directories: Vec<u8>,
    export: Vec<u8>,
    root: Place,
}

struct Inodes<'a, W: Write> {
    tree: &'a Tree,
    stored: &'a Stored<W>,
    table: Table,
    directories: Table,
    /// Where each inode is, once it is written.
    places: Vec<Option<Place>>,
    scratch: Vec<u8>,
}

impl<W: Write> Inodes<'_, W> {
    fn write(mut self) -> io::Result<Written> {
        let mut listings: HashMap<InodeId, Listing> = HashMap::new();
        for id in (0..self.tree.len() as InodeId).rev() {
            let Body::Directory(directory) = &self.tree.inode(id).body else {
                continue;
            };
            for (_, child) in self.tree.children(directory) {
                if self.places[child as usize].is_none() {
                    let listing = listings.remove(&child);
                    self.write_inode(child, id + 1, listing.as_ref())?;
                }
            }
            let (tree, places) = (self.tree, &self.places);
            let listed = tree.children(directory).map(|(name, child)| Listed {
                name,
                number: child + 1,
                place: places[child as usize].unwrap_or_default(),
                kind: tree.inode(child).body.kind(),
            });
            listings.insert(id, directory::write(&mut self.directories, listed)?);
        }
        // The root has no parent; readers expect a number that no inode has.
        let parent = self.tree.len() as u32 + 1;
        let listing = listings.remove(&0);
        let root = self.write_inode(0, parent, listing.as_ref())?;
        let export = self.places.iter().flatten();
        Ok(Written {
            export: export
                .flat_map(|place| place.reference().to_le_bytes())
                .collect(),
            inodes: self.table.finish()?.0,
            directories: self.directories.finish()?.0,
            root,
        })
    }

    fn write_inode(
        &mut self,
        id: InodeId,
        parent: u32,
        listing: Option<&Listing>,
    ) -> io::Result<Place> {
        let inode = self.tree.inode(id);
        let target = match (&inode.body, listing) {
            (Body::File(extent), _) => {
                let (extent, size_words) = self.stored.extent(*extent);
                Target::Extent(extent, size_words)
            }
            (_, Some(listing)) => Target::Listing(listing),
            _ => Target::None,
        };
        inode::encode(id, inode, parent, &target, &mut self.scratch);
        let place = self.table.place();
        self.table.write(&self.scratch)?;
        self.places[id as usize] = Some(place);
        Ok(place)
    }
}

/// Where the xattr table's index begins, or [`ABSENT`] when no file has attributes: kernels refuse an empty one.
fn write_xattrs<W: Write + Seek + Send + 'static>(
    xattrs: Xattrs,
    output: &mut super::output::Output<W>,
    compressor: Compressor,
) -> Result<u64, Error> {
    let (sets, ids, count) = xattrs.into_parts();
    if count == 0 {
        return Ok(ABSENT);
    }
    let begin = output.position();
    let (bytes, _) = sets.finish().map_err(Error::Compress)?;
    output.write(&bytes).map_err(Error::Write)?;
    let mut header = begin.to_le_bytes().to_vec();
    header.extend(count.to_le_bytes());
    header.extend(0_u32.to_le_bytes());
    output
        .write_lookup(&ids, &header, compressor)
        .map_err(Error::Write)
}

fn flags_of(options: &Options, xattrs: bool) -> u16 {
    let mut set = flags::DUPLICATES | flags::EXPORTABLE;
    if options.compression == Compression::None {
        set |= flags::UNCOMPRESSED_INODES
            | flags::UNCOMPRESSED_DATA
            | flags::UNCOMPRESSED_FRAGMENTS
            | flags::UNCOMPRESSED_XATTRS
            | flags::UNCOMPRESSED_IDS;
    }
    if options
        .compression
        .options_block(options.block_size)
        .is_some()
    {
        set |= flags::COMPRESSOR_OPTIONS;
    }
    if options.tail_packing {
        set |= flags::ALWAYS_FRAGMENTS;
    }
    if !xattrs {
        set |= flags::NO_XATTRS;
    }
    set
}
