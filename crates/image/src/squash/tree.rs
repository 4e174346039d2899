//! The names and inodes of the image, gathered as the source hands them out.
//!
//! Small on purpose: a root of 200 000 files has to fit into a few tens of megabytes, so names lie in one
//! long vector and everything refers by number.

use std::collections::HashMap;

use super::blocks::ExtentId;
use super::error::{Error, shown};
use crate::entry::DeviceNumber;

/// The longest name: what Linux allows.
const NAME_LIMIT: usize = 255;
/// The longest target of a symbolic link: what Linux allows, and kernels refuse more.
const SYMLINK_LIMIT: usize = 4095;
/// "No such name."
const NONE: u32 = u32::MAX;

/// Which inode; its number in the image is one more.
pub(super) type InodeId = u32;

/// What an inode is.
pub(super) enum Body {
    Directory(Directory),
    File(ExtentId),
    Symlink(Box<[u8]>),
    BlockDevice(u32),
    CharDevice(u32),
    Fifo,
    Socket,
}

/// A directory: its names are a chain.
pub(super) struct Directory {
    pub(super) parent: InodeId,
    /// Names of directories in it.
    pub(super) directories: u32,
    first: u32,
    last: u32,
}

/// What belongs to a file and not to its name.
pub(super) struct Inode {
    pub(super) mode: u16,
    /// Places in the id table.
    pub(super) uid: u16,
    pub(super) gid: u16,
    pub(super) mtime: u32,
    /// Place in the xattr table.
    pub(super) xattrs: u32,
    /// Names of it. A directory's is not counted here.
    pub(super) links: u32,
    pub(super) body: Body,
}

struct Name {
    begin: u32,
    length: u16,
    inode: InodeId,
    /// The next name of the same directory.
    next: u32,
}

#[derive(Default)]
pub(super) struct Tree {
    inodes: Vec<Inode>,
    names: Vec<Name>,
    bytes: Vec<u8>,
    /// The directories from the root to the one that is being filled, each with its path.
    open: Vec<(Vec<u8>, InodeId)>,
    /// Inodes of which other names may follow, by the first one's path.
    linkable: HashMap<Vec<u8>, InodeId>,
}

impl Tree {
    /// Adds an entry under a new inode.
    pub(super) fn add(&mut self, path: &[u8], mut inode: Inode) -> Result<InodeId, Error> {
        let id = self.inodes.len() as InodeId;
        if id == NONE - 1 {
            return Err(Error::Full("more than 2^32 - 2 files"));
        }
        if let Body::Symlink(target) = &inode.body
            && (target.is_empty() || target.len() > SYMLINK_LIMIT)
        {
            return Err(unfit(path, "a symbolic link's target has 1 to 4095 bytes"));
        }
        if path.is_empty() != self.inodes.is_empty() {
            return Err(order(path, "the root directory comes first, and once"));
        }
        let is_directory = matches!(inode.body, Body::Directory(_));
        if !path.is_empty() {
            let parent = self.name(path, id)?;
            if let Body::Directory(directory) = &mut inode.body {
                directory.parent = parent;
                self.directory_mut(parent).directories += 1;
            }
        } else if !is_directory {
            return Err(order(path, "the root is not a directory"));
        }
        if is_directory {
            self.open.push((path.to_vec(), id));
        }
        self.inodes.push(inode);
        Ok(id)
    }

    /// Other names of this entry may follow.
    pub(super) fn remember(&mut self, path: &[u8], inode: InodeId) {
        self.linkable.insert(path.to_vec(), inode);
    }

    /// Adds an entry that is another name of the one at `target`.
    pub(super) fn link(&mut self, path: &[u8], target: &[u8]) -> Result<(), Error> {
        let Some(&inode) = self.linkable.get(target) else {
            return Err(order(
                path,
                "it is another name of something that did not come before",
            ));
        };
        self.name(path, inode)?;
        self.inodes[inode as usize].links += 1;
        Ok(())
    }

    pub(super) fn inode(&self, id: InodeId) -> &Inode {
        &self.inodes[id as usize]
    }

    pub(super) fn len(&self) -> usize {
        self.inodes.len()
    }

    /// The names of a directory in order.
    pub(super) fn children(&self, directory: &Directory) -> impl Iterator<Item = (&[u8], InodeId)> {
        let mut next = directory.first;
        std::iter::from_fn(move || {
            let name = self.names.get(next as usize)?;
            next = name.next;
            Some((self.bytes_of(name), name.inode))
        })
    }

    /// Gives `path` to `inode` and answers the directory it is in.
    fn name(&mut self, path: &[u8], inode: InodeId) -> Result<InodeId, Error> {
        let (parent, name) = match path.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => (&path[..slash], &path[slash + 1..]),
            None => (&path[..0], path),
        };
        if matches!(name, b"" | b"." | b"..") || name.contains(&0) {
            return Err(order(path, "not a name"));
        }
        if name.len() > NAME_LIMIT {
            return Err(unfit(path, "a name has at most 255 bytes"));
        }
        while self.open.last().is_some_and(|(open, _)| open != parent) {
            self.open.pop();
        }
        let Some(&(_, directory)) = self.open.last() else {
            return Err(order(path, "its directory did not come right before"));
        };
        let last = self.directory_mut(directory).last;
        if let Some(last) = self.names.get(last as usize)
            && self.bytes_of(last) >= name
        {
            return Err(order(path, "names of a directory come sorted and once"));
        }
        let Ok(begin) = u32::try_from(self.bytes.len()) else {
            return Err(Error::Full("more than 4 GiB of names"));
        };
        let new = self.names.len() as u32;
        self.bytes.extend_from_slice(name);
        self.names.push(Name {
            begin,
            length: name.len() as u16,
            inode,
            next: NONE,
        });
        match self.names.get_mut(last as usize) {
            Some(last) => last.next = new,
            None => self.directory_mut(directory).first = new,
        }
        self.directory_mut(directory).last = new;
        Ok(directory)
    }

    fn bytes_of(&self, name: &Name) -> &[u8] {
        &self.bytes[name.begin as usize..][..usize::from(name.length)]
    }

    fn directory_mut(&mut self, id: InodeId) -> &mut Directory {
        match &mut self.inodes[id as usize].body {
            Body::Directory(directory) => directory,
            _ => unreachable!("only directories are ever opened"),
        }
    }
}

impl Directory {
    /// An empty directory. The root is its own parent until the tables are written.
    pub(super) fn new() -> Self {
        Self {
            parent: 0,
            directories: 0,
            first: NONE,
            last: NONE,
        }
    }
}

/// The form in which inodes hold a device number: the kernel's `new_encode_dev`.
pub(super) fn device(path: &[u8], number: DeviceNumber) -> Result<u32, Error> {
    let DeviceNumber { major, minor } = number;
    if major > 0xfff || minor > 0xf_ffff {
        return Err(unfit(path, "a device number has 12 + 20 bits"));
    }
    Ok(minor & 0xff | major << 8 | (minor & !0xff) << 12)
}

fn order(path: &[u8], why: &'static str) -> Error {
    Error::Order {
        path: shown(path),
        why,
    }
}

fn unfit(path: &[u8], why: &'static str) -> Error {
    Error::Unfit {
        path: shown(path),
        why,
    }
}
