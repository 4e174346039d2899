//! READ (RFC 1813 section 3.3.6): the path that everything else waits for.

use super::Context;
use crate::serve::{About, Asked, Body};
use crate::xdr::{Malformed, Reader, Writer, padding};
use crate::{Attributes, FileHandle, FileKind, FileRange, Status};

/// Most bytes in one READ (rtmax), whatever the client asks for.
pub const MAX_READ: u32 = 1 << 20;

/// A file's whole size is known before its bytes are asked for, so the piece to read is fixed
/// first, and no offset or count, however large, is ever added up beyond the size.
pub(super) fn read(
    arguments: &mut Reader<'_>,
    context: &Context<'_>,
    out: &mut Writer<'_>,
) -> Result<Body, Malformed> {
    let file = arguments.handle()?;
    let (offset, count) = (arguments.u64()?, arguments.u32()?);
    let opened = context.open(file);
    if let Some(about) = context.about.get() {
        let count = count.min(MAX_READ);
        let size = opened.as_ref().map_or(0, |(_, attributes)| attributes.size);
        let read = Some(Asked {
            offset,
            count,
            behind: size.saturating_sub(offset.saturating_add(count.into())),
        });
        context.about.set(Some(About { read, ..about }));
    }
    let (file, attributes) = match opened {
        Ok(opened) => opened,
        Err(status) => {
            out.failure(status, None);
            return Ok(Body::Bytes);
        }
    };
    let start = out.position();
    let sent = permitted(&attributes, context).and_then(|()| {
        let left = attributes.size.saturating_sub(offset);
        let count = left.min(u64::from(count.min(MAX_READ))) as u32;
        piece(&file, &attributes, offset, count, context, out)
    });
    Ok(sent.unwrap_or_else(|status| {
        out.truncate(start);
        out.failure(status, Some(&attributes));
        Body::Bytes
    }))
}

fn permitted(attributes: &Attributes, context: &Context<'_>) -> Result<(), Status> {
    match attributes.kind {
        FileKind::Regular if context.user.may_fetch(attributes) => Ok(()),
        FileKind::Regular => Err(Status::Access),
        FileKind::Directory => Err(Status::IsDir),
        _ => Err(Status::Inval),
    }
}

fn piece(
    file: &FileHandle,
    attributes: &Attributes,
    offset: u64,
    count: u32,
    context: &Context<'_>,
    out: &mut Writer<'_>,
) -> Result<Body, Status> {
    out.ok();
    out.post_op(Some(attributes));
    if count == 0 {
        head(0, offset >= attributes.size, out);
        return Ok(Body::Bytes);
    }
    if let Some(range) = context.fs.file_range(file, offset, count) {
        let range = range?;
        let range = FileRange {
            len: range.len.min(count),
            eof: range.eof && range.len <= count,
            ..range
        };
        head(range.len, range.eof, out);
        let padding = padding(range.len as usize);
        return Ok(Body::Range { range, padding });
    }
    let position = out.position();
    head(0, false, out);
    let data = out.position();
    // The bytes are there to be read, so this is no trust in a claimed length.
    out.out.reserve(count as usize + 3);
    let eof = context.fs.read(file, offset, count, out.out)?;
    let len = out.position().checked_sub(data);
    let len = len.and_then(|len| u32::try_from(len).ok());
    let len = len.filter(|len| *len <= count).ok_or(Status::ServerFault)?;
    out.patch(position, len);
    let ends = eof || offset + u64::from(len) >= attributes.size;
    out.patch(position + 4, u32::from(ends));
    out.patch(position + 8, len);
    out.pad(len as usize);
    Ok(Body::Bytes)
}

/// `count`, `eof`, and the length of `data`.
fn head(count: u32, eof: bool, out: &mut Writer<'_>) {
    out.u32(count);
    out.bool(eof);
    out.u32(count);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Client, HELLO, opaque, sys, word};

    fn read(path: &str, offset: u64, count: u32) -> Vec<u8> {
        call(&mut Client::new(), path, offset, count)
    }

    fn call(client: &mut Client, path: &str, offset: u64, count: u32) -> Vec<u8> {
        let mut arguments = opaque(path.as_bytes());
        arguments.extend(offset.to_be_bytes());
        arguments.extend(count.to_be_bytes());
        client.nfs(6, &arguments)
    }

    /// Count, end of file, and data.
    fn data(results: &[u8]) -> (u32, bool, &[u8]) {
        assert_eq!(word(results, 0), 0);
        let mut reader = Reader::new(&results[92..]);
        let (count, eof) = (reader.u32().unwrap(), reader.u32().unwrap() == 1);
        (count, eof, reader.string().unwrap())
    }

    #[test]
    fn bytes_come_with_count_and_end() {
        assert_eq!(data(&read("/export/hello", 0, 5)), (5, false, &HELLO[..5]));
        assert_eq!(
            data(&read("/export/hello", 0, 4096)),
            (HELLO.len() as u32, true, HELLO)
        );
        let end = HELLO.len() as u32;
        assert_eq!(
            data(&read("/export/hello", 3, end - 3)),
            (end - 3, true, &HELLO[3..])
        );
        assert_eq!(data(&read("/export/hello", 1, 0)), (0, false, &[][..]));
    }

    #[test]
    fn offsets_beyond_the_end_are_the_end() {
        for offset in [HELLO.len() as u64, 1 << 63, (1 << 63) - 1, u64::MAX] {
            for count in [0, 1, u32::MAX] {
                assert_eq!(
                    data(&read("/export/hello", offset, count)),
                    (0, true, &[][..])
                );
            }
        }
    }

    #[test]
    fn a_count_is_cut_to_one_mebibyte() {
        let results = read("/export/big", 3, u32::MAX);
        let (count, eof, bytes) = data(&results);
        assert_eq!((count, eof), (MAX_READ, false));
        assert!(
            bytes
                .iter()
                .enumerate()
                .all(|(at, byte)| *byte == (at + 3) as u8)
        );
    }

    #[test]
    fn a_plain_image_is_a_range_and_the_mark_counts_it() {
        let mut client = Client::new();
        let results = call(&mut client, "/export/image", 8, 5);
        assert_eq!(word(&results, 92), 5);
        assert_eq!(results.len(), 92 + 12, "head only");
        let Body::Range { range, padding } = client.reply.unwrap().body else {
            panic!("bytes instead of a range");
        };
        assert_eq!((range.offset, range.len, range.eof), (8, 5, false));
        assert_eq!(padding, 3);
    }

    #[test]
    fn only_plain_files_are_read_and_only_by_who_may() {
        assert_eq!(word(&read("/export", 0, 1), 0), 21);
        assert_eq!(word(&read("/export/link", 0, 1), 0), 22);
        assert_eq!(word(&read("/export/fifo", 0, 1), 0), 22);
        let mut client = Client::new();
        client.credential = sys(1000, 1000, &[]);
        assert_eq!(word(&call(&mut client, "/export/secret", 0, 1), 0), 13);
    }

    #[test]
    fn a_damaged_file_is_an_error_and_nothing_of_it_is_sent() {
        let results = read("/export/damaged", 0, 100);
        assert_eq!(word(&results, 0), 5);
        assert_eq!(results.len(), 4 + 88);
        assert_eq!(word(&read("/export/overlong", 0, 2), 0), 10006);
    }
}
