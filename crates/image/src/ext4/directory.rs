//! Directories, read from front to end: the trees of hashes over them look like empty entries.

use super::{Error, Ext4, Inode, Kind, u16_at, u32_at};

/// The longest directory: some ten million names.
const LIMIT: u64 = 1 << 30;
const HEADER: usize = 8;

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// Any bytes but `/` and NUL.
    pub name: Vec<u8>,
    /// Whose name it is.
    pub inode: u32,
}

impl Ext4 {
    /// The names in a directory, as they come, without `.` and `..`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn list(&self, directory: &Inode) -> Result<Vec<Name>, Error> {
        if directory.kind != Kind::Directory || directory.size > LIMIT {
            return Err(directory.broken("not a directory, or one of more than 1 GiB"));
        }
        let mut names = Vec::new();
        let broken = || directory.broken("a broken entry in a directory");
        if let Some(bytes) = self.inline(directory)? {
            // The parent's number, then entries; those in the attribute begin anew.
            let (first, rest) = bytes.split_at(bytes.len().min(60));
            let first = first.get(4..).ok_or_else(broken)?;
            read_block(first, &mut names).ok_or_else(broken)?;
            read_block(rest, &mut names).ok_or_else(broken)?;
            return Ok(names);
        }
        let file = self.content(directory)?;
        let size = self.superblock.block_size;
        let mut block = vec![0; size as usize];
        for number in 0..directory.size / size {
            let mut filled = 0;
            while filled < block.len() {
                let offset = number * size + filled as u64;
                match file.read_at(self, &mut block[filled..], offset)? {
                    0 => return Err(broken()),
                    count => filled += count,
                }
            }
            if block.iter().any(|byte| *byte != 0) {
                read_block(&block, &mut names).ok_or_else(broken)?;
            }
        }
        Ok(names)
    }
}

/// Reads the entries of a block; `None` when they make no sense.
fn read_block(block: &[u8], names: &mut Vec<Name>) -> Option<()> {
    let mut at = 0;
    while at + HEADER <= block.len() {
        let inode = u32_at(block, at);
        let length = match u16_at(block, at + 4) {
            // The length of a block of 64 KiB does not fit.
            0 | 0xffff if block.len() == 1 << 16 => 1 << 16,
            length => usize::from(length),
        };
        if length < HEADER || !length.is_multiple_of(4) || at + length > block.len() {
            return None;
        }
        let name = block.get(at + HEADER..at + HEADER + usize::from(block[at + 6]))?;
        if HEADER + name.len() > length {
            return None;
        }
        if inode != 0 && name != b"." && name != b".." {
            if name.is_empty() || name.iter().any(|byte| matches!(byte, b'/' | 0)) {
                return None;
            }
            names.push(Name {
                name: name.to_vec(),
                inode,
            });
        }
        at += length;
    }
    Some(())
}
