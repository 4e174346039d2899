//! GETATTR (RFC 1813 section 3.3.1) and how attributes look in every other reply.

use super::Context;
use crate::xdr::{Malformed, Reader, Writer};
use crate::{Attributes, Time};

/// Length of a `post_op_attr` that has attributes, in bytes.
pub(super) const POST_OP_LEN: usize = 4 + 84;

pub(super) fn getattr(
    arguments: &mut Reader<'_>,
    context: &Context<'_>,
    out: &mut Writer<'_>,
) -> Result<(), Malformed> {
    match context.open(arguments.handle()?) {
        Ok((_, attributes)) => {
            out.ok();
            out.attributes(&attributes);
        }
        Err(status) => out.u32(status as u32),
    }
    Ok(())
}

impl Writer<'_> {
    /// `post_op_attr`.
    pub(super) fn post_op(&mut self, attributes: Option<&Attributes>) {
        self.bool(attributes.is_some());
        if let Some(attributes) = attributes {
            self.attributes(attributes);
        }
    }

    /// `wcc_data` of something that was not touched: nothing before, the attributes as they are.
    pub(super) fn wcc(&mut self, attributes: Option<&Attributes>) {
        self.bool(false);
        self.post_op(attributes);
    }

    /// `fattr3`.
    fn attributes(&mut self, attributes: &Attributes) {
        self.u32(attributes.kind as u32);
        self.u32(attributes.mode & 0o7777);
        self.u32(attributes.nlink);
        self.u32(attributes.uid);
        self.u32(attributes.gid);
        self.u64(attributes.size);
        self.u64(attributes.used);
        self.u32(attributes.rdev.0);
        self.u32(attributes.rdev.1);
        self.u64(attributes.fsid);
        self.u64(attributes.fileid);
        for time in [attributes.atime, attributes.mtime, attributes.ctime] {
            self.time(time);
        }
    }

    /// `nfstime3`.
    fn time(&mut self, time: Time) {
        self.u32(time.seconds);
        self.u32(time.nanos);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FileKind;
    use crate::testing::{Client, opaque, word};

    #[test]
    fn attributes_are_84_bytes_in_the_rfcs_order() {
        let attributes = Attributes {
            kind: FileKind::CharDevice,
            mode: 0o1_7777,
            nlink: 2,
            uid: 3,
            gid: 4,
            size: 5,
            used: 6,
            rdev: (7, 8),
            fsid: 9,
            fileid: 10,
            atime: Time {
                seconds: 11,
                nanos: 12,
            },
            mtime: Time {
                seconds: 13,
                nanos: 14,
            },
            ctime: Time {
                seconds: 15,
                nanos: 16,
            },
        };
        let mut bytes = Vec::new();
        Writer { out: &mut bytes }.post_op(Some(&attributes));
        assert_eq!(bytes.len(), POST_OP_LEN);
        let words = [
            1, 4, 0o7777, 2, 3, 4, 0, 5, 0, 6, 7, 8, 0, 9, 0, 10, 11, 12, 13, 14, 15, 16,
        ];
        assert_eq!(bytes, words.map(u32::to_be_bytes).concat());
    }

    #[test]
    fn a_handle_that_is_none_of_ours_is_a_status() {
        let mut client = Client::new();
        for (handle, status) in [
            (&b""[..], 10001),
            (b"?", 10001),
            (&[0; 64], 10001),
            (&[0xff; 64], 10001),
            (b"gone", 70),
        ] {
            assert_eq!(word(&client.nfs(1, &opaque(handle)), 0), status);
        }
        for handle in [opaque(&[0; 65]), opaque(&[0; 1000]), vec![0xff; 4]] {
            assert_eq!(client.accept_status(100_003, 3, 1, &handle), 4);
        }
    }
}
