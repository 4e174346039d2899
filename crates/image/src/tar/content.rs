//! The content of a member, in the order in which it comes.

use std::io;
use std::ops::Range;

use super::{Parts, Reader};
use crate::entry::Content;

/// The content of the member that a [`Reader`] came to last. It is read once, from front to end.
pub struct StreamContent<'a, 'i> {
    reader: &'a mut Reader<'i>,
    size: u64,
    parts: &'a Parts,
    /// Stored bytes that were read.
    done: u64,
}

impl<'a, 'i> StreamContent<'a, 'i> {
    pub(super) fn new(reader: &'a mut Reader<'i>, size: u64, parts: &'a Parts) -> Self {
        Self {
            reader,
            size,
            parts,
            done: 0,
        }
    }
}

impl Content for StreamContent<'_, '_> {
    fn read_at(&mut self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        read_part(self.parts, self.size, buf, offset, |buf, stored| {
            if stored != self.done {
                return Err(io::Error::other("a stream cannot be read out of order"));
            }
            let count = self.reader.read(buf)?;
            self.done += count as u64;
            Ok(count)
        })
    }

    fn data_after(&mut self, offset: u64) -> Option<Range<u64>> {
        let part = self.parts.after(offset, self.size)?;
        Some(part.start.max(offset)..part.start + part.length)
    }
}

/// Reads at `offset` of a file with these parts: `read` gets a buffer and the offset in what is stored.
pub(crate) fn read_part(
    parts: &Parts,
    size: u64,
    buf: &mut [u8],
    offset: u64,
    read: impl FnOnce(&mut [u8], u64) -> io::Result<usize>,
) -> io::Result<usize> {
    let rest = size.saturating_sub(offset).min(buf.len() as u64) as usize;
    let buf = &mut buf[..rest];
    match parts.after(offset, size) {
        _ if rest == 0 => Ok(0),
        Some(part) if part.start <= offset => {
            let inside = offset - part.start;
            let count = (part.length - inside).min(rest as u64) as usize;
            read(&mut buf[..count], part.stored + inside)
        }
        next => {
            let hole = next.map_or(size, |part| part.start) - offset;
            let count = hole.min(rest as u64) as usize;
            buf[..count].fill(0);
            Ok(count)
        }
    }
}
