//! Where an image's bytes come from.

use std::io;
use std::sync::Arc;

use crate::error::{Error, Table};

/// A source of bytes that is read at offsets, by many threads at once: a file, a slice, a recording.
///
/// An image must not be mapped into memory behind this trait: a mapped file that is cut short
/// kills the reader, where a short read is only an error.
pub trait ReadAt {
    /// Reads at most `buf.len()` bytes that start `offset` bytes into the source; returns how many.
    /// Zero means that the source ends at or before `offset`.
    ///
    /// # Errors
    /// What the source reports; [`io::ErrorKind::Interrupted`] is retried by the caller.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// The same for who must not wait, which may be as far as memory alone has it.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if a disk would have to be waited for, or if the source cannot
    /// tell, as here; else as [`ReadAt::read_at`].
    fn read_at_once(&self, _buf: &mut [u8], _offset: u64) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// The number of bytes in the source when it was opened.
    fn len(&self) -> u64;

    /// Whether there is nothing to read.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl ReadAt for [u8] {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = usize::try_from(offset)
            .ok()
            .and_then(|start| self.get(start..))
            .unwrap_or_default();
        let count = rest.len().min(buf.len());
        buf[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn read_at_once(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.read_at(buf, offset)
    }

    fn len(&self) -> u64 {
        <[u8]>::len(self) as u64
    }
}

impl ReadAt for Vec<u8> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.as_slice().read_at(buf, offset)
    }

    fn read_at_once(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.read_at(buf, offset)
    }

    fn len(&self) -> u64 {
        ReadAt::len(self.as_slice())
    }
}

impl<T: ReadAt + ?Sized> ReadAt for Arc<T> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.as_ref().read_at(buf, offset)
    }

    fn read_at_once(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.as_ref().read_at_once(buf, offset)
    }

    fn len(&self) -> u64 {
        self.as_ref().len()
    }
}

/// Fills `buf` from `offset`; a source that ends inside it is a truncated image.
pub(crate) fn read_exact_at(
    source: &dyn ReadAt,
    buf: &mut [u8],
    offset: u64,
    table: Table,
) -> Result<(), Error> {
    fill(
        &|buf, offset| source.read_at(buf, offset),
        buf,
        offset,
        table,
    )
}

/// The same, or [`Error::NotInMemory`] where that would have to wait.
pub(crate) fn read_exact_at_once(
    source: &dyn ReadAt,
    buf: &mut [u8],
    offset: u64,
    table: Table,
) -> Result<(), Error> {
    let read = |buf: &mut [u8], offset| source.read_at_once(buf, offset);
    fill(&read, buf, offset, table)
}

fn fill(
    read: &dyn Fn(&mut [u8], u64) -> io::Result<usize>,
    mut buf: &mut [u8],
    mut offset: u64,
    table: Table,
) -> Result<(), Error> {
    while !buf.is_empty() {
        match read(buf, offset) {
            Ok(0) => return Err(Error::corrupt(table, offset, "the image ends here")),
            Ok(count) => {
                let count = count.min(buf.len());
                buf = &mut buf[count..];
                offset += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(Error::NotInMemory);
            }
            Err(error) => return Err(Error::read(table, offset, &error)),
        }
    }
    Ok(())
}
