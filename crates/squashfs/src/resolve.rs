//! Paths, and the way up.

use std::collections::{HashSet, VecDeque};

use crate::archive::{Archive, lock};
use crate::error::Error;
use crate::inode::{Inode, InodeKind, InodeRef};

/// Symbolic links on one path, as Linux counts.
const MAX_LINKS: usize = 40;
/// Bytes of a path with all its links put in.
const MAX_PATH: usize = 64 << 10;
/// Directories that a search for a parent looks into, and that it remembers.
const MAX_SEARCH: usize = 64 << 10;

impl Archive {
    /// The inode that `path` leads to from the root; `None` if there is none.
    ///
    /// Symbolic links are followed inside the image, the last one only if `follow` says so; ".."
    /// never leads out of the root. An empty path is the root.
    ///
    /// # Errors
    /// [`Error::TooManyLinks`], or what is wrong with a directory on the way.
    pub fn resolve(&self, path: &[u8], follow: bool) -> Result<Option<Inode>, Error> {
        let mut todo: VecDeque<Vec<u8>> = components(path).collect();
        let mut above: Vec<Inode> = Vec::new();
        let mut here = self.root()?;
        let (mut links, mut bytes) = (0, path.len());
        while let Some(name) = todo.pop_front() {
            if here.kind != InodeKind::Directory {
                return Ok(None);
            }
            if name == b".." {
                here = above.pop().unwrap_or(here);
                continue;
            }
            let Some(found) = self.lookup(&here, &name)? else {
                return Ok(None);
            };
            let found = self.inode(found)?;
            if found.kind != InodeKind::Symlink || (todo.is_empty() && !follow) {
                above.push(std::mem::replace(&mut here, found));
                continue;
            }
            let target = self.symlink_target(&found)?;
            links += 1;
            bytes += target.len();
            if links > MAX_LINKS || bytes > MAX_PATH {
                return Err(Error::TooManyLinks);
            }
            if target.starts_with(b"/") {
                above.clear();
                here = self.root()?;
            }
            for name in components(&target).collect::<Vec<_>>().into_iter().rev() {
                todo.push_front(name);
            }
        }
        Ok(Some(here))
    }

    /// The directory that holds this one; the root holds itself.
    ///
    /// By the export table where there is one, else by a search that looks into at most 65 536
    /// directories and remembers them.
    ///
    /// # Errors
    /// [`Error::NotADirectory`], [`Error::NoParent`], or what is wrong on the way.
    pub fn parent(&self, dir: &Inode) -> Result<Inode, Error> {
        let Some(number) = dir.parent_number() else {
            return Err(Error::NotADirectory { number: dir.number });
        };
        let root = self.root()?;
        if dir.reference == root.reference || number == root.number {
            return Ok(root);
        }
        let place = match self.inode_ref(number)? {
            Some(place) => Some(place),
            None => self.search(number)?,
        };
        let parent = place.map(|place| self.inode(place)).transpose()?;
        parent
            .filter(|parent| parent.number == number && parent.kind == InodeKind::Directory)
            .ok_or(Error::NoParent { number: dir.number })
    }

    /// Where the directory with this number is, found by going through the tree, level by level.
    fn search(&self, number: u32) -> Result<Option<InodeRef>, Error> {
        if let Some(place) = lock(&self.directories).get(&number) {
            return Ok(Some(*place));
        }
        let mut seen = HashSet::new();
        let mut todo = VecDeque::from([self.root_ref()]);
        while let Some(place) = todo.pop_front() {
            for entry in self.read_dir(&self.inode(place)?)? {
                let entry = entry?;
                if entry.kind != InodeKind::Directory || !seen.insert(entry.number) {
                    continue;
                }
                lock(&self.directories).insert(entry.number, entry.inode);
                if entry.number == number {
                    return Ok(Some(entry.inode));
                }
                if seen.len() >= MAX_SEARCH {
                    return Ok(None);
                }
                todo.push_back(entry.inode);
            }
        }
        Ok(None)
    }
}

/// The names of a path, without the empty ones and ".".
fn components(path: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    path.split(|byte| *byte == b'/')
        .filter(|name| !name.is_empty() && *name != b".")
        .map(<[u8]>::to_vec)
}
