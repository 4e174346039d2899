//! An open file and what is known of it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nfs::{Attributes, FileKind, Status, Time};
use rustix::fs::{AtFlags, FileType, Statx, StatxFlags, StatxTimestamp, statx};
use rustix::io::Errno;

use super::places::FileId;
use super::refused;

/// Longest target of a link, in bytes (PATH_MAX).
const MAX_TARGET: usize = 4096;

/// A file, open, and its attributes at that moment.
pub(super) struct File {
    fd: OwnedFd,
    stat: Statx,
}

impl File {
    pub(super) fn new(fd: OwnedFd) -> Result<Self, Errno> {
        let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
        let stat = statx(&fd, c"", AtFlags::EMPTY_PATH, wanted)?;
        Ok(Self { fd, stat })
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Whether its file system tells times of birth.
    pub(super) fn tells_birth(&self) -> bool {
        self.stat.stx_mask & StatxFlags::BTIME.bits() != 0
    }

    pub(super) fn id(&self) -> FileId {
        let born = &self.stat.stx_btime;
        let nanos = born.tv_sec.wrapping_mul(1_000_000_000) as u64;
        FileId {
            inode: self.stat.stx_ino,
            born: if self.tells_birth() {
                nanos.wrapping_add(born.tv_nsec.into())
            } else {
                0
            },
        }
    }

    /// The file system that it is in.
    pub(super) fn device(&self) -> (u32, u32) {
        (self.stat.stx_dev_major, self.stat.stx_dev_minor)
    }

    fn kind(&self) -> FileKind {
        match FileType::from_raw_mode(self.stat.stx_mode.into()) {
            FileType::Directory => FileKind::Directory,
            FileType::Symlink => FileKind::Symlink,
            FileType::BlockDevice => FileKind::BlockDevice,
            FileType::CharacterDevice => FileKind::CharDevice,
            FileType::Fifo => FileKind::Fifo,
            FileType::Socket => FileKind::Socket,
            FileType::RegularFile | FileType::Unknown => FileKind::Regular,
        }
    }

    pub(super) fn is_directory(&self) -> bool {
        self.kind() == FileKind::Directory
    }

    pub(super) fn must_be_plain(&self) -> Result<(), Status> {
        match self.kind() {
            FileKind::Regular => Ok(()),
            FileKind::Directory => Err(Status::IsDir),
            _ => Err(Status::Inval),
        }
    }

    pub(super) fn attributes(&self, fsid: u64) -> Attributes {
        let stat = &self.stat;
        Attributes {
            kind: self.kind(),
            mode: u32::from(stat.stx_mode) & 0o7777,
            nlink: stat.stx_nlink,
            uid: stat.stx_uid,
            gid: stat.stx_gid,
            size: stat.stx_size,
            used: stat.stx_blocks.saturating_mul(512),
            rdev: (stat.stx_rdev_major, stat.stx_rdev_minor),
            fsid,
            fileid: stat.stx_ino,
            atime: time(&stat.stx_atime),
            mtime: time(&stat.stx_mtime),
            ctime: time(&stat.stx_ctime),
        }
    }

    /// The target of a link.
    pub(super) fn target(&self) -> Result<Vec<u8>, Status> {
        if self.kind() != FileKind::Symlink {
            return Err(Status::Inval);
        }
        let target = rustix::fs::readlinkat(&self.fd, c"", Vec::with_capacity(MAX_TARGET));
        Ok(target.map_err(refused)?.into_bytes())
    }

    /// Appends at most `count` bytes from `offset`; says whether the file ends there.
    pub(super) fn read(&self, offset: u64, count: u32, out: &mut Vec<u8>) -> Result<bool, Status> {
        self.must_be_plain()?;
        let rest = self.stat.stx_size.saturating_sub(offset);
        let start = out.len();
        out.resize(start + rest.min(count.into()) as usize, 0);
        let mut filled = start;
        while filled < out.len() {
            let at = offset.saturating_add((filled - start) as u64);
            match rustix::io::pread(&self.fd, &mut out[filled..], at) {
                // It has become shorter since it was looked at.
                Ok(0) => break,
                Ok(len) => filled += len,
                Err(Errno::INTR) => {}
                Err(error) => {
                    out.truncate(start);
                    return Err(refused(error));
                }
            }
        }
        let whole = filled == out.len();
        out.truncate(filled);
        Ok(!whole || rest <= count.into())
    }
}

fn time(stamp: &StatxTimestamp) -> Time {
    Time {
        seconds: stamp.tv_sec.clamp(0, u32::MAX.into()) as u32,
        nanos: stamp.tv_nsec.min(999_999_999),
    }
}
