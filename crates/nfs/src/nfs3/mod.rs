//! NFS version 3 (RFC 1813), all 22 procedures, for files that nobody can change.
//!
//! Every procedure goes the same way: decode the arguments (else GARBAGE_ARGS), open the handle
//! (is it one, may this client use it, what is it), ask the file system, encode. A failure that the
//! RFC has a status for is a successful RPC reply.

mod access;
pub(crate) mod acl;
mod attributes;
mod fs_info;
mod lookup;
mod read;
mod read_dir;
mod read_only;

use std::cell::Cell;
use std::net::SocketAddr;

use crate::rpc::{Call, Credential, Refusal};
use crate::serve::{About, Body};
use crate::xdr::{Malformed, Reader, Writer};
use crate::{Attributes, Endpoint, FileHandle, FileKind, ReadOnlyFs, Status};

pub use read::MAX_READ;

pub(crate) const PROGRAM: u32 = 100_003;
pub(crate) const VERSION: u32 = 3;

pub(crate) const NAMES: [&str; 22] = [
    "nfs3 null",
    "nfs3 getattr",
    "nfs3 setattr",
    "nfs3 lookup",
    "nfs3 access",
    "nfs3 readlink",
    "nfs3 read",
    "nfs3 write",
    "nfs3 create",
    "nfs3 mkdir",
    "nfs3 symlink",
    "nfs3 mknod",
    "nfs3 remove",
    "nfs3 rmdir",
    "nfs3 rename",
    "nfs3 link",
    "nfs3 readdir",
    "nfs3 readdirplus",
    "nfs3 fsstat",
    "nfs3 fsinfo",
    "nfs3 pathconf",
    "nfs3 commit",
];

/// Longest handle that the RFC allows, in bytes (NFS3_FHSIZE).
const MAX_WIRE_HANDLE: usize = 64;

/// What a procedure knows besides its arguments.
struct Context<'a> {
    fs: &'a dyn ReadOnlyFs,
    client: SocketAddr,
    user: Credential,
    /// The last handle that was opened.
    about: Cell<Option<About>>,
}

/// A handle as it came: bytes that are none of ours are a status of the procedure, not garbage.
type WireHandle = Result<FileHandle, Status>;

pub(crate) fn serve(
    call: &Call<'_>,
    endpoint: &Endpoint,
    fs: &dyn ReadOnlyFs,
    out: &mut Writer<'_>,
) -> Result<(Body, Option<About>), Refusal> {
    let context = Context {
        fs,
        client: endpoint.peer,
        user: call.credential,
        about: Cell::new(None),
    };
    let mut body = Body::Bytes;
    let mut arguments = call.arguments.clone();
    let arguments = &mut arguments;
    match call.procedure.number {
        0 => {}
        1 => attributes::getattr(arguments, &context, out)?,
        3 => lookup::lookup(arguments, &context, out)?,
        4 => access::access(arguments, &context, out)?,
        5 => lookup::readlink(arguments, &context, out)?,
        6 => body = read::read(arguments, &context, out)?,
        16 => read_dir::readdir(arguments, &context, out)?,
        17 => read_dir::readdirplus(arguments, &context, out)?,
        18 => fs_info::fsstat(arguments, &context, out)?,
        19 => fs_info::fsinfo(arguments, &context, out)?,
        20 => fs_info::pathconf(arguments, &context, out)?,
        number => match read_only::Shape::of(number) {
            Some(shape) => read_only::refuse(shape, arguments, &context, out)?,
            None => return Err(Refusal::ProcedureUnavailable),
        },
    }
    Ok((body, context.about.get()))
}

impl Context<'_> {
    /// What every procedure does first with a handle.
    fn open(&self, handle: WireHandle) -> Result<(FileHandle, Attributes), Status> {
        let handle = handle?;
        if !self.fs.allowed(self.client, &handle) {
            return Err(Status::Access);
        }
        let (file, read) = (handle, None);
        self.about.set(Some(About { file, read }));
        Ok((handle, self.fs.attributes(&handle)?))
    }

    /// A directory that this user may search (`0o1`) or list (`0o4`).
    fn open_directory(
        &self,
        handle: WireHandle,
        permission: u32,
    ) -> Result<(FileHandle, Attributes), Status> {
        let (handle, attributes) = self.open(handle)?;
        if attributes.kind != FileKind::Directory {
            return Err(Status::NotDir);
        }
        if self.user.permissions(&attributes) & permission == 0 {
            return Err(Status::Access);
        }
        Ok((handle, attributes))
    }
}

impl<'a> Reader<'a> {
    /// `nfs_fh3`. More than 64 bytes are no handle at all.
    fn handle(&mut self) -> Result<WireHandle, Malformed> {
        let bytes = self.opaque(MAX_WIRE_HANDLE)?;
        Ok(FileHandle::new(bytes).ok_or(Status::BadHandle))
    }
}

impl Writer<'_> {
    /// NFS3_OK.
    fn ok(&mut self) {
        self.u32(0);
    }

    /// A failure whose results are a `post_op_attr`.
    fn failure(&mut self, status: Status, attributes: Option<&Attributes>) {
        self.u32(status as u32);
        self.post_op(attributes);
    }
}
