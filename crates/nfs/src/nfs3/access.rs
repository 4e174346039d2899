//! ACCESS (RFC 1813 section 3.3.4).

use super::Context;
use crate::FileKind;
use crate::xdr::{Malformed, Reader, Writer};

const READ: u32 = 0x01;
const LOOKUP: u32 = 0x02;
const MODIFY: u32 = 0x04;
const EXTEND: u32 = 0x08;
const EXECUTE: u32 = 0x20;

/// Tells which of the asked rights this user has. MODIFY, EXTEND and DELETE nobody has; EXECUTE
/// must not be lost with them, or nothing on a root could be run. What is written to a device, a pipe
/// or a socket stays on the client, so there the permission bits hold.
pub(super) fn access(
    arguments: &mut Reader<'_>,
    context: &Context<'_>,
    out: &mut Writer<'_>,
) -> Result<(), Malformed> {
    let object = arguments.handle()?;
    let asked = arguments.u32()?;
    match context.open(object) {
        Ok((_, attributes)) => {
            let permissions = context.user.permissions(&attributes);
            let mut granted = 0;
            if permissions & 0o4 != 0 {
                granted |= READ;
            }
            if permissions & 0o1 != 0 {
                granted |= LOOKUP | EXECUTE;
            }
            if permissions & 0o2 != 0 && is_on_client(attributes.kind) {
                granted |= MODIFY | EXTEND;
            }
            out.ok();
            out.post_op(Some(&attributes));
            out.u32(asked & granted);
        }
        Err(status) => out.failure(status, None),
    }
    Ok(())
}

fn is_on_client(kind: FileKind) -> bool {
    !matches!(
        kind,
        FileKind::Regular | FileKind::Directory | FileKind::Symlink
    )
}

#[cfg(test)]
mod tests {
    use crate::testing::{Client, opaque, sys, word};

    fn granted(path: &str, credential: Vec<u8>) -> u32 {
        let mut client = Client::new();
        client.credential = credential;
        let mut arguments = opaque(path.as_bytes());
        arguments.extend([0xff; 4]);
        word(&client.nfs(4, &arguments), 4 + 88)
    }

    #[test]
    fn read_lookup_and_execute_are_kept_and_nothing_that_changes() {
        assert_eq!(granted("/export", sys(0, 0, &[])), 0x23);
        assert_eq!(granted("/export", vec![0; 8]), 0x23);
        assert_eq!(granted("/export/tool", sys(1000, 1000, &[])), 0x23);
        assert_eq!(granted("/export/secret", sys(0, 0, &[])), 0x01);
    }

    #[test]
    fn what_a_client_writes_to_a_pipe_is_its_own_affair() {
        assert_eq!(granted("/export/fifo", sys(0, 0, &[])), 0x2f);
        assert_eq!(granted("/export/fifo", sys(1000, 1000, &[])), 0x23);
    }

    #[test]
    fn the_users_of_one_client_are_kept_apart() {
        assert_eq!(granted("/export/secret", sys(1000, 1000, &[])), 0);
        assert_eq!(granted("/export/secret", vec![0; 8]), 0);
    }
}
