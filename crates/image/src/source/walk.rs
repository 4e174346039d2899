//! The walk: depth first, names in byte order, one open file at a time.

use std::collections::HashMap;
use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::os::unix::ffi::OsStrExt;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::file::DiskFile;
use super::xattr::{Of, Reader};
use super::{Directory, Error, OPENED_ROOT, Unreadable, open_root};
use crate::entry::{DeviceNumber, Entry, Kind, Xattr};
use crate::progress::Progress;
use crate::scrub::{Nature, Verdict};

/// The entries of a [`Directory`], in order.
pub struct Entries<'a> {
    source: &'a Directory,
    progress: &'a dyn Progress,
    started: bool,
    /// Whether a root that is closed is opened.
    open_root: bool,
    /// The directories from the root to the one that is being listed.
    open: Vec<Level>,
    /// The first path of each file that has several names.
    linked: HashMap<(u64, u64), Vec<u8>>,
    xattrs: Reader,
}

struct Level {
    directory: OwnedFd,
    path: Vec<u8>,
    /// The file system that it is on.
    device: u64,
    /// What is still to come, last first.
    names: Vec<CString>,
}

impl<'a> Entries<'a> {
    pub(super) fn new(source: &'a Directory, progress: &'a dyn Progress, open_root: bool) -> Self {
        Self {
            source,
            progress,
            started: false,
            open_root,
            open: Vec::new(),
            linked: HashMap::new(),
            xattrs: Reader::new(),
        }
    }

    fn root(&mut self) -> Result<Entry, Error> {
        let failed = |errno| failed("open", b"", errno);
        let root = rustix::io::fcntl_dupfd_cloexec(&self.source.root, 0).map_err(failed)?;
        let stat = rustix::fs::fstat(&root).map_err(failed)?;
        let mut entry = self.directory(Vec::new(), root, &stat, stat.st_dev)?;
        if self.open_root && open_root(&mut entry) {
            self.progress.note(OPENED_ROOT);
        }
        Ok(entry)
    }

    /// The entry of this name in the directory `self.open[level]`, unless it is left out or has vanished.
    fn visit(&mut self, level: usize, name: &CStr) -> Result<Option<Entry>, Error> {
        let path = below(&self.open[level].path, name);
        let directory = &self.open[level].directory;
        let stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW);
        let verdict = self
            .source
            .rules
            .judge(&path, stat.as_ref().ok().map(nature));
        let emptied = match verdict {
            Verdict::LeaveOut(_) => return Ok(None),
            Verdict::Empty(_) => true,
            Verdict::Keep => false,
        };
        let stat = match stat {
            Err(Errno::NOENT) => return Ok(self.vanished(&path)),
            // Another user's FUSE mount hides even from root; a mount whose server is gone says the others.
            Err(Errno::ACCESS | Errno::NOTCONN | Errno::STALE) => {
                self.note(
                    &path,
                    "cannot be looked at, as only a mount can; it is not in the image",
                );
                return Ok(None);
            }
            stat => stat.map_err(|errno| failed("look at", &path, errno))?,
        };
        let identity = (stat.st_dev, stat.st_ino);
        let kind = FileType::from_raw_mode(stat.st_mode);
        let linked = stat.st_nlink > 1 && kind != FileType::Directory && !emptied;
        if linked && let Some(first) = self.linked.get(&identity) {
            let kind = Kind::HardLink(first.clone());
            return Ok(Some(entry(path, &stat, Vec::new(), kind)));
        }
        let found = match kind {
            FileType::Directory
                if !self
                    .source
                    .enters(&path, self.open[level].device, stat.st_dev) =>
            {
                Some(self.mount_point(path, &stat))
            }
            FileType::Directory | FileType::RegularFile => {
                self.opened(level, name, path, kind, emptied)?
            }
            _ => self.unopened(level, name, path, &stat)?,
        };
        Ok(found.map(|mut entry| {
            if linked {
                self.linked.insert(identity, entry.path.clone());
                entry.linked = true;
            }
            entry
        }))
    }

    /// A directory or a regular file: what it is, is told by the open file, lest it be another one meanwhile.
    fn opened(
        &mut self,
        level: usize,
        name: &CStr,
        path: Vec<u8>,
        expected: FileType,
        emptied: bool,
    ) -> Result<Option<Entry>, Error> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let open =
            |flags| rustix::fs::openat(&self.open[level].directory, name, flags, Mode::empty());
        // Reading a source should not write to it; only the owner and root may ask for that.
        let opened = match open(flags | OFlags::NOATIME) {
            Err(Errno::PERM) => open(flags),
            opened => opened,
        };
        let fd = match opened {
            Err(Errno::NOENT | Errno::LOOP | Errno::NXIO) => return Ok(self.vanished(&path)),
            Err(errno) if self.source.unreadable == Unreadable::Skip => {
                let why = std::io::Error::from(errno);
                self.note(
                    &path,
                    &format!("cannot be read ({why}); it is not in the image"),
                );
                return Ok(None);
            }
            fd => fd.map_err(|errno| failed("open", &path, errno))?,
        };
        let stat = rustix::fs::fstat(&fd).map_err(|errno| failed("look at", &path, errno))?;
        if FileType::from_raw_mode(stat.st_mode) != expected {
            return Ok(self.vanished(&path));
        }
        if expected == FileType::Directory {
            let device = self.open[level].device;
            return self.directory(path, fd, &stat, device).map(Some);
        }
        let xattrs = self.read_xattrs(Of::Open(fd.as_fd()), &path)?;
        let kind = if emptied {
            Kind::File {
                size: 0,
                content: Box::new(Vec::new()),
            }
        } else {
            Kind::File {
                size: stat.st_size as u64,
                content: Box::new(DiskFile::new(File::from(fd), stat)),
            }
        };
        Ok(Some(entry(path, &stat, xattrs, kind)))
    }

    fn directory(
        &mut self,
        path: Vec<u8>,
        fd: OwnedFd,
        stat: &Stat,
        device: u64,
    ) -> Result<Entry, Error> {
        let xattrs = self.read_xattrs(Of::Open(fd.as_fd()), &path)?;
        if !self.source.enters(&path, device, stat.st_dev) {
            return Ok(self.mount_point(path, stat));
        }
        let names = list(&fd).map_err(|errno| failed("list", &path, errno))?;
        self.open.push(Level {
            directory: fd,
            path: path.clone(),
            device: stat.st_dev,
            names,
        });
        Ok(entry(path, stat, xattrs, Kind::Directory))
    }

    /// A directory on which something else is mounted. It is not opened: that could mount it first, or hang.
    fn mount_point(&self, path: Vec<u8>, stat: &Stat) -> Entry {
        if !self.is_left_empty(&path) {
            self.note(
                &path,
                "is another file system; its content is not in the image (--with-mount puts it in)",
            );
        }
        entry(path, stat, Vec::new(), Kind::Directory)
    }

    /// A name that is not opened: opening a device or a pipe does things.
    fn unopened(
        &mut self,
        level: usize,
        name: &CStr,
        path: Vec<u8>,
        stat: &Stat,
    ) -> Result<Option<Entry>, Error> {
        let number = DeviceNumber {
            major: rustix::fs::major(stat.st_rdev),
            minor: rustix::fs::minor(stat.st_rdev),
        };
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Symlink => {
                let directory = &self.open[level].directory;
                match rustix::fs::readlinkat(directory, name, Vec::new()) {
                    Err(Errno::NOENT | Errno::INVAL) => return Ok(self.vanished(&path)),
                    target => Kind::Symlink(
                        target
                            .map_err(|errno| failed("read", &path, errno))?
                            .into_bytes(),
                    ),
                }
            }
            FileType::BlockDevice => Kind::BlockDevice(number),
            FileType::CharacterDevice => Kind::CharDevice(number),
            FileType::Fifo => Kind::Fifo,
            FileType::Socket => Kind::Socket,
            _ => {
                self.note(&path, "is of a kind that an image cannot hold");
                return Ok(None);
            }
        };
        let full = self.source.path.join(OsStr::from_bytes(&path));
        let xattrs = match self.xattrs.read(Of::Name(&full)) {
            Err(Errno::NOENT) => return Ok(self.vanished(&path)),
            xattrs => xattrs.map_err(|errno| failed("read the attributes of", &path, errno))?,
        };
        Ok(Some(entry(path, stat, xattrs, kind)))
    }

    fn read_xattrs(&mut self, of: Of<'_>, path: &[u8]) -> Result<Vec<Xattr>, Error> {
        let xattrs = self.xattrs.read(of);
        xattrs.map_err(|errno| failed("read the attributes of", path, errno))
    }

    fn vanished(&self, path: &[u8]) -> Option<Entry> {
        self.note(
            path,
            "vanished while the source was read; it is not in the image",
        );
        None
    }

    fn note(&self, path: &[u8], what: &str) {
        self.progress
            .note(&format!("{} {what}", crate::squash::shown(path)));
    }

    /// Whether the rules leave out whatever is in this directory.
    fn is_left_empty(&self, path: &[u8]) -> bool {
        let inside = below(path, c"x");
        matches!(self.source.rules.judge(&inside, None), Verdict::LeaveOut(_))
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if !self.started {
            self.started = true;
            return Some(self.root());
        }
        loop {
            let level = self.open.len().checked_sub(1)?;
            let Some(name) = self.open[level].names.pop() else {
                self.open.pop();
                continue;
            };
            if let Some(entry) = self.visit(level, &name).transpose() {
                return Some(entry);
            }
        }
    }
}

/// The names in a directory, last first.
pub(super) fn list(directory: &OwnedFd) -> rustix::io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for item in Dir::read_from(directory)? {
        let item = item?;
        let name = item.file_name();
        if name != c"." && name != c".." {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable_by(|a, b| b.cmp(a));
    Ok(names)
}

pub(super) fn nature(stat: &Stat) -> Nature {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Nature::Directory,
        FileType::RegularFile => Nature::File,
        _ => Nature::Other,
    }
}

pub(super) fn below(directory: &[u8], name: &CStr) -> Vec<u8> {
    let name = name.to_bytes();
    let mut path = Vec::with_capacity(directory.len() + 1 + name.len());
    if !directory.is_empty() {
        path.extend_from_slice(directory);
        path.push(b'/');
    }
    path.extend_from_slice(name);
    path
}

fn entry(path: Vec<u8>, stat: &Stat, xattrs: Vec<Xattr>, kind: Kind) -> Entry {
    Entry {
        path,
        mode: (stat.st_mode & 0o7777) as u16,
        uid: stat.st_uid,
        gid: stat.st_gid,
        mtime: stat.st_mtime,
        xattrs,
        linked: false,
        kind,
    }
}

pub(super) fn failed(action: &'static str, path: &[u8], errno: Errno) -> Error {
    Error::Io {
        action,
        path: crate::squash::shown(path),
        cause: errno.into(),
    }
}
