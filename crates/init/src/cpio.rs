//! Reading a newc cpio archive (cpio(5), "New ASCII Format"), as the server sends the overlay.
//!
//! The whole archive is read and judged before anything of it is written. Hard links and device
//! nodes have no place in an overlay and are refused.

use std::fmt;

const HEADER: usize = 110;
const MAX_NAME: usize = 4096;
const MAX_TARGET: usize = 4095;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind<'a> {
    /// A folder.
    Folder,
    /// A file and its bytes.
    File(&'a [u8]),
    /// A symbolic link and its target.
    Symlink(&'a str),
}

/// One entry of the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    /// Path below the root: components separated by `/`, none of them empty, `.` or `..`.
    /// Empty for the root itself.
    pub(crate) path: String,
    /// What it is.
    pub(crate) kind: Kind<'a>,
    /// Permission bits, set-id bits included.
    pub(crate) mode: u32,
    /// Owner.
    pub(crate) uid: u32,
    /// Group.
    pub(crate) gid: u32,
    /// Seconds since 1970.
    pub(crate) mtime: u32,
}

/// Why an archive was refused, and at which byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CpioError {
    at: usize,
    what: &'static str,
}

impl fmt::Display for CpioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the archive is bad at byte {}: {}", self.at, self.what)
    }
}

/// Reads the archive up to its trailer.
pub(crate) fn parse(archive: &[u8]) -> Result<Vec<Entry<'_>>, CpioError> {
    let mut entries = Vec::new();
    let mut at = 0;
    loop {
        let bad = |what| CpioError { at, what };
        let header = piece(archive, at, HEADER).ok_or(bad("it breaks off in a header"))?;
        if header[..6] != *b"070701" && header[..6] != *b"070702" {
            return Err(bad("no newc header"));
        }
        let mut fields = [0; 13];
        for (field, digits) in fields.iter_mut().zip(header[6..].chunks_exact(8)) {
            *field = hexadecimal(digits).ok_or(bad("a header field is not hexadecimal"))?;
        }
        let [
            _,
            mode,
            uid,
            gid,
            links,
            mtime,
            size,
            _,
            _,
            _,
            _,
            name_size,
            _,
        ] = fields;
        let name_size = name_size as usize;
        if !(1..=MAX_NAME).contains(&name_size) {
            return Err(bad("a name's length makes no sense"));
        }
        let name = piece(archive, at + HEADER, name_size)
            .and_then(|name| name.strip_suffix(b"\0"))
            .ok_or(bad("a name breaks off"))?;
        let name = std::str::from_utf8(name).map_err(|_| bad("a name is not UTF-8"))?;
        if name == "TRAILER!!!" {
            return Ok(entries);
        }
        let content_at = (at + HEADER + name_size).next_multiple_of(4);
        let content =
            piece(archive, content_at, size as usize).ok_or(bad("an entry breaks off"))?;
        let kind = match mode & 0o170_000 {
            0o040_000 => Kind::Folder,
            0o100_000 if links > 1 => return Err(bad("a hard link")),
            0o100_000 => Kind::File(content),
            0o120_000 => Kind::Symlink(target(content).ok_or(bad("a link's target"))?),
            _ => return Err(bad("neither a folder, a file nor a symbolic link")),
        };
        entries.push(Entry {
            path: clean(name).map_err(bad)?,
            kind,
            mode: mode & 0o7777,
            uid,
            gid,
            mtime,
        });
        at = (content_at + content.len()).next_multiple_of(4);
    }
}

fn piece(archive: &[u8], at: usize, length: usize) -> Option<&[u8]> {
    archive.get(at..at.checked_add(length)?)
}

fn hexadecimal(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value: u32, digit| {
        Some(value << 4 | char::from(*digit).to_digit(16)?)
    })
}

fn target(content: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(content).ok()?;
    let good = !text.is_empty() && text.len() <= MAX_TARGET && !text.contains('\0');
    good.then_some(text)
}

/// `./etc//hosts` as `etc/hosts`. Leaving the root is refused, not mended.
fn clean(name: &str) -> Result<String, &'static str> {
    if name.starts_with('/') {
        return Err("an absolute path");
    }
    if name.contains('\0') {
        return Err("a path with a zero in it");
    }
    let mut path = String::with_capacity(name.len());
    for component in name.split('/') {
        match component {
            "" | "." => {}
            ".." => return Err("a path with .. in it"),
            _ if component.len() > 255 => return Err("a name longer than 255 bytes"),
            _ => {
                if !path.is_empty() {
                    path.push('/');
                }
                path.push_str(component);
            }
        }
    }
    Ok(path)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// One entry as bytes. `mode` holds the kind too.
    pub(crate) fn entry(name: &str, mode: u32, content: &[u8]) -> Vec<u8> {
        with_links(name, mode, content, 1)
    }

    fn with_links(name: &str, mode: u32, content: &[u8], links: u32) -> Vec<u8> {
        let sizes = (content.len() as u32, name.len() as u32 + 1);
        let fields = [1, mode, 0, 0, links, 7, sizes.0, 0, 0, 0, 0, sizes.1, 0];
        let mut bytes = b"070701".to_vec();
        for field in fields {
            bytes.extend(format!("{field:08x}").bytes());
        }
        bytes.extend(name.bytes().chain([0]));
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend(content);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    pub(crate) fn archive(entries: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = entries.concat();
        bytes.extend(entry("TRAILER!!!", 0, b""));
        bytes
    }

    fn why(bytes: &[u8]) -> &'static str {
        parse(bytes).unwrap_err().what
    }

    #[test]
    fn folders_files_and_links_are_read() {
        let bytes = archive(&[
            entry(".", 0o040_755, b""),
            entry("./etc//hostname", 0o100_644, b"pc1\n"),
            entry("etc/x", 0o120_777, b"/dev/null"),
        ]);
        let entries = parse(&bytes).unwrap();
        let paths: Vec<_> = entries.iter().map(|e| (e.path.as_str(), e.kind)).collect();
        assert_eq!(
            paths,
            [
                ("", Kind::Folder),
                ("etc/hostname", Kind::File(b"pc1\n")),
                ("etc/x", Kind::Symlink("/dev/null")),
            ]
        );
        assert_eq!((entries[1].mode, entries[1].mtime), (0o644, 7));
    }

    #[test]
    fn a_path_that_leaves_the_root_is_refused() {
        for name in ["/etc/shadow", "../x", "etc/../../x", "a/.."] {
            let bytes = archive(&[entry(name, 0o100_644, b"")]);
            assert!(why(&bytes).contains("path"), "{name}");
        }
        let long = archive(&[entry(&"x".repeat(256), 0o100_644, b"")]);
        assert!(why(&long).contains("255"));
    }

    #[test]
    fn what_an_overlay_cannot_hold_is_refused() {
        assert!(why(&archive(&[entry("dev/sda", 0o060_600, b"")])).contains("neither"));
        assert!(why(&archive(&[with_links("a", 0o100_644, b"", 2)])).contains("hard link"));
        assert!(why(&archive(&[entry("a", 0o120_777, b"")])).contains("target"));
    }

    #[test]
    fn lengths_that_lie_reach_nothing() {
        let mut bytes = archive(&[entry("a", 0o100_644, b"hello")]);
        bytes[54..62].copy_from_slice(b"ffffffff");
        assert!(why(&bytes).contains("breaks off"));
        let mut bytes = archive(&[entry("a", 0o100_644, b"")]);
        bytes[94..102].copy_from_slice(b"ffffffff");
        assert!(why(&bytes).contains("length"));
        bytes[94..102].copy_from_slice(b"+0000002");
        assert!(why(&bytes).contains("hexadecimal"));
    }

    #[test]
    fn an_archive_cut_anywhere_is_refused() {
        let bytes = archive(&[entry("etc/a", 0o100_644, b"hello")]);
        let trailer = entry("TRAILER!!!", 0, b"").len();
        let padding = trailer - HEADER - "TRAILER!!!\0".len();
        for end in 0..bytes.len() - padding {
            assert!(parse(&bytes[..end]).is_err(), "{end}");
        }
        assert_eq!(why(b"not an archive"), "it breaks off in a header");
    }
}
