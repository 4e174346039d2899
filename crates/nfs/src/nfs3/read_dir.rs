//! READDIR and READDIRPLUS (RFC 1813 sections 3.3.16 and 3.3.17).
//!
//! Cookies are the file system's own and hold for ever, so the cookie verifier is a constant and
//! any verifier is accepted: a listing goes on after a restart of the server.

use super::Context;
use super::attributes::POST_OP_LEN;
use crate::xdr::{Malformed, Reader, Writer, padding};
use crate::{Attributes, DirEntry, FileHandle, Status};

/// Most bytes of results, whatever the client asks for; FSINFO tells it as dtpref.
pub(super) const MAX_LISTING: u32 = 64 * 1024;
/// Results besides the entries: attributes, verifier, end of the list, end of the directory.
const FRAME: usize = POST_OP_LEN + 8 + 4 + 4;

/// How much the client takes, in bytes.
struct Room {
    /// For everything (`count`, `maxcount`).
    total: usize,
    /// For numbers, names and cookies alone (`dircount`); READDIRPLUS only.
    names: Option<usize>,
}

pub(super) fn readdir(
    arguments: &mut Reader<'_>,
    context: &Context<'_>,
    out: &mut Writer<'_>,
) -> Result<(), Malformed> {
    let directory = arguments.handle()?;
    let (cookie, _verifier) = (arguments.u64()?, arguments.u64()?);
    let room = Room {
        total: arguments.u32()?.min(MAX_LISTING) as usize,
        names: None,
    };
    list(directory, cookie, &room, context, out);
    Ok(())
}

pub(super) fn readdirplus(
    arguments: &mut Reader<'_>,
    context: &Context<'_>,
    out: &mut Writer<'_>,
) -> Result<(), Malformed> {
    let directory = arguments.handle()?;
    let (cookie, _verifier) = (arguments.u64()?, arguments.u64()?);
    let (names, total) = (arguments.u32()?, arguments.u32()?);
    let room = Room {
        total: total.min(MAX_LISTING) as usize,
        names: Some(names as usize),
    };
    list(directory, cookie, &room, context, out);
    Ok(())
}

fn list(
    directory: super::WireHandle,
    cookie: u64,
    room: &Room,
    context: &Context<'_>,
    out: &mut Writer<'_>,
) {
    let (directory, attributes) = match context.open_directory(directory, 0o4) {
        Ok(opened) => opened,
        Err(status) => return out.failure(status, None),
    };
    let start = out.position();
    if let Err(status) = entries(&directory, &attributes, cookie, room, context, out) {
        out.truncate(start);
        out.failure(status, Some(&attributes));
    }
}

fn entries(
    directory: &FileHandle,
    attributes: &Attributes,
    cookie: u64,
    room: &Room,
    context: &Context<'_>,
    out: &mut Writer<'_>,
) -> Result<(), Status> {
    let mut left = room.total.checked_sub(FRAME).ok_or(Status::TooSmall)?;
    let mut left_for_names = room.names;
    let plus = room.names.is_some();
    out.ok();
    out.post_op(Some(attributes));
    out.u64(0);
    let (mut any, mut full) = (false, false);
    let mut visit = |entry: DirEntry<'_>| {
        let name_len = names_len(&entry);
        let len = if plus {
            name_len + plus_len(&entry)
        } else {
            name_len
        };
        // The first entry goes out even if dircount is too small for it, or no listing would end.
        let names_full = any && left_for_names.is_some_and(|left| name_len > left);
        if len > left || names_full || full {
            full = true;
            return false;
        }
        left -= len;
        left_for_names = left_for_names.map(|left| left.saturating_sub(name_len));
        any = true;
        out.entry(&entry, plus);
        true
    };
    let end = context.fs.read_dir(directory, cookie, &mut visit, plus)? && !full;
    if !any && !end {
        return Err(Status::TooSmall);
    }
    out.bool(false);
    out.bool(end);
    Ok(())
}

/// Of "one more", number, name and cookie.
fn names_len(entry: &DirEntry<'_>) -> usize {
    4 + 8 + 4 + entry.name.len() + padding(entry.name.len()) + 8
}

/// Of what READDIRPLUS adds.
fn plus_len(entry: &DirEntry<'_>) -> usize {
    let attributes = entry.attributes.map_or(4, |_| POST_OP_LEN);
    let handle = entry.handle.map_or(4, |handle| {
        let len = handle.as_bytes().len();
        8 + len + padding(len)
    });
    attributes + handle
}

impl Writer<'_> {
    /// `entry3` or `entryplus3`.
    fn entry(&mut self, entry: &DirEntry<'_>, plus: bool) {
        self.bool(true);
        self.u64(entry.fileid);
        self.opaque(entry.name);
        self.u64(entry.cookie);
        if plus {
            self.post_op(entry.attributes.as_ref());
            self.bool(entry.handle.is_some());
            if let Some(handle) = entry.handle {
                self.opaque(handle.as_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Client, opaque, word};

    const READDIR: u32 = 16;
    const READDIRPLUS: u32 = 17;

    fn list(procedure: u32, path: &str, cookie: u64, verifier: u64, counts: &[u32]) -> Vec<u8> {
        let mut arguments = opaque(path.as_bytes());
        arguments.extend(cookie.to_be_bytes());
        arguments.extend(verifier.to_be_bytes());
        for count in counts {
            arguments.extend(count.to_be_bytes());
        }
        Client::new().nfs(procedure, &arguments)
    }

    struct Page {
        names: Vec<Vec<u8>>,
        last_cookie: u64,
        end: bool,
    }

    fn page(procedure: u32, results: &[u8]) -> Page {
        assert_eq!(word(results, 0), 0);
        let mut reader = Reader::new(&results[92 + 8..]);
        let mut page = Page {
            names: Vec::new(),
            last_cookie: 0,
            end: false,
        };
        while reader.u32().unwrap() == 1 {
            reader.u64().unwrap();
            page.names.push(reader.string().unwrap().to_vec());
            page.last_cookie = reader.u64().unwrap();
            if procedure == READDIRPLUS {
                assert_eq!(reader.u32(), Ok(1), "attributes");
                reader.fixed::<84>().unwrap();
                assert_eq!(reader.u32(), Ok(1), "handle");
                reader.string().unwrap();
            }
        }
        page.end = reader.u32().unwrap() == 1;
        assert!(reader.u32().is_err(), "nothing follows");
        page
    }

    /// Every name of the directory of 5000, and the number of pages.
    fn all(procedure: u32, counts: &[u32]) -> (Vec<Vec<u8>>, usize) {
        let (mut names, mut cookie, mut pages) = (Vec::new(), 0, 0);
        loop {
            let results = list(procedure, "/export/dir", cookie, pages, counts);
            assert!(results.len() - 4 <= 64 * 1024);
            assert!(results.len() - 4 <= *counts.last().unwrap() as usize);
            let page = page(procedure, &results);
            names.extend(page.names);
            cookie = page.last_cookie;
            pages += 1;
            if page.end {
                return (names, pages as usize);
            }
        }
    }

    #[test]
    fn every_name_comes_once_however_it_is_paged() {
        for (procedure, counts, most) in [
            (READDIR, &[4096][..], 60),
            (READDIR, &[u32::MAX], 4),
            (READDIR, &[200], 5002),
            (READDIRPLUS, &[512, 4096], 400),
            (READDIRPLUS, &[u32::MAX, u32::MAX], 20),
            (READDIRPLUS, &[0, 8192], 5002),
        ] {
            let (names, pages) = all(procedure, counts);
            assert_eq!(names.len(), 5002);
            assert_eq!(&names[..3], [&b"."[..], b"..", b"name-0000"]);
            assert_eq!(names[5001], b"name-4999");
            assert!(pages <= most, "{pages} pages of {counts:?}");
        }
    }

    #[test]
    fn dircount_holds_for_names_alone() {
        let results = list(READDIRPLUS, "/export/dir", 0, 0, &[100, 65536]);
        assert_eq!(page(READDIRPLUS, &results).names.len(), 3);
    }

    #[test]
    fn too_little_room_is_said_and_not_ignored() {
        for count in [0, 1, 64, 103, 104, 110] {
            assert_eq!(word(&list(READDIR, "/export", 0, 0, &[count]), 0), 10005);
            let counts = [count, count];
            assert_eq!(word(&list(READDIRPLUS, "/export", 0, 0, &counts), 0), 10005);
        }
    }

    #[test]
    fn a_cookie_from_nowhere_is_no_place_and_any_verifier_will_do() {
        assert_eq!(
            word(&list(READDIR, "/export", u64::MAX, 0, &[4096]), 0),
            10003
        );
        let results = list(READDIR, "/export", 2, u64::MAX, &[4096]);
        assert!(page(READDIR, &results).end);
    }

    #[test]
    fn only_directories_are_listed() {
        assert_eq!(word(&list(READDIR, "/export/hello", 0, 0, &[4096]), 0), 20);
        assert_eq!(
            word(&list(READDIRPLUS, "/export/link", 0, 0, &[1, 4096]), 0),
            20
        );
    }
}
