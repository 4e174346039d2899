//! LOOKUP and READLINK (RFC 1813 sections 3.3.3 and 3.3.5).

use super::Context;
use crate::xdr::{Malformed, Reader, Writer};
use crate::{FileKind, Status};

/// Longest name, in bytes.
pub(super) const MAX_NAME: usize = 255;

pub(super) fn lookup(
    arguments: &mut Reader<'_>,
    context: &Context<'_>,
    out: &mut Writer<'_>,
) -> Result<(), Malformed> {
    let directory = arguments.handle()?;
    let name = arguments.string()?;
    let (directory, attributes) = match context.open_directory(directory, 0o1) {
        Ok(opened) => opened,
        Err(status) => {
            out.failure(status, None);
            return Ok(());
        }
    };
    let found = check_name(name).and_then(|()| context.fs.lookup(&directory, name));
    match found {
        Ok((handle, found)) => {
            out.ok();
            out.opaque(handle.as_bytes());
            out.post_op(Some(&found));
            out.post_op(Some(&attributes));
        }
        Err(status) => out.failure(status, Some(&attributes)),
    }
    Ok(())
}

pub(super) fn readlink(
    arguments: &mut Reader<'_>,
    context: &Context<'_>,
    out: &mut Writer<'_>,
) -> Result<(), Malformed> {
    let (link, attributes) = match context.open(arguments.handle()?) {
        Ok(opened) => opened,
        Err(status) => {
            out.failure(status, None);
            return Ok(());
        }
    };
    let target = if attributes.kind == FileKind::Symlink {
        context.fs.read_link(&link)
    } else {
        Err(Status::Inval)
    };
    match target {
        Ok(target) => {
            out.ok();
            out.post_op(Some(&attributes));
            out.opaque(&target);
        }
        Err(status) => out.failure(status, Some(&attributes)),
    }
    Ok(())
}

/// No file can have a name with `/` or NUL in it, or none.
fn check_name(name: &[u8]) -> Result<(), Status> {
    if name.len() > MAX_NAME {
        Err(Status::NameTooLong)
    } else if name.is_empty() || name.contains(&b'/') || name.contains(&0) {
        Err(Status::NoEnt)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Client, opaque, word};
    use crate::xdr::Reader;

    fn lookup(directory: &str, name: &[u8]) -> Vec<u8> {
        let arguments = [opaque(directory.as_bytes()), opaque(name)].concat();
        Client::new().nfs(3, &arguments)
    }

    fn handle(results: &[u8]) -> &[u8] {
        Reader::new(&results[4..]).string().unwrap()
    }

    #[test]
    fn a_name_is_found_with_both_attributes() {
        let results = lookup("/export", b"hello");
        assert_eq!(word(&results, 0), 0);
        assert_eq!(handle(&results), b"/export/hello");
        assert_eq!(results.len(), 4 + opaque(b"/export/hello").len() + 2 * 88);
    }

    #[test]
    fn dot_dot_of_the_root_is_the_root() {
        assert_eq!(handle(&lookup("/export", b"..")), b"/export");
        assert_eq!(handle(&lookup("/export", b".")), b"/export");
        assert_eq!(handle(&lookup("/export/dir", b"..")), b"/export");
    }

    #[test]
    fn names_that_cannot_be_are_refused() {
        for (name, status) in [
            (&b"nothing"[..], 2),
            (b"", 2),
            (b"a/b", 2),
            (b"hello\0", 2),
            (&[b'x'; 255], 2),
            (&[b'x'; 256], 63),
            (&[b'x'; 4096], 63),
        ] {
            let results = lookup("/export", name);
            assert_eq!(word(&results, 0), status);
            assert_eq!(results.len(), 4 + 88, "the directory's attributes");
        }
        assert_eq!(word(&lookup("/export/hello", b"x"), 0), 20);
    }

    #[test]
    fn readlink_is_for_links_only() {
        let mut client = Client::new();
        let results = client.nfs(5, &opaque(b"/export/link"));
        assert_eq!(word(&results, 0), 0);
        assert_eq!(Reader::new(&results[92..]).string(), Ok(&b"hello"[..]));
        assert_eq!(word(&client.nfs(5, &opaque(b"/export/hello")), 0), 22);
        assert_eq!(word(&client.nfs(5, &opaque(b"/export")), 0), 22);
    }
}
