//! What is in a generation's root, and how two of them differ.

use std::fmt;
use std::fs::File;
use std::io;
use std::iter::Peekable;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use squashfs::{Archive, Caches, Error, Inode, InodeKind, ReadAt, Walk, WalkEntry};

use crate::ROOT_FILE;
use crate::catalogue::Generation;

/// Directories are followed this deep.
const DEPTH: usize = 256;
/// File content is compared in pieces of this many bytes.
const PIECE: usize = 1 << 20;

/// A difference between two roots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The name, below the root.
    pub path: String,
    /// What happened to it.
    pub what: What,
    /// What the file holds before and after, in bytes; 0 for what is no regular file.
    pub bytes: (u64, u64),
}

/// What happened to a name from one root to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It holds something else, or is something else.
    Content,
    /// Only owner, group or mode are others.
    Attributes,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.what {
            What::Added => '+',
            What::Removed => '-',
            What::Content => 'M',
            What::Attributes => 'm',
        };
        write!(f, "{mark} {}", self.path)
    }
}

/// Opens the root of a generation.
///
/// # Errors
/// When it cannot be opened, or is no image that can be read.
pub fn open(generation: &Generation) -> io::Result<Archive> {
    let file = File::open(generation.folder.join(ROOT_FILE))?;
    let length = file.metadata()?.len();
    let source = Arc::new(Source { file, length });
    Archive::open(source, &Caches::new(4 << 20, 16 << 20)).map_err(io::Error::other)
}

struct Source {
    file: File,
    length: u64,
}

impl ReadAt for Source {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buf, offset)
    }

    fn len(&self) -> u64 {
        self.length
    }
}

/// Calls `change` for every name that is not the same in both, in order. Times are not looked at; content
/// is, byte by byte, where the lengths are the same.
///
/// # Errors
/// When one of the images is damaged.
pub fn diff(
    before: &Archive,
    after: &Archive,
    change: &mut dyn FnMut(Change),
) -> Result<(), Error> {
    let (root_a, root_b) = (before.root()?, after.root()?);
    let mut a = before.walk(&root_a, DEPTH).peekable();
    let mut b = after.walk(&root_b, DEPTH).peekable();
    loop {
        let order = match (peek(&mut a)?, peek(&mut b)?) {
            (None, None) => return Ok(()),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(a), Some(b)) => names(&a.path).cmp(names(&b.path)),
        };
        let old = if order.is_le() {
            a.next().transpose()?
        } else {
            None
        };
        let new = if order.is_ge() {
            b.next().transpose()?
        } else {
            None
        };
        let what = match (&old, &new) {
            (Some(old), Some(new)) => compare(before, &old.inode, after, &new.inode)?,
            (Some(_), None) => Some(What::Removed),
            _ => Some(What::Added),
        };
        let bytes =
            |entry: &Option<WalkEntry>| entry.as_ref().map_or(0, |entry| length(&entry.inode));
        if let Some(what) = what
            && let Some(entry) = old.as_ref().or(new.as_ref())
        {
            change(Change {
                path: crate::squash::shown(&entry.path),
                what,
                bytes: (bytes(&old), bytes(&new)),
            });
        }
    }
}

/// The order of a walk: a directory's content comes right after it.
fn names(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/')
}

fn peek<'p>(walk: &'p mut Peekable<Walk<'_>>) -> Result<Option<&'p WalkEntry>, Error> {
    if let Some(Err(_)) = walk.peek() {
        walk.next().transpose()?;
    }
    Ok(walk.peek().and_then(|entry| entry.as_ref().ok()))
}

fn length(inode: &Inode) -> u64 {
    match inode.kind {
        InodeKind::File => inode.size,
        _ => 0,
    }
}

fn compare(
    before: &Archive,
    old: &Inode,
    after: &Archive,
    new: &Inode,
) -> Result<Option<What>, Error> {
    let same = old.kind == new.kind
        && old.device() == new.device()
        && match old.kind {
            InodeKind::File => old.size == new.size && same_bytes(before, old, after, new)?,
            InodeKind::Symlink => before.symlink_target(old)? == after.symlink_target(new)?,
            _ => true,
        };
    let attributes = |inode: &Inode| (inode.mode, inode.uid, inode.gid);
    Ok(match same {
        false => Some(What::Content),
        true if attributes(old) != attributes(new) => Some(What::Attributes),
        true if before.xattrs(old)? != after.xattrs(new)? => Some(What::Attributes),
        true => None,
    })
}

fn same_bytes(before: &Archive, old: &Inode, after: &Archive, new: &Inode) -> Result<bool, Error> {
    let (mut a, mut b) = (Vec::new(), Vec::new());
    let mut offset = 0;
    while offset < old.size {
        a.clear();
        b.clear();
        let count = before.read(old, offset, PIECE, &mut a)?;
        after.read(new, offset, PIECE, &mut b)?;
        if a != b || count == 0 {
            return Ok(a == b);
        }
        offset += count as u64;
    }
    Ok(true)
}
