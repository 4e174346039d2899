//! Extended attributes: behind the inode, and in a block that inodes may share.

use super::{Error, Ext4, Inode, u16_at, u32_at};
use crate::entry::Xattr;

const MAGIC: u32 = 0xea02_0000;
/// What comes before the entries in a block.
const BLOCK_HEADER: usize = 32;
const ENTRY: usize = 16;
/// The longest value that Linux takes.
const VALUE_LIMIT: u64 = 64 << 10;
/// Content of inodes has this prefix and name.
const SYSTEM: u8 = 7;
const DATA: &[u8] = b"data";

/// An entry whose value has been found.
struct Found {
    prefix: u8,
    name: Vec<u8>,
    value: Vec<u8>,
}

impl Ext4 {
    /// The attributes of an inode, sorted by name.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn xattrs(&self, inode: &Inode) -> Result<Vec<Xattr>, Error> {
        let mut found = self.in_inode(inode)?;
        if inode.xattr_block != 0 {
            let offset = self.place(inode.xattr_block, 1)?;
            let block = self.block(inode.xattr_block)?;
            if u32_at(&block, 0) != MAGIC {
                let what = "not a block of attributes";
                return Err(Error::Broken { offset, what });
            }
            found.extend(self.entries(&block, BLOCK_HEADER, 0, offset)?);
        }
        let mut xattrs = Vec::new();
        for Found {
            prefix,
            name,
            value,
        } in found
        {
            let prefix: &[u8] = match prefix {
                SYSTEM if name == DATA => continue,
                0 => b"",
                1 => b"user.",
                2 => b"system.posix_acl_access",
                3 => b"system.posix_acl_default",
                4 => b"trusted.",
                6 => b"security.",
                SYSTEM => b"system.",
                8 => b"system.richacl",
                _ => return Err(inode.broken("an attribute with an unknown prefix")),
            };
            let name = [prefix, &name].concat();
            xattrs.push(Xattr { name, value });
        }
        xattrs.sort();
        Ok(xattrs)
    }

    /// What inline data has beyond the inode's own 60 bytes.
    pub(super) fn inline_rest(&self, inode: &Inode) -> Result<Vec<u8>, Error> {
        let mut found = self.in_inode(inode)?.into_iter();
        let rest = found.find(|found| found.prefix == SYSTEM && found.name == DATA);
        Ok(rest.map(|rest| rest.value).unwrap_or_default())
    }

    fn in_inode(&self, inode: &Inode) -> Result<Vec<Found>, Error> {
        match inode.extra() {
            Some(begin) if u32_at(&inode.bytes, begin) == MAGIC => {
                let begin = begin + 4;
                self.entries(&inode.bytes, begin, begin, inode.place)
            }
            _ => Ok(Vec::new()),
        }
    }

    /// The entries from `at` on; places of values count from `base`.
    fn entries(
        &self,
        bytes: &[u8],
        mut at: usize,
        base: usize,
        offset: u64,
    ) -> Result<Vec<Found>, Error> {
        let broken = || Error::Broken {
            offset,
            what: "a broken attribute",
        };
        let mut found = Vec::new();
        // Four zero bytes end the list, and so does the end of the room.
        while bytes.get(at..at + 4).is_some_and(|word| word != [0; 4]) {
            let entry = bytes.get(at..at + ENTRY).ok_or_else(broken)?;
            let length = usize::from(entry[0]);
            let name = bytes
                .get(at + ENTRY..at + ENTRY + length)
                .ok_or_else(broken)?;
            let size = u64::from(u32_at(entry, 8));
            if size > VALUE_LIMIT {
                return Err(broken());
            }
            let value = match u32_at(entry, 4) {
                0 => {
                    let begin = base + usize::from(u16_at(entry, 2));
                    let value = bytes.get(begin..begin + size as usize);
                    value.ok_or_else(broken)?.to_vec()
                }
                number => {
                    let holder = self.inode(number)?;
                    if holder.size != size {
                        return Err(broken());
                    }
                    self.whole(&holder, VALUE_LIMIT)?
                }
            };
            found.push(Found {
                prefix: entry[1],
                name: name.to_vec(),
                value,
            });
            at += (ENTRY + length).next_multiple_of(4);
        }
        Ok(found)
    }
}
