//! Inodes: all fourteen kinds the format has, as seven.

use std::fmt;

use crate::archive::Archive;
use crate::cursor::{Cursor, METADATA_LEN, Position};
use crate::error::Error;

/// Where an inode is: the start of its metadata block in the inode table, shifted left by 16, and
/// its offset in the decompressed block: 48 bits in all. A constant of the image, good for as long as the image is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InodeRef(pub u64);

/// What an inode is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InodeKind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link.
    Symlink,
    /// A block device.
    BlockDevice,
    /// A character device.
    CharDevice,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

impl InodeKind {
    /// The kind of a type number; those above seven are the extended forms of the first seven.
    pub(crate) fn from_type(number: u16) -> Option<Self> {
        match number {
            1 | 8 => Some(Self::Directory),
            2 | 9 => Some(Self::File),
            3 | 10 => Some(Self::Symlink),
            4 | 11 => Some(Self::BlockDevice),
            5 | 12 => Some(Self::CharDevice),
            6 | 13 => Some(Self::Fifo),
            7 | 14 => Some(Self::Socket),
            _ => None,
        }
    }
}

impl fmt::Display for InodeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Directory => "directory",
            Self::File => "file",
            Self::Symlink => "symlink",
            Self::BlockDevice => "block device",
            Self::CharDevice => "character device",
            Self::Fifo => "fifo",
            Self::Socket => "socket",
        })
    }
}

/// One inode, checked as far as it can be without following it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inode {
    /// Where it was found.
    pub reference: InodeRef,
    /// Its number, from 1 to the number of inodes.
    pub number: u32,
    /// What it is.
    pub kind: InodeKind,
    /// Permission bits, set-id and sticky bits: `0o7777` at most.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Time of last change, seconds since 1970.
    pub mtime: u32,
    /// Names this inode has.
    pub nlink: u32,
    /// Bytes of a file's content or of a symlink's target; of a directory's listing in the image;
    /// else 0.
    pub size: u64,
    /// Index into the xattr table, if it has extended attributes.
    pub xattr: Option<u32>,
    pub(crate) body: Body,
}

/// Where the rest of an inode is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    Directory {
        /// The listing's first block, in bytes from the start of the directory table.
        block: u32,
        /// Bytes into that block once decompressed.
        offset: u16,
        /// Inode number of the directory that holds this one.
        parent: u32,
        /// How many index entries stand at `index`.
        index_len: u16,
        index: Position,
    },
    File {
        /// Where the first data block lies in the image.
        start: u64,
        /// Bytes of holes.
        sparse: u64,
        /// Fragment number, and where in the fragment the file's tail begins.
        fragment: Option<(u32, u32)>,
        /// Where the block sizes are.
        sizes: Position,
    },
    Symlink {
        target: Position,
    },
    Device {
        major: u32,
        minor: u32,
    },
    Other,
}

/// "No fragment" and "no extended attributes".
const NONE: u32 = u32::MAX;
/// The longest target Linux takes is one less.
const MAX_TARGET: u32 = 4096;

impl Inode {
    /// Major and minor number of a device.
    pub fn device(&self) -> Option<(u32, u32)> {
        match self.body {
            Body::Device { major, minor } => Some((major, minor)),
            _ => None,
        }
    }

    /// Bytes that the content takes once decompressed, holes left out.
    pub fn allocated(&self) -> u64 {
        match self.body {
            Body::File { sparse, .. } => self.size.saturating_sub(sparse),
            _ => self.size,
        }
    }

    /// Inode number of the directory that holds this directory; of the root, one above all others.
    pub fn parent_number(&self) -> Option<u32> {
        match self.body {
            Body::Directory { parent, .. } => Some(parent),
            _ => None,
        }
    }
}

impl Archive {
    /// The inode at `reference`.
    ///
    /// # Errors
    /// A reference that leads out of the inode table, or an inode that contradicts itself or the
    /// image.
    pub fn inode(&self, reference: InodeRef) -> Result<Inode, Error> {
        let (block, offset) = (reference.0 >> 16, (reference.0 & 0xffff) as usize);
        if block > u32::MAX.into() {
            let table = crate::Table::Inodes;
            return Err(Error::corrupt(
                table,
                self.superblock.inodes,
                "reference beyond 48 bits",
            ));
        }
        let mut cursor = Cursor::open(self, self.inodes(), block, offset)?;
        let type_number = cursor.u16()?;
        let Some(kind) = InodeKind::from_type(type_number) else {
            return Err(cursor.corrupt("unknown type of inode"));
        };
        let mode = cursor.u16()?;
        let (uid, gid) = (cursor.u16()?, cursor.u16()?);
        let mut inode = Inode {
            reference,
            kind,
            mode: mode & 0o7777,
            uid: self.id(uid)?,
            gid: self.id(gid)?,
            mtime: cursor.u32()?,
            number: cursor.u32()?,
            nlink: 1,
            size: 0,
            xattr: None,
            body: Body::Other,
        };
        if inode.number == 0 {
            return Err(cursor.corrupt("inode number 0"));
        }
        let extended = type_number > 7;
        match kind {
            InodeKind::Directory => inode.directory(&mut cursor, extended)?,
            InodeKind::File => inode.file(&mut cursor, extended, self)?,
            InodeKind::Symlink => inode.symlink(&mut cursor, extended)?,
            InodeKind::BlockDevice | InodeKind::CharDevice => {
                inode.nlink = cursor.u32()?;
                let device = cursor.u32()?;
                inode.body = Body::Device {
                    major: (device >> 8) & 0xfff,
                    minor: (device & 0xff) | ((device >> 12) & 0xf_ff00),
                };
                inode.xattr_of(&mut cursor, extended)?;
            }
            InodeKind::Fifo | InodeKind::Socket => {
                inode.nlink = cursor.u32()?;
                inode.xattr_of(&mut cursor, extended)?;
            }
        }
        Ok(inode)
    }

    /// Where a symbolic link points, as it stands in the image: 1 to 4095 bytes, no NUL.
    ///
    /// # Errors
    /// [`Error::NotASymlink`], or a target that runs out of the table.
    pub fn symlink_target(&self, inode: &Inode) -> Result<Vec<u8>, Error> {
        let Body::Symlink { target } = inode.body else {
            return Err(Error::NotASymlink {
                number: inode.number,
            });
        };
        let mut cursor = Cursor::at(self, self.inodes(), target)?;
        let mut out = Vec::new();
        cursor.append(inode.size as usize, &mut out)?;
        if out.contains(&0) {
            return Err(cursor.corrupt("symlink target with a NUL"));
        }
        Ok(out)
    }
}

impl Inode {
    fn directory(&mut self, cursor: &mut Cursor<'_>, extended: bool) -> Result<(), Error> {
        let (block, offset, parent, index_len);
        if extended {
            self.nlink = cursor.u32()?;
            self.size = cursor.u32()?.into();
            block = cursor.u32()?;
            parent = cursor.u32()?;
            index_len = cursor.u16()?;
            offset = cursor.u16()?;
            self.xattr_of(cursor, true)?;
        } else {
            block = cursor.u32()?;
            self.nlink = cursor.u32()?;
            self.size = cursor.u16()?.into();
            offset = cursor.u16()?;
            parent = cursor.u32()?;
            index_len = 0;
        }
        if usize::from(offset) > METADATA_LEN {
            return Err(cursor.corrupt("listing begins outside its block"));
        }
        self.body = Body::Directory {
            block,
            offset,
            parent,
            index_len,
            index: cursor.position(),
        };
        Ok(())
    }

    fn file(
        &mut self,
        cursor: &mut Cursor<'_>,
        extended: bool,
        archive: &Archive,
    ) -> Result<(), Error> {
        let (start, mut sparse, fragment);
        if extended {
            start = cursor.u64()?;
            self.size = cursor.u64()?;
            sparse = cursor.u64()?;
            self.nlink = cursor.u32()?;
            fragment = (cursor.u32()?, cursor.u32()?);
            self.xattr_of(cursor, true)?;
        } else {
            start = cursor.u32()?.into();
            fragment = (cursor.u32()?, cursor.u32()?);
            self.size = cursor.u32()?.into();
            sparse = 0;
        }
        sparse = sparse.min(self.size);
        if self.size > i64::MAX as u64 {
            return Err(cursor.corrupt("negative file size"));
        }
        // Each block takes four bytes of metadata, and no metadata block says more than 8 KiB in
        // three stored bytes: a size that cannot be is told here, not by the first who reads.
        let block_size = u64::from(archive.superblock.block_size);
        let metadata = archive.superblock.directories - archive.superblock.inodes;
        if self.size / block_size > metadata.saturating_mul(METADATA_LEN as u64 / 3 / 4) {
            return Err(cursor.corrupt("file size without the blocks for it"));
        }
        if fragment.0 != NONE {
            let tail = self.size % block_size;
            if fragment.0 >= archive.superblock.fragment_count
                || u64::from(fragment.1) + tail > block_size
            {
                return Err(cursor.corrupt("file tail outside the fragments"));
            }
        }
        self.body = Body::File {
            start,
            sparse,
            fragment: Some(fragment).filter(|(number, _)| *number != NONE),
            sizes: cursor.position(),
        };
        Ok(())
    }

    fn symlink(&mut self, cursor: &mut Cursor<'_>, extended: bool) -> Result<(), Error> {
        self.nlink = cursor.u32()?;
        let len = cursor.u32()?;
        if len == 0 || len >= MAX_TARGET {
            return Err(cursor.corrupt("bad length of a symlink target"));
        }
        self.size = len.into();
        self.body = Body::Symlink {
            target: cursor.position(),
        };
        if extended {
            cursor.skip(len.into())?;
            self.xattr_of(cursor, true)?;
        }
        Ok(())
    }

    fn xattr_of(&mut self, cursor: &mut Cursor<'_>, extended: bool) -> Result<(), Error> {
        if extended {
            self.xattr = Some(cursor.u32()?).filter(|index| *index != NONE);
        }
        Ok(())
    }
}
