//! Everything that would change something: one answer in five shapes (RFC 1813 sections 3.3.2,
//! 3.3.7 to 3.3.15 and 3.3.21).

use super::{Context, WireHandle};
use crate::xdr::{Malformed, Reader, Writer};
use crate::{Attributes, Status};

/// What the results of a failed procedure are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// One `wcc_data`: SETATTR, WRITE, CREATE, MKDIR, SYMLINK, MKNOD, REMOVE, RMDIR, COMMIT.
    One,
    /// Two `wcc_data`, of the directories on both sides: RENAME.
    Two,
    /// The attributes of the file and a `wcc_data` of the directory: LINK.
    FileAndDirectory,
}

impl Shape {
    /// Of a procedure by its number, if it is one of these.
    pub(super) fn of(number: u32) -> Option<Self> {
        match number {
            2 | 7..=13 | 21 => Some(Self::One),
            14 => Some(Self::Two),
            15 => Some(Self::FileAndDirectory),
            _ => None,
        }
    }
}

/// ROFS, or what is wrong with the handle. Arguments that do not matter are not looked at.
pub(super) fn refuse(
    shape: Shape,
    arguments: &mut Reader<'_>,
    context: &Context<'_>,
    out: &mut Writer<'_>,
) -> Result<(), Malformed> {
    let first = arguments.handle()?;
    let second = match shape {
        Shape::One => None,
        Shape::Two => {
            arguments.string()?;
            Some(arguments.handle()?)
        }
        Shape::FileAndDirectory => Some(arguments.handle()?),
    };
    let mut status = Status::RoFs;
    let first = attributes(first, context, &mut status);
    let second = second.map(|handle| attributes(handle, context, &mut status));
    out.u32(status as u32);
    match (shape, second) {
        (Shape::FileAndDirectory, Some(second)) => {
            out.post_op(first.as_ref());
            out.wcc(second.as_ref());
        }
        (_, Some(second)) => {
            out.wcc(first.as_ref());
            out.wcc(second.as_ref());
        }
        (_, None) => out.wcc(first.as_ref()),
    }
    Ok(())
}

fn attributes(
    handle: WireHandle,
    context: &Context<'_>,
    status: &mut Status,
) -> Option<Attributes> {
    match context.open(handle) {
        Ok((_, attributes)) => Some(attributes),
        Err(error) => {
            *status = error;
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Client, opaque, word};

    const WCC: usize = 4 + 88;

    #[test]
    fn whatever_would_write_is_refused_in_its_own_shape() {
        let directory = opaque(b"/export");
        let name = opaque(&[b'x'; 300]);
        let where_ = [directory.clone(), name].concat();
        for number in [2, 7, 8, 9, 10, 11, 12, 13, 21] {
            let results = Client::new().nfs(number, &where_);
            assert_eq!(
                (word(&results, 0), results.len()),
                (30, 4 + WCC),
                "{number}"
            );
        }
        let rename = [where_.clone(), where_.clone()].concat();
        let results = Client::new().nfs(14, &rename);
        assert_eq!((word(&results, 0), results.len()), (30, 4 + 2 * WCC));
        let link = [opaque(b"/export/hello"), where_].concat();
        let results = Client::new().nfs(15, &link);
        assert_eq!((word(&results, 0), results.len()), (30, 4 + 88 + WCC));
    }

    #[test]
    fn a_bad_handle_is_told_before_read_only() {
        let results = Client::new().nfs(12, &[opaque(b"?"), opaque(b"x")].concat());
        assert_eq!((word(&results, 0), results.len()), (10001, 4 + 8));
        let both = [
            opaque(b"/export"),
            opaque(b"x"),
            opaque(b"gone"),
            opaque(b"y"),
        ]
        .concat();
        let results = Client::new().nfs(14, &both);
        assert_eq!((word(&results, 0), results.len()), (70, 4 + WCC + 8));
        assert_eq!(
            Client::new().accept_status(100_003, 3, 14, &opaque(b"/export")),
            4
        );
    }
}
