//! What a source holds: one [`Entry`] for each name in it.
//!
//! A source hands its entries out *depth first, parents before children, the children of a directory in
//! byte order of their names*. The first entry is the root directory, whose path is empty. The squashfs
//! writer relies on that order and refuses any other.

use std::io;
use std::ops::Range;

/// One name in a source, with everything that an image keeps of it.
pub struct Entry {
    /// Where it is below the source's root: names joined by `/`, no leading slash, any bytes but NUL.
    /// Empty for the root itself.
    pub path: Vec<u8>,
    /// Permission bits with set-user-id, set-group-id and sticky: `0..=0o7777`.
    pub mode: u16,
    /// The owner's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
    /// When the content last changed, in seconds since 1970; an image holds `0..=u32::MAX` of it.
    pub mtime: i64,
    /// Extended attributes, sorted by name.
    pub xattrs: Vec<Xattr>,
    /// Whether [`Kind::HardLink`] entries that name this one may follow.
    pub linked: bool,
    /// What it is.
    pub kind: Kind,
}

/// What an [`Entry`] is.
pub enum Kind {
    /// A directory; its children follow.
    Directory,
    /// A regular file of `size` bytes. The size is a promise: content that ends early is padded with
    /// zeros and content that goes on is cut.
    File {
        /// Bytes in the file.
        size: u64,
        /// Where the bytes come from.
        content: Box<dyn Content>,
    },
    /// A symbolic link to these bytes.
    Symlink(Vec<u8>),
    /// A block device.
    BlockDevice(DeviceNumber),
    /// A character device.
    CharDevice(DeviceNumber),
    /// A named pipe.
    Fifo,
    /// A socket's name.
    Socket,
    /// Another name of the entry with this path, which came earlier in the stream. Owner, mode, time and
    /// attributes of this entry are ignored: they belong to the file, not to the name.
    HardLink(Vec<u8>),
}

/// The number of a device node, as the kernel splits it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeviceNumber {
    /// The driver: `0..=0xfff`.
    pub major: u32,
    /// The driver's unit: `0..=0xf_ffff`.
    pub minor: u32,
}

/// An extended attribute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Xattr {
    /// The whole name, for example `security.capability`.
    pub name: Vec<u8>,
    /// The value, any bytes.
    pub value: Vec<u8>,
}

/// The bytes of a regular file. Read in order; now and then from the beginning again, to see whether the
/// image holds them already or a package ships them.
pub trait Content: Send {
    /// Fills the front of `buf` with the bytes at `offset` and answers how many there were; 0 is the end.
    ///
    /// # Errors
    /// What the operating system says. It ends the build: an image never holds a guess.
    fn read_at(&mut self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Fills all of `buf` with the bytes from `offset`, fewer only where the content ends.
    ///
    /// # Errors
    /// As [`Content::read_at`].
    fn fill(&mut self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buf.len() {
            match self.read_at(&mut buf[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    /// Whether all of the `length` bytes from `offset` are in a hole.
    fn is_hole(&mut self, offset: u64, length: usize) -> bool {
        self.data_after(offset)
            .is_none_or(|data| data.start >= offset + length as u64)
    }

    /// The next run of bytes at or after `offset` that are not a hole, or `None` when only a hole is left.
    /// Saying "everything from here" is always right, only slower on sparse files.
    fn data_after(&mut self, offset: u64) -> Option<Range<u64>> {
        Some(offset..u64::MAX)
    }

    /// Whether the file was written to since it was opened, so that what was read may be a mixture.
    fn changed(&mut self) -> bool {
        false
    }

    /// What tells that this is the same file as at another time, with the same bytes. `None` where nothing
    /// does, and for a file that changed so lately that a write to come might not show.
    fn stamp(&mut self) -> Option<Stamp> {
        None
    }
}

/// Which file it is and when it was last changed, as its file system says. Every write makes another one, also
/// when the time of the last change is put back (`touch -d`, `cp -p`): nobody can put back the time of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The file system.
    pub device: u64,
    /// The number of the file on it.
    pub inode: u64,
    /// In bytes.
    pub size: u64,
    /// When the content last changed, in seconds and nanoseconds since 1970.
    pub mtime: (i64, i64),
    /// When content, owner, mode or names last changed, likewise.
    pub ctime: (i64, i64),
}

impl Content for Vec<u8> {
    fn read_at(&mut self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = usize::try_from(offset)
            .ok()
            .and_then(|offset| self.get(offset..))
            .unwrap_or_default();
        let count = rest.len().min(buf.len());
        buf[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}
