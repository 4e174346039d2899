//! Opening beneath a directory, and nowhere else.

use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;

use super::file::File;

/// To be asked about, not to be read: opens nothing that notices.
pub(super) const ASK: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW);
/// To be read. A pipe or a device that has taken the file's place is not waited for.
pub(super) const READ: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY);
/// A directory, to be listed.
pub(super) const LIST: OFlags = READ.union(OFlags::DIRECTORY);

const RESOLVE: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS)
    .union(ResolveFlags::NO_XDEV);

/// Longest path of one system call, in bytes; PATH_MAX is 4096.
const PIECE: usize = 3000;

/// Opens a name in a directory.
pub(super) fn open(directory: &File, name: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    openat2(
        directory.fd(),
        name,
        flags | OFlags::CLOEXEC,
        Mode::empty(),
        RESOLVE,
    )
}

/// Opens a path of any length below a directory.
pub(super) fn open_path<N: AsRef<[u8]>>(
    root: &File,
    names: &[N],
    flags: OFlags,
) -> Result<OwnedFd, Errno> {
    let mut at: Option<File> = None;
    let mut piece = Vec::new();
    for (index, name) in names.iter().enumerate() {
        if !piece.is_empty() {
            piece.push(b'/');
        }
        piece.extend_from_slice(name.as_ref());
        let last = index + 1 == names.len();
        if last {
            return open(at.as_ref().unwrap_or(root), &piece, flags);
        }
        if piece.len() >= PIECE {
            at = Some(File::new(open(at.as_ref().unwrap_or(root), &piece, ASK)?)?);
            piece.clear();
        }
    }
    Err(Errno::NOENT)
}
