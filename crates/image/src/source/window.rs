//! Bytes at random: files, devices, parts of them, and files inside of images.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use squashfs::ReadAt;

use crate::entry::Content;

/// Something that is read at offsets by whoever shares it.
pub(super) type Disk = Arc<dyn ReadAt + Send + Sync>;

/// A file, or a block device.
pub(super) struct Whole {
    file: File,
    length: u64,
}

impl Whole {
    pub(super) fn new(file: File) -> io::Result<Self> {
        // A device says how long it is when one goes to its end.
        let length = io::Seek::seek(&mut &file, io::SeekFrom::End(0))?;
        Ok(Self { file, length })
    }
}

impl ReadAt for Whole {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buf, offset)
    }

    fn len(&self) -> u64 {
        self.length
    }
}

/// A part of something; it may end before the part does.
pub(super) struct Window {
    pub(super) disk: Disk,
    pub(super) start: u64,
    pub(super) length: u64,
}

impl ReadAt for Window {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = self.length.saturating_sub(offset).min(buf.len() as u64) as usize;
        match self.start.checked_add(offset) {
            Some(place) if rest > 0 => self.disk.read_at(&mut buf[..rest], place),
            _ => Ok(0),
        }
    }

    fn len(&self) -> u64 {
        let there = self.disk.len().saturating_sub(self.start);
        self.length.min(there)
    }
}

impl Content for Window {
    fn read_at(&mut self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        match ReadAt::read_at(self, buf, offset)? {
            0 if offset < self.length && !buf.is_empty() => {
                Err(io::ErrorKind::UnexpectedEof.into())
            }
            count => Ok(count),
        }
    }
}

/// Fills `buf` from `offset`; a source that ends before says so.
pub(crate) fn read_exact(disk: &dyn ReadAt, buf: &mut [u8], offset: u64) -> io::Result<()> {
    let mut filled = 0;
    while filled < buf.len() {
        match disk.read_at(&mut buf[filled..], offset.saturating_add(filled as u64)) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
