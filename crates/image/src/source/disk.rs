//! The disk of a virtual machine as a layer: its root partition is found and read in place.

use std::collections::{HashMap, HashSet};
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Error;
use super::archive::failed;
use super::gathered::{Gathering, Layer};
use super::listing::{Body, Meta};
use super::window::{Disk, Window, read_exact};
use crate::entry::Content;
use crate::ext4::{self, Ext4, Inode, Kind, ROOT};
use crate::partition::{self, Partition};
use crate::squash::shown;

/// A file system of ext2, ext3 or ext4. A file's token is the number of its inode.
pub(super) struct FileSystem {
    name: String,
    ext4: Arc<Ext4>,
}

impl FileSystem {
    /// The file system that `disk` is.
    pub(super) fn open(name: String, disk: Disk) -> Result<Self, Error> {
        let ext4 = Ext4::open(disk).map_err(|error| broken(&name, &error))?;
        let ext4 = Arc::new(ext4);
        Ok(Self { name, ext4 })
    }

    /// The root of the system on `disk`: the partition that was asked for, else the one that holds a system, or
    /// the whole disk when it has no partitions. Answers what was taken as well.
    pub(super) fn find(
        name: &str,
        disk: &Disk,
        asked: Option<u32>,
    ) -> Result<(Self, String), Error> {
        let table = partition::read(&**disk).map_err(|cause| failed(name, cause))?;
        let whole = head(&**disk);
        let table = match table {
            Some(table) if !Ext4::is_likely(&whole) || asked.is_some() => table,
            _ if asked.is_some() => return Err(refused(name, "has no partitions")),
            _ => {
                let system = Self::open(name.to_owned(), Arc::clone(disk))?;
                return Ok((system, "disk without partitions".to_owned()));
            }
        };
        let wanted = |partition: &&Partition| match asked {
            Some(number) => partition.number == number,
            None => Ext4::is_likely(&head(&window(disk, partition))),
        };
        let candidates: Vec<_> = table.iter().filter(wanted).collect();
        let taken = |partition: &Partition| {
            let named = format!("{name}, partition {}", partition.number);
            let system = Self::open(named, Arc::new(window(disk, partition)));
            system.map(|system| (system, format!("disk, partition {}", partition.number)))
        };
        match &candidates[..] {
            [one] => return taken(one),
            [] => {
                let what = match asked {
                    Some(number) => format!("has no partition {number}: {}", listed(disk, &table)),
                    None => format!(
                        "has no partition that can be read (ext2, ext3 or ext4): {}",
                        listed(disk, &table)
                    ),
                };
                return Err(refused(name, &what));
            }
            _ => {}
        }
        // Several: the one with a system in it.
        let mut systems = Vec::new();
        for candidate in &candidates {
            let (system, description) = taken(candidate)?;
            if system.has_system()? {
                systems.push((system, description));
            }
        }
        match (systems.pop(), systems.is_empty()) {
            (Some(system), true) => Ok(system),
            _ => Err(refused(
                name,
                &format!(
                    "has several partitions that may be the root, name it with --partition: {}",
                    listed(disk, &table)
                ),
            )),
        }
    }

    /// Whether there are `/etc` and `/usr`.
    fn has_system(&self) -> Result<bool, Error> {
        let root = self.ext4.inode(ROOT).and_then(|root| self.ext4.list(&root));
        let names = root.map_err(|error| broken(&self.name, &error))?;
        let has = |wanted: &[u8]| names.iter().any(|name| name.name == wanted);
        Ok(has(b"etc") && has(b"usr"))
    }

    /// Hands out one entry.
    fn take(&self, path: &[u8], inode: &Inode, gathering: &mut Gathering<'_>) -> Result<(), Error> {
        let read = || -> Result<_, ext4::Error> {
            let meta = Meta {
                mode: inode.mode,
                uid: inode.uid,
                gid: inode.gid,
                mtime: inode.mtime,
                xattrs: self.ext4.xattrs(inode)?.into(),
            };
            let body = match inode.kind {
                Kind::Directory => Body::empty_directory(),
                Kind::File => gathering.file(inode.size, inode.number.into()),
                Kind::Symlink => Body::Symlink(self.ext4.target(inode)?.into()),
                Kind::BlockDevice(number) => Body::BlockDevice(number),
                Kind::CharDevice(number) => Body::CharDevice(number),
                Kind::Fifo => Body::Fifo,
                Kind::Socket => Body::Socket,
            };
            Ok((meta, body))
        };
        let read = read();
        let name = || format!("{}: {}", self.name, shown(path));
        let (meta, body) = read.map_err(|error| broken(&name(), &error))?;
        gathering.put(path, meta, body).map(drop)
    }
}

impl Layer for FileSystem {
    fn list(&mut self, gathering: &mut Gathering<'_>) -> Result<(), Error> {
        let root = self
            .ext4
            .inode(ROOT)
            .map_err(|error| broken(&self.name, &error))?;
        if root.kind != Kind::Directory {
            return Err(refused(&self.name, "its root is not a directory"));
        }
        let mut linked: HashMap<u32, Vec<u8>> = HashMap::new();
        let mut entered = HashSet::from([ROOT]);
        self.take(b"", &root, gathering)?;
        let mut todo = vec![(Vec::new(), root)];
        while let Some((folder, inode)) = todo.pop() {
            let named = |path: &[u8], error: &ext4::Error| {
                broken(&format!("{}: {}", self.name, shown(path)), error)
            };
            let names = self
                .ext4
                .list(&inode)
                .map_err(|error| named(&folder, &error))?;
            for name in names {
                if gathering.stop.load(Ordering::Relaxed) {
                    return Err(Error::Stopped);
                }
                let mut path = folder.clone();
                if !path.is_empty() {
                    path.push(b'/');
                }
                path.extend_from_slice(&name.name);
                if let Some(first) = linked.get(&name.inode) {
                    gathering.link(&path, first)?;
                    continue;
                }
                let inode = self
                    .ext4
                    .inode(name.inode)
                    .map_err(|error| named(&path, &error))?;
                if inode.kind == Kind::Directory {
                    if !entered.insert(inode.number) {
                        let why = "a directory with two places in the tree".to_owned();
                        let path = shown(&path);
                        return Err(Error::Entry { path, why });
                    }
                } else if inode.links > 1 {
                    linked.insert(inode.number, path.clone());
                }
                self.take(&path, &inode, gathering)?;
                if inode.kind == Kind::Directory {
                    todo.push((path, inode));
                }
            }
        }
        Ok(())
    }

    fn open(&self, token: u64, _size: u64, path: &[u8]) -> Result<Box<dyn Content>, Error> {
        let named = |error: ext4::Error| broken(&format!("{}: {}", self.name, shown(path)), &error);
        let inode = self.ext4.inode(token as u32).map_err(named)?;
        let file = self.ext4.content(&inode).map_err(named)?;
        let ext4 = Arc::clone(&self.ext4);
        Ok(Box::new(OnDisk { ext4, file }))
    }
}

/// A file on the disk.
struct OnDisk {
    ext4: Arc<Ext4>,
    file: ext4::File,
}

impl Content for OnDisk {
    fn read_at(&mut self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let read = self.file.read_at(&self.ext4, buf, offset);
        read.map_err(io::Error::other)
    }

    fn data_after(&mut self, offset: u64) -> Option<Range<u64>> {
        self.file.data_after(&self.ext4, offset)
    }
}

/// The partitions, each with what is in it.
fn listed(disk: &Disk, table: &[Partition]) -> String {
    let described = table.iter().map(|partition| {
        let size = partition.length / 1_000_000;
        let what = nature(&head(&window(disk, partition)));
        format!("{} ({what}, {size} MB)", partition.number)
    });
    let described: Vec<_> = described.collect();
    match described.is_empty() {
        true => "the table is empty".to_owned(),
        false => described.join(", "),
    }
}

/// What a partition with this beginning holds.
fn nature(head: &[u8]) -> &'static str {
    let at = |place: usize, magic: &[u8]| head.get(place..).is_some_and(|h| h.starts_with(magic));
    if Ext4::is_likely(head) {
        return "ext4";
    }
    for (place, magic, name) in [
        (0, b"XFSB".as_slice(), "XFS, which is not read"),
        (0x10040, b"_BHRfS_M", "btrfs, which is not read"),
        (0, b"LUKS\xba\xbe", "LUKS: encrypted"),
        (0x200, b"LABELONE", "LVM, which is not read"),
        (0xff6, b"SWAPSPACE2", "swap"),
        (3, b"NTFS    ", "NTFS"),
        (0x52, b"FAT32", "FAT"),
        (0x36, b"FAT", "FAT"),
        (0, b"hsqs", "squashfs"),
        (0x400, b"\x10\x20\xf5\xf2", "F2FS, which is not read"),
    ] {
        if at(place, magic) {
            return name;
        }
    }
    "something else"
}

/// As much of a partition as tells what it is; less where it is shorter.
fn head(disk: &dyn squashfs::ReadAt) -> Vec<u8> {
    let length = disk.len().min(0x10048) as usize;
    let mut head = vec![0; length];
    match read_exact(disk, &mut head, 0) {
        Ok(()) => head,
        Err(_) => Vec::new(), // whoever reads the partition itself says why
    }
}

fn window(disk: &Disk, partition: &Partition) -> Window {
    Window {
        disk: Arc::clone(disk),
        start: partition.start,
        length: partition.length,
    }
}

fn broken(name: &str, error: &ext4::Error) -> Error {
    refused(name, &error.to_string())
}

fn refused(name: &str, what: &str) -> Error {
    Error::Broken {
        name: name.to_owned(),
        what: what.to_owned(),
    }
}
