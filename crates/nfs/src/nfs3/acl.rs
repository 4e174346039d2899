//! NFS_ACL, the side protocol for POSIX ACLs (program 100227 version 3; no RFC, Solaris's
//! `nfs_acl.x`).
//!
//! Our files have no ACLs, and saying so is more than not answering: where the program is not
//! available the Linux client reports "not supported" for every question about ACLs, overlayfs passes
//! that on, and on a root that is a tree over NFS nobody but root can run a program.

use std::cell::Cell;

use super::Context;
use crate::rpc::{Call, Refusal};
use crate::xdr::{Malformed, Reader, Writer};
use crate::{Endpoint, ReadOnlyFs, Status};

pub(crate) const PROGRAM: u32 = 100_227;
pub(crate) const VERSION: u32 = 3;

/// The bits of a mask that mean something: ACL, its count, default ACL, its count.
const MASK: u32 = 0xf;

pub(crate) fn serve(
    call: &Call<'_>,
    endpoint: &Endpoint,
    fs: &dyn ReadOnlyFs,
    out: &mut Writer<'_>,
) -> Result<(), Refusal> {
    let context = Context {
        about: Cell::new(None),
        fs,
        client: endpoint.peer,
        user: call.credential,
    };
    let mut arguments = call.arguments.clone();
    match call.procedure.number {
        0 => Ok(()),
        1 => Ok(getacl(&mut arguments, &context, out)?),
        2 => Ok(setacl(&mut arguments, &context, out)?),
        _ => Err(Refusal::ProcedureUnavailable),
    }
}

/// No entries, so that the client goes by the mode bits.
fn getacl(
    arguments: &mut Reader<'_>,
    context: &Context<'_>,
    out: &mut Writer<'_>,
) -> Result<(), Malformed> {
    let handle = arguments.handle()?;
    let mask = arguments.u32()? & MASK;
    match context.open(handle) {
        Ok((_, attributes)) => {
            out.ok();
            out.post_op(Some(&attributes));
            out.u32(mask);
            // Two lists, each a count and an array; both are always there, whatever was asked for.
            (0..4).for_each(|_| out.u32(0));
        }
        Err(status) => out.failure(status, None),
    }
    Ok(())
}

fn setacl(
    arguments: &mut Reader<'_>,
    context: &Context<'_>,
    out: &mut Writer<'_>,
) -> Result<(), Malformed> {
    match context.open(arguments.handle()?) {
        Ok((_, attributes)) => out.failure(Status::RoFs, Some(&attributes)),
        Err(status) => out.failure(status, None),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testing::{Client, opaque, word};

    #[test]
    fn every_file_is_said_to_have_no_acl() {
        let mut client = Client::new();
        let arguments = [opaque(b"/export"), vec![0, 0, 0, 5]].concat();
        let message = client.message([100_227, 3, 1], &arguments);
        let reply = client.send(&message).unwrap();
        // After the RPC header (24 bytes): status, attributes follow, 84 bytes of them, mask, lists.
        assert_eq!((word(&reply, 24), word(&reply, 28)), (0, 1));
        let rest: Vec<u32> = (0..5).map(|n| word(&reply, 32 + 84 + 4 * n)).collect();
        assert_eq!(rest, [5, 0, 0, 0, 0]);
        assert_eq!(reply.len(), 32 + 84 + 20);
    }

    #[test]
    fn an_acl_cannot_be_set() {
        let mut client = Client::new();
        let message = client.message([100_227, 3, 2], &opaque(b"/export"));
        assert_eq!(word(&client.send(&message).unwrap(), 24), 30);
        assert_eq!(client.accept_status(100_227, 3, 0, &[]), 0);
        assert_eq!(client.accept_status(100_227, 3, 3, &[]), 3);
    }
}
