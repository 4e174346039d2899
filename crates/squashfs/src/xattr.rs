//! Extended attributes.

use crate::archive::Archive;
use crate::cursor::{Cursor, Region};
use crate::error::{Error, Table};
use crate::inode::Inode;
use crate::read_at::read_exact_at;
use crate::table::Lookup;

/// One extended attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Xattr {
    /// The whole name, with its prefix: `user.`, `trusted.` or `security.`.
    pub name: Vec<u8>,
    /// The value; binary.
    pub value: Vec<u8>,
}

/// Linux takes no longer value.
const MAX_VALUE: u32 = 65_536;
/// All of one inode's attributes together; Linux lists no more than 64 KiB of names.
const MAX_TOTAL: usize = 1 << 20;
/// The value stands elsewhere: what stands here is its place.
const ELSEWHERE: u16 = 0x100;

impl Archive {
    /// The extended attributes of an inode; empty if it has none.
    ///
    /// # Errors
    /// What is wrong with the xattr table, or attributes that are longer than Linux takes.
    pub fn xattrs(&self, inode: &Inode) -> Result<Vec<Xattr>, Error> {
        let Some(index) = inode.xattr else {
            return Ok(Vec::new());
        };
        let Some(header) = self.superblock.xattrs else {
            return Err(Error::corrupt(
                Table::Inodes,
                self.superblock.inodes,
                "an inode with xattrs in an image without",
            ));
        };
        let mut bytes = [0; 12];
        read_exact_at(&*self.source, &mut bytes, header, Table::Xattrs)?;
        let [b0, b1, b2, b3, b4, b5, b6, b7, c0, c1, c2, c3] = bytes;
        let start = u64::from_le_bytes([b0, b1, b2, b3, b4, b5, b6, b7]);
        let table = Lookup {
            table: Table::Xattrs,
            index: header + 16,
            entries: u32::from_le_bytes([c0, c1, c2, c3]).into(),
        };
        let entry = u128::from_le_bytes(table.entry::<16>(self, index.into())?);
        let (place, count) = (entry as u64, (entry >> 64) as u32);
        let pairs = Region {
            table: Table::Xattrs,
            start,
            end: header,
        };
        if start < self.superblock.directories {
            return Err(Error::corrupt(Table::Xattrs, header, "table out of place"));
        }

        let mut cursor = self.xattr_cursor(pairs, place)?;
        let (mut xattrs, mut total) = (Vec::new(), 0);
        for _ in 0..count {
            let xattr = self.xattr(pairs, &mut cursor)?;
            total += xattr.name.len() + xattr.value.len();
            if total > MAX_TOTAL {
                return Err(cursor.corrupt("too many extended attributes"));
            }
            xattrs.push(xattr);
        }
        Ok(xattrs)
    }

    fn xattr(&self, pairs: Region, cursor: &mut Cursor<'_>) -> Result<Xattr, Error> {
        let kind = cursor.u16()?;
        let mut name = match kind & 0xff {
            0 => b"user.".to_vec(),
            1 => b"trusted.".to_vec(),
            2 => b"security.".to_vec(),
            _ => return Err(cursor.corrupt("unknown prefix of an extended attribute")),
        };
        let name_len = cursor.u16()?;
        if name_len == 0 || name_len > 255 {
            return Err(cursor.corrupt("bad length of an extended attribute's name"));
        }
        cursor.append(name_len.into(), &mut name)?;
        let value = if kind & ELSEWHERE == 0 {
            xattr_value(cursor)?
        } else {
            if cursor.u32()? != 8 {
                return Err(cursor.corrupt("bad reference to an extended attribute"));
            }
            let place = cursor.u64()?;
            xattr_value(&mut self.xattr_cursor(pairs, place)?)?
        };
        Ok(Xattr { name, value })
    }

    fn xattr_cursor(&self, pairs: Region, place: u64) -> Result<Cursor<'_>, Error> {
        Cursor::open(self, pairs, place >> 16, (place & 0xffff) as usize)
    }
}

fn xattr_value(cursor: &mut Cursor<'_>) -> Result<Vec<u8>, Error> {
    let len = cursor.u32()?;
    if len > MAX_VALUE {
        return Err(cursor.corrupt("extended attribute too long"));
    }
    let mut value = Vec::new();
    cursor.append(len as usize, &mut value)?;
    Ok(value)
}
