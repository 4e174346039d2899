//! Directory listings: runs of names whose inodes lie in the same metadata block.
//!
//! ```text
//! run:    names - 1 u32, begin of the inodes' block u32, inode number u32
//! name:   offset in the block u16, inode number - the run's i16, type u16, length - 1 u16, bytes
//! index:  offset of a run in the listing u32, begin of its metadata block u32, length - 1 u32, its first name
//! ```
//!
//! A listing that is longer than a metadata block has an index with one line for each block, so that the
//! kernel finds a name without reading all of them.

use std::io;

use super::inode::Type;
use super::metadata::{BLOCK, Place, Table};

/// Most names in a run.
const RUN: usize = 256;
const RUN_HEADER: u64 = 12;

/// One name to be listed.
pub(super) struct Listed<'n> {
    pub(super) name: &'n [u8],
    /// The inode's number.
    pub(super) number: u32,
    /// Where the inode is.
    pub(super) place: Place,
    pub(super) kind: Type,
}

/// A written listing.
#[derive(Default)]
pub(super) struct Listing {
    pub(super) place: Place,
    /// Bytes of it in the table.
    length: u32,
    /// The encoded index and how many lines it has.
    pub(super) index: Vec<u8>,
    pub(super) index_count: u16,
}

impl Listing {
    /// The size that the inode tells: three more than the listing has, for `.` and `..`.
    pub(super) fn size(&self) -> u32 {
        self.length + 3
    }
}

/// Appends a listing of `names`, which are sorted, to the directory table.
pub(super) fn write<'n>(
    table: &mut Table,
    names: impl Iterator<Item = Listed<'n>>,
) -> io::Result<Listing> {
    let mut writer = Writer {
        indexed: table.place().start,
        begin: table.written(),
        listing: Listing {
            place: table.place(),
            ..Listing::default()
        },
        table,
        run: Vec::new(),
        first: None,
        count: 0,
    };
    for name in names {
        writer.push(&name)?;
    }
    writer.close()?;
    writer.listing.length = (writer.table.written() - writer.begin) as u32;
    Ok(writer.listing)
}

struct Writer<'t> {
    table: &'t mut Table,
    /// What the table held before the listing.
    begin: u64,
    listing: Listing,
    /// The metadata block that the listing's beginning or the index's last line is in.
    indexed: u32,
    /// The names of the open run.
    run: Vec<u8>,
    /// The inode number and block of the open run's first name.
    first: Option<(u32, u32)>,
    count: usize,
}

impl Writer<'_> {
    fn push(&mut self, name: &Listed<'_>) -> io::Result<()> {
        let fits = self.first.is_some_and(|(number, block)| {
            let step = i64::from(name.number) - i64::from(number);
            self.count < RUN
                && block == name.place.start
                && i16::try_from(step).is_ok()
                && !self.left_its_block()
        });
        if !fits {
            self.close()?;
            self.open(name);
        }
        let (number, _) = self.first.unwrap_or_default();
        self.count += 1;
        self.run.extend(name.place.offset.to_le_bytes());
        self.run
            .extend((name.number.wrapping_sub(number) as i16).to_le_bytes());
        self.run.extend((name.kind as u16).to_le_bytes());
        self.run.extend((name.name.len() as u16 - 1).to_le_bytes());
        self.run.extend_from_slice(name.name);
        Ok(())
    }

    /// Whether the next name would begin in another metadata block than the run: time for a run that the
    /// index can name.
    fn left_its_block(&self) -> bool {
        let begin = self.table.written();
        let next = begin + RUN_HEADER + self.run.len() as u64;
        begin / BLOCK as u64 != next / BLOCK as u64
    }

    /// Begins a run, and a line of the index when no earlier run begins in this metadata block.
    fn open(&mut self, name: &Listed<'_>) {
        self.first = Some((name.number, name.place.start));
        let place = self.table.place();
        if place.start != self.indexed && self.listing.index_count < u16::MAX {
            let offset = (self.table.written() - self.begin) as u32;
            let index = &mut self.listing.index;
            index.extend(offset.to_le_bytes());
            index.extend(place.start.to_le_bytes());
            index.extend((name.name.len() as u32 - 1).to_le_bytes());
            index.extend_from_slice(name.name);
            self.listing.index_count += 1;
            self.indexed = place.start;
        }
    }

    /// Writes the open run.
    fn close(&mut self) -> io::Result<()> {
        if let Some((number, block)) = self.first.take() {
            self.table.write(&(self.count as u32 - 1).to_le_bytes())?;
            self.table.write(&block.to_le_bytes())?;
            self.table.write(&number.to_le_bytes())?;
            self.table.write(&self.run)?;
        }
        self.run.clear();
        self.count = 0;
        Ok(())
    }
}
