//! Inodes.

use super::{Error, Ext4, SIZE_LIMIT, joined, u16_at, u32_at};
use crate::entry::DeviceNumber;

pub(super) const EXTENTS: u32 = 0x8_0000;
const INLINE: u32 = 0x1000_0000;
const ENCRYPTED: u32 = 0x800;
/// The longest target of a symbolic link.
const TARGET_LIMIT: u64 = 4096;
/// What lies in the inode itself: block numbers, extents, a short target, or data.
const BLOCKS: std::ops::Range<usize> = 0x28..0x64;

/// One inode.
#[derive(Clone, Debug)]
pub struct Inode {
    /// Its number.
    pub number: u32,
    /// What it is.
    pub kind: Kind,
    /// Permission bits with set-user-id, set-group-id and sticky.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Last change of the content, in seconds since 1970.
    pub mtime: i64,
    /// Names.
    pub links: u16,
    /// Bytes of content.
    pub size: u64,
    /// Where it is, in bytes.
    pub(super) place: u64,
    pub(super) flags: u32,
    /// The block of its attributes, or 0.
    pub(super) xattr_block: u64,
    /// All of it.
    pub(super) bytes: Vec<u8>,
}

/// What an inode is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link.
    Symlink,
    /// A block device.
    BlockDevice(DeviceNumber),
    /// A character device.
    CharDevice(DeviceNumber),
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

impl Inode {
    pub(super) fn broken(&self, what: &'static str) -> Error {
        Error::Broken {
            offset: self.place,
            what,
        }
    }

    pub(super) fn blocks(&self) -> &[u8] {
        &self.bytes[BLOCKS]
    }

    /// Where attributes may begin in the inode, if it has room for them.
    pub(super) fn extra(&self) -> Option<usize> {
        let extra = self.bytes.get(0x80..0x82)?;
        let begin = 128 + usize::from(u16_at(extra, 0));
        (begin.is_multiple_of(4) && begin + 4 <= self.bytes.len()).then_some(begin)
    }
}

impl Ext4 {
    /// Reads an inode.
    ///
    /// # Errors
    /// When there is none of this number, or it makes no sense.
    pub fn inode(&self, number: u32) -> Result<Inode, Error> {
        let place = self.inode_place(number)?;
        let mut bytes = vec![0; self.superblock.inode_size.into()];
        self.read(&mut bytes, place)?;
        let broken = |what| Error::Broken {
            offset: place,
            what,
        };
        let mode = u16_at(&bytes, 0);
        let links = u16_at(&bytes, 0x1a);
        let device = || {
            let (old, new) = (u32_at(&bytes, 0x28), u32_at(&bytes, 0x2c));
            match old {
                0 => DeviceNumber {
                    major: (new >> 8) & 0xfff,
                    minor: new & 0xff | (new >> 12) & 0xf_ff00,
                },
                _ => DeviceNumber {
                    major: (old >> 8) & 0xff,
                    minor: old & 0xff,
                },
            }
        };
        let kind = match mode >> 12 {
            0o04 => Kind::Directory,
            0o10 => Kind::File,
            0o12 => Kind::Symlink,
            0o06 => Kind::BlockDevice(device()),
            0o02 => Kind::CharDevice(device()),
            0o01 => Kind::Fifo,
            0o14 => Kind::Socket,
            _ => return Err(broken("an inode of no known kind")),
        };
        let size = match kind {
            Kind::File | Kind::Directory => joined(u32_at(&bytes, 0x4), u32_at(&bytes, 0x6c)),
            _ => u32_at(&bytes, 0x4).into(),
        };
        if size > SIZE_LIMIT {
            return Err(broken("a file longer than 16 TiB"));
        }
        let flags = u32_at(&bytes, 0x20);
        if flags & ENCRYPTED != 0 {
            return Err(Error::Unsupported("encryption".into()));
        }
        let wide_half = |at| u32::from(u16_at(&bytes, at)) << 16;
        // Bits 32 and 33 of the time.
        let extra = bytes.get(0x80..0x82).map_or(0, |extra| u16_at(extra, 0));
        let epoch = match bytes.get(0x88..0x8c) {
            Some(word) if extra >= 12 => i64::from(word[0] & 3) << 32,
            _ => 0,
        };
        Ok(Inode {
            number,
            kind,
            mode: mode & 0o7777,
            uid: u32::from(u16_at(&bytes, 0x2)) | wide_half(0x78),
            gid: u32::from(u16_at(&bytes, 0x18)) | wide_half(0x7a),
            mtime: i64::from(u32_at(&bytes, 0x10) as i32) + epoch,
            links,
            size,
            place,
            flags,
            xattr_block: joined(u32_at(&bytes, 0x68), u16_at(&bytes, 0x76).into()),
            bytes,
        })
    }

    /// The target of a symbolic link.
    ///
    /// # Errors
    /// When it is too long, or its block makes no sense.
    pub fn target(&self, inode: &Inode) -> Result<Vec<u8>, Error> {
        if inode.size < 60 && inode.flags & (EXTENTS | INLINE) == 0 {
            return Ok(inode.blocks()[..inode.size as usize].to_vec());
        }
        self.whole(inode, TARGET_LIMIT)
    }

    /// Content that lies in the inode: the first 60 bytes, and what an attribute has beyond.
    pub(super) fn inline(&self, inode: &Inode) -> Result<Option<Vec<u8>>, Error> {
        if inode.flags & INLINE == 0 {
            return Ok(None);
        }
        let mut bytes = inode.blocks().to_vec();
        bytes.extend(self.inline_rest(inode)?);
        // What is missing is a hole.
        bytes.truncate(usize::try_from(inode.size).unwrap_or(usize::MAX));
        Ok(Some(bytes))
    }
}
