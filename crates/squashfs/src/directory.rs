//! Directories: runs of entries behind headers, sorted by name.

use crate::archive::Archive;
use crate::checkpoints::Checkpoint;
use crate::cursor::{Cursor, METADATA_LEN, Region};
use crate::error::Error;
use crate::inode::{Body, Inode, InodeKind, InodeRef};

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// The name: 1 to 256 bytes, no '/' or NUL, and neither "." nor "..".
    pub name: Vec<u8>,
    /// Where the inode is.
    pub inode: InodeRef,
    /// The inode's number, as the directory says it.
    pub number: u32,
    /// The inode's kind, as the directory says it.
    pub kind: InodeKind,
    /// Where to go on behind this entry: for [`Archive::read_dir_from`].
    pub next: u64,
}

/// The longest name of the format; Linux takes one less.
const MAX_NAME: usize = 256;
/// Bytes of a run's header, and of an entry without its name.
const HEADER_LEN: u64 = 12;
const ENTRY_LEN: u64 = 8;
/// A listing's size counts three bytes that are not there ("." and "..", it is said).
const PHANTOM_LEN: u64 = 3;

impl Archive {
    /// The entries of a directory, in the order of their names; "." and ".." are not among them.
    ///
    /// # Errors
    /// [`Error::NotADirectory`], or a listing that is not where the inode says.
    pub fn read_dir<'a>(&'a self, dir: &Inode) -> Result<ReadDir<'a>, Error> {
        self.read_dir_from(dir, 0)
    }

    /// As [`Archive::read_dir`], but from entry number `item` on. The number of an entry is a
    /// constant of the image. Large directories remember where they were left.
    ///
    /// # Errors
    /// As [`Archive::read_dir`]; a number beyond the last entry gives an empty listing.
    pub fn read_dir_from<'a>(&'a self, dir: &Inode, item: u64) -> Result<ReadDir<'a>, Error> {
        let mut entries = ReadDir::open(self, dir, self.checkpoints.before(dir.reference, item))?;
        while entries.item < item && entries.advance()?.is_some() {}
        Ok(entries)
    }

    /// The inode of this name in a directory; `None` if there is none.
    ///
    /// "." and ".." are not looked for: see [`Archive::parent`].
    ///
    /// # Errors
    /// [`Error::NotADirectory`], or what is wrong with the listing on the way to the name.
    pub fn lookup(&self, dir: &Inode, name: &[u8]) -> Result<Option<InodeRef>, Error> {
        let start = self.index_before(dir, name)?;
        let mut entries = ReadDir::open(self, dir, start)?;
        entries.counted = start.is_none();
        while let Some(entry) = entries.advance()? {
            match entries.name.as_slice().cmp(name) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => return Ok(Some(entry.inode)),
                std::cmp::Ordering::Greater => break,
            }
        }
        Ok(None)
    }

    /// Where to begin to look for `name`: the last place of the directory's index before it.
    fn index_before(&self, dir: &Inode, name: &[u8]) -> Result<Option<Checkpoint>, Error> {
        let Body::Directory {
            offset,
            index_len,
            index,
            ..
        } = dir.body
        else {
            return Err(not_a_directory(dir));
        };
        if index_len == 0 {
            return Ok(None);
        }
        let listing = self.listings();
        let mut cursor = Cursor::at(self, self.inodes(), index)?;
        let (mut best, mut first) = (None, Vec::new());
        for _ in 0..index_len {
            let [sum, block, len] = words(cursor.array()?);
            if len as usize >= MAX_NAME {
                return Err(cursor.corrupt("name too long in a directory's index"));
            }
            first.clear();
            cursor.append(len as usize + 1, &mut first)?;
            if first.as_slice() > name {
                break;
            }
            best = Some((sum, block));
        }
        let Some((sum, block)) = best else {
            return Ok(None);
        };
        if u64::from(sum) + PHANTOM_LEN >= dir.size {
            return Err(cursor.corrupt("directory index leaves its listing"));
        }
        let at = listing.start.saturating_add(block.into());
        if at >= listing.end {
            return Err(cursor.corrupt("directory index leaves the directory table"));
        }
        Ok(Some(Checkpoint {
            item: 0,
            position: crate::cursor::Position {
                block: at,
                offset: (sum % METADATA_LEN as u32 + u32::from(offset)) % METADATA_LEN as u32,
            },
            sum: sum.into(),
        }))
    }
}

/// Three little-endian words: what headers and index entries begin with.
fn words(bytes: [u8; 12]) -> [u32; 3] {
    let [a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3] = bytes;
    [[a0, a1, a2, a3], [b0, b1, b2, b3], [c0, c1, c2, c3]].map(u32::from_le_bytes)
}

fn not_a_directory(inode: &Inode) -> Error {
    Error::NotADirectory {
        number: inode.number,
    }
}

/// Goes through a directory's entries. After an error it ends.
pub struct ReadDir<'a> {
    archive: &'a Archive,
    dir: InodeRef,
    /// `None` once there is nothing more to read.
    cursor: Option<Cursor<'a>>,
    /// Bytes of the whole listing, and of what was read.
    len: u64,
    sum: u64,
    /// Entries left in this run, and what they have in common.
    left: u32,
    block: u32,
    number: u32,
    /// Number of the next entry.
    item: u64,
    /// Whether `item` counts from the first entry; not so behind a jump through the index.
    counted: bool,
    /// The name of the entry that [`ReadDir::advance`] returned last.
    name: Vec<u8>,
}

/// An entry without its name.
struct Found {
    inode: InodeRef,
    number: u32,
    kind: InodeKind,
    next: u64,
}

impl Found {
    fn named(self, name: &[u8]) -> DirEntry {
        DirEntry {
            name: name.to_vec(),
            inode: self.inode,
            number: self.number,
            kind: self.kind,
            next: self.next,
        }
    }
}

impl<'a> ReadDir<'a> {
    fn open(archive: &'a Archive, dir: &Inode, from: Option<Checkpoint>) -> Result<Self, Error> {
        let Body::Directory { block, offset, .. } = dir.body else {
            return Err(not_a_directory(dir));
        };
        let len = dir.size.saturating_sub(PHANTOM_LEN);
        let region: Region = archive.listings();
        let cursor = if len == 0 {
            None
        } else if let Some(from) = from {
            Some(Cursor::at(archive, region, from.position)?)
        } else {
            Some(Cursor::open(archive, region, block.into(), offset.into())?)
        };
        Ok(Self {
            archive,
            dir: dir.reference,
            cursor,
            len,
            sum: from.map_or(0, |from| from.sum),
            left: 0,
            block: 0,
            number: 0,
            item: from.map_or(0, |from| from.item),
            counted: true,
            name: Vec::new(),
        })
    }

    /// The next entry; its name is in `self.name`.
    fn advance(&mut self) -> Result<Option<Found>, Error> {
        let Some(mut cursor) = self.cursor.take() else {
            return Ok(None);
        };
        if self.left == 0 && self.sum == self.len {
            return Ok(None);
        }
        let entry = self.entry(&mut cursor)?;
        self.cursor = Some(cursor);
        Ok(Some(entry))
    }

    fn entry(&mut self, cursor: &mut Cursor<'a>) -> Result<Found, Error> {
        if self.left == 0 {
            self.header(cursor)?;
        }
        self.count(cursor, ENTRY_LEN)?;
        let [o0, o1, d0, d1, k0, k1, l0, l1] = cursor.array()?;
        let offset = u16::from_le_bytes([o0, o1]);
        let delta = i16::from_le_bytes([d0, d1]);
        let kind = match u16::from_le_bytes([k0, k1]) {
            number @ 1..=7 => InodeKind::from_type(number),
            _ => None,
        };
        let kind = kind.ok_or_else(|| cursor.corrupt("unknown type of directory entry"))?;
        let len = usize::from(u16::from_le_bytes([l0, l1])) + 1;
        if len > MAX_NAME {
            return Err(cursor.corrupt("directory entry with too long a name"));
        }
        self.count(cursor, len as u64)?;
        self.read_name(cursor, len)?;
        let number = self.number.wrapping_add_signed(delta.into());
        if number == 0 {
            return Err(cursor.corrupt("directory entry with inode number 0"));
        }
        self.left -= 1;
        self.item += 1;
        Ok(Found {
            inode: InodeRef(u64::from(self.block) << 16 | u64::from(offset)),
            number,
            kind,
            next: self.item,
        })
    }

    fn header(&mut self, cursor: &mut Cursor<'a>) -> Result<(), Error> {
        if self.counted {
            let checkpoint = Checkpoint {
                item: self.item,
                position: cursor.position(),
                sum: self.sum,
            };
            self.archive.checkpoints.note(self.dir, checkpoint);
        }
        self.count(cursor, HEADER_LEN)?;
        let [count, block, number] = words(cursor.array()?);
        if count > 255 {
            return Err(cursor.corrupt("too many directory entries behind one header"));
        }
        self.left = count + 1;
        self.block = block;
        self.number = number;
        Ok(())
    }

    /// Counts bytes that are about to be read against the listing's length.
    fn count(&mut self, cursor: &Cursor<'a>, bytes: u64) -> Result<(), Error> {
        self.sum += bytes;
        if self.sum > self.len {
            return Err(cursor.corrupt("directory entry leaves its listing"));
        }
        Ok(())
    }

    /// Reads and judges a name: what could lead out of the directory never leaves this function.
    fn read_name(&mut self, cursor: &mut Cursor<'a>, len: usize) -> Result<(), Error> {
        let mut bytes = [0; MAX_NAME];
        let name = &mut bytes[..len];
        cursor.take(name)?;
        let name = &*name;
        if name == b"." || name == b".." || name.iter().any(|byte| matches!(byte, b'/' | 0)) {
            return Err(cursor.corrupt("directory entry with a forbidden name"));
        }
        if name <= self.name.as_slice() {
            return Err(cursor.corrupt("directory entries out of order"));
        }
        self.name.clear();
        self.name.extend_from_slice(name);
        Ok(())
    }
}

impl Iterator for ReadDir<'_> {
    type Item = Result<DirEntry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let found = self.advance().transpose()?;
        Some(found.map(|found| found.named(&self.name)))
    }
}
