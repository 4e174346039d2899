//! What is inside an image, in NFS's words.

use nfs::{Attributes, FileKind, Status, Time};
use squashfs::{Error, Inode, InodeKind, InodeRef, Slice};

use super::fs::inode_at;
use super::namespace;
use super::snapshot::ExportedGeneration;

/// The attributes of an inode in a generation's tree.
pub(super) fn attributes(generation: &ExportedGeneration, inode: &Inode) -> Attributes {
    let time = Time {
        seconds: inode.mtime,
        nanos: 0,
    };
    Attributes {
        kind: match inode.kind {
            InodeKind::Directory => FileKind::Directory,
            InodeKind::File => FileKind::Regular,
            InodeKind::Symlink => FileKind::Symlink,
            InodeKind::BlockDevice => FileKind::BlockDevice,
            InodeKind::CharDevice => FileKind::CharDevice,
            InodeKind::Fifo => FileKind::Fifo,
            InodeKind::Socket => FileKind::Socket,
        },
        mode: inode.mode.into(),
        nlink: inode.nlink,
        uid: inode.uid,
        gid: inode.gid,
        size: inode.size,
        used: inode.allocated(),
        rdev: inode.device().unwrap_or((0, 0)),
        fsid: generation.fsid(),
        fileid: inode.number.into(),
        atime: time,
        mtime: time,
        ctime: time,
    }
}

/// A piece of a file, not copied, and whether the file ends with it; `None` if there is a
/// hole in it.
pub(super) fn slices(
    generation: &ExportedGeneration,
    inode: InodeRef,
    offset: u64,
    count: u32,
) -> Option<Result<(Vec<Slice>, bool), Status>> {
    let slices = inode_at(generation, inode).and_then(|inode| {
        let slices = generation
            .archive
            .slices(&inode, offset, count as usize)
            .map_err(|error| failed(generation, &error))?;
        let len = |slices: &[Slice]| slices.iter().map(|it| it.len() as u64).sum();
        Ok(slices.map(|slices| {
            let end = offset.saturating_add(len(&slices));
            (slices, end >= inode.size)
        }))
    });
    slices.transpose()
}

/// The attributes of a generation's image file.
pub(super) fn image_attributes(generation: &ExportedGeneration) -> Attributes {
    let time = Time {
        seconds: generation.archive.superblock().made,
        nanos: 0,
    };
    Attributes {
        kind: FileKind::Regular,
        mode: 0o444,
        nlink: 1,
        uid: 0,
        gid: 0,
        size: generation.len,
        used: generation.len,
        rdev: (0, 0),
        fsid: namespace::fsid(),
        fileid: namespace::image_fileid(generation.id),
        atime: time,
        mtime: time,
        ctime: time,
    }
}

/// What a client is told of an image that cannot be read; the operator is told which and why.
pub(super) fn failed(generation: &ExportedGeneration, error: &Error) -> Status {
    match error {
        Error::NotInMemory => Status::JukeBox,
        Error::NotADirectory { .. } => Status::NotDir,
        Error::NotAFile { .. } | Error::NotASymlink { .. } | Error::TooManyLinks => Status::Inval,
        other => {
            generation.report(other);
            Status::Io
        }
    }
}
