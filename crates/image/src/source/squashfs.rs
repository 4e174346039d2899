//! An existing squashfs image as a layer.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use squashfs::{Archive, Caches, Inode, InodeKind, InodeRef, ReadAt};

use super::Error;
use super::gathered::{Gathering, Layer};
use super::listing::{Body, Meta};
use super::window::Disk;
use crate::entry::{Content, DeviceNumber, Xattr};
use crate::squash::shown;

/// Levels of directories: what a path of 4096 bytes can have.
const DEPTH: usize = 2048;

/// A squashfs image. A file's token is where its inode is.
pub(super) struct Image {
    name: String,
    archive: Arc<Archive>,
}

impl Image {
    pub(super) fn open(name: String, disk: Disk) -> Result<Self, Error> {
        // One thread reads in the order of names: little is read twice.
        let caches = Caches::new(4 << 20, 4 << 20);
        let archive = Archive::open(disk, &caches).map_err(|error| broken(&name, &error))?;
        let archive = Arc::new(archive);
        Ok(Self { name, archive })
    }

    /// The file at `path`, if there is one, as a disk of its own.
    pub(super) fn file(&self, path: &str) -> Result<Option<Disk>, Error> {
        let inode = self.archive.resolve(path.as_bytes(), true);
        let inode = inode.map_err(|error| broken(&self.name, &error))?;
        let archive = Arc::clone(&self.archive);
        Ok(inode
            .filter(|inode| inode.kind == InodeKind::File)
            .map(|inode| Arc::new(Inside { archive, inode }) as Disk))
    }

    fn meta(&self, inode: &Inode) -> Result<Meta, squashfs::Error> {
        let xattrs = self.archive.xattrs(inode)?.into_iter();
        let mut xattrs: Vec<_> = xattrs
            .map(|squashfs::Xattr { name, value }| Xattr { name, value })
            .collect();
        xattrs.sort();
        Ok(Meta {
            mode: inode.mode,
            uid: inode.uid,
            gid: inode.gid,
            mtime: inode.mtime.into(),
            xattrs: xattrs.into(),
        })
    }

    fn body(&self, inode: &Inode, gathering: &Gathering<'_>) -> Result<Body, squashfs::Error> {
        let device = || {
            let (major, minor) = inode.device().unwrap_or_default();
            DeviceNumber { major, minor }
        };
        Ok(match inode.kind {
            InodeKind::Directory => Body::empty_directory(),
            InodeKind::File => gathering.file(inode.size, inode.reference.0),
            InodeKind::Symlink => Body::Symlink(self.archive.symlink_target(inode)?.into()),
            InodeKind::BlockDevice => Body::BlockDevice(device()),
            InodeKind::CharDevice => Body::CharDevice(device()),
            InodeKind::Fifo => Body::Fifo,
            InodeKind::Socket => Body::Socket,
        })
    }
}

impl Layer for Image {
    fn list(&mut self, gathering: &mut Gathering<'_>) -> Result<(), Error> {
        let failed = |error: squashfs::Error| broken(&self.name, &error);
        let root = self.archive.root().map_err(failed)?;
        let meta = self.meta(&root).map_err(failed)?;
        gathering.put(b"", meta, Body::empty_directory())?;
        // The first path of each inode that has several.
        let mut linked: HashMap<u32, Vec<u8>> = HashMap::new();
        for entry in self.archive.walk(&root, DEPTH) {
            if gathering.stop.load(Ordering::Relaxed) {
                return Err(Error::Stopped);
            }
            let entry = entry.map_err(failed)?;
            let (path, inode) = (entry.path, entry.inode);
            let named = |error: squashfs::Error| Error::Broken {
                name: format!("{}: {}", self.name, shown(&path)),
                what: error.to_string(),
            };
            if inode.nlink > 1 && inode.kind != InodeKind::Directory {
                if let Some(first) = linked.get(&inode.number) {
                    gathering.link(&path, first)?;
                    continue;
                }
                linked.insert(inode.number, path.clone());
            }
            let meta = self.meta(&inode).map_err(named)?;
            let body = self.body(&inode, gathering).map_err(named)?;
            gathering.put(&path, meta, body)?;
        }
        Ok(())
    }

    fn open(&self, token: u64, _size: u64, path: &[u8]) -> Result<Box<dyn Content>, Error> {
        let inode = self.archive.inode(InodeRef(token));
        let inode = inode.map_err(|error| Error::Broken {
            name: format!("{}: {}", self.name, shown(path)),
            what: error.to_string(),
        })?;
        let archive = Arc::clone(&self.archive);
        Ok(Box::new(Inside { archive, inode }))
    }
}

/// A file in an image.
struct Inside {
    archive: Arc<Archive>,
    inode: Inode,
}

impl ReadAt for Inside {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut bytes = Vec::with_capacity(buf.len());
        let read = self
            .archive
            .read(&self.inode, offset, buf.len(), &mut bytes);
        let count = read.map_err(io::Error::other)?;
        buf[..count].copy_from_slice(&bytes);
        Ok(count)
    }

    fn len(&self) -> u64 {
        self.inode.size
    }
}

impl Content for Inside {
    fn read_at(&mut self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        ReadAt::read_at(self, buf, offset)
    }
}

fn broken(name: &str, error: &squashfs::Error) -> Error {
    Error::Broken {
        name: name.to_owned(),
        what: error.to_string(),
    }
}
