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

    fn len(&self) -> u64 {
        <[u8]>::len(self) as u64
    }
}

impl ReadAt for Vec<u8> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.as_slice().read_at(buf, offset)
    }

    fn len(&self) -> u64 {
        ReadAt::len(self.as_slice())
    }
}

impl<T: ReadAt + ?Sized> ReadAt for Arc<T> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.as_ref().read_at(buf, offset)
    }

    fn len(&self) -> u64 {
        self.as_ref().len()
    }
}

/// Fills `buf` from `offset`; a source that ends inside it is a truncated image.
pub(crate) fn read_exact_at(
    source: &dyn ReadAt,
    mut buf: &mut [u8],
    mut offset: u64,
    table: Table,
) -> Result<(), Error> {
    while !buf.is_empty() {
        match source.read_at(buf, offset) {
            Ok(0) => return Err(Error::corrupt(table, offset, "the image ends here")),
            Ok(count) => {
                let count = count.min(buf.len());
                buf = &mut buf[count..];
                offset += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::read(table, offset, &error)),
        }
    }
    Ok(())
}
