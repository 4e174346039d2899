//! A directory as one layer of several.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::atomic::Ordering;

use rustix::fs::{Mode, OFlags, ResolveFlags};

use super::file::DiskFile;
use super::gathered::{Gathering, Layer};
use super::listing::{Body, Meta};
use super::{Directory, Error};
use crate::entry::{Content, Kind, Stamp};
use crate::squash::shown;

/// A directory whose names are gathered first; files are opened once more when they are wanted.
pub(super) struct Folder {
    directory: Directory,
    /// Whether it lies over another layer. Then `/` stays what it is below.
    above: bool,
    /// The files, by their tokens.
    files: Vec<Known>,
}

struct Known {
    path: Box<[u8]>,
    size: u64,
    mtime: i64,
}

impl Folder {
    pub(super) fn new(directory: Directory, above: bool) -> Self {
        Self {
            directory,
            above,
            files: Vec::new(),
        }
    }
}

impl Layer for Folder {
    fn list(&mut self, gathering: &mut Gathering<'_>) -> Result<(), Error> {
        for entry in self.directory.layer_entries(gathering.progress) {
            if gathering.stop.load(Ordering::Relaxed) {
                return Err(Error::Stopped);
            }
            let entry = entry?;
            if entry.path.is_empty() && self.above {
                continue;
            }
            let meta = Meta {
                mode: entry.mode,
                uid: entry.uid,
                gid: entry.gid,
                mtime: entry.mtime,
                xattrs: entry.xattrs.into(),
            };
            let body = match entry.kind {
                Kind::Directory => Body::empty_directory(),
                Kind::File { size, .. } => {
                    self.files.push(Known {
                        path: entry.path.clone().into(),
                        size,
                        mtime: entry.mtime,
                    });
                    gathering.file(size, self.files.len() as u64 - 1)
                }
                Kind::Symlink(target) => Body::Symlink(target.into()),
                Kind::BlockDevice(number) => Body::BlockDevice(number),
                Kind::CharDevice(number) => Body::CharDevice(number),
                Kind::Fifo => Body::Fifo,
                Kind::Socket => Body::Socket,
                Kind::HardLink(target) => {
                    gathering.link(&entry.path, &target)?;
                    continue;
                }
            };
            gathering.put(&entry.path, meta, body)?;
        }
        Ok(())
    }

    fn open(&self, token: u64, _size: u64, path: &[u8]) -> Result<Box<dyn Content>, Error> {
        let failed = |errno: rustix::io::Errno| Error::Io {
            action: "open",
            path: shown(path),
            cause: errno.into(),
        };
        let known = &self.files[token as usize];
        let file = rustix::fs::openat2(
            &self.directory.root,
            &*known.path,
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
        );
        let file = file.map_err(failed)?;
        let stat = rustix::fs::fstat(&file).map_err(failed)?;
        let same = stat.st_size as u64 == known.size && stat.st_mtime == known.mtime;
        Ok(Box::new(Reopened {
            file: DiskFile::new(File::from(file), stat),
            same,
        }))
    }
}

/// A file that was opened a second time.
struct Reopened {
    file: DiskFile,
    /// Whether it is what it was the first time.
    same: bool,
}

impl Content for Reopened {
    fn read_at(&mut self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buf, offset)
    }

    fn data_after(&mut self, offset: u64) -> Option<Range<u64>> {
        self.file.data_after(offset)
    }

    fn changed(&mut self) -> bool {
        !self.same || self.file.changed()
    }

    fn stamp(&mut self) -> Option<Stamp> {
        self.file.stamp().filter(|_| self.same)
    }
}
