//! Going through a whole tree.

use std::collections::HashSet;

use crate::archive::Archive;
use crate::directory::ReadDir;
use crate::error::Error;
use crate::inode::{Inode, InodeKind};

/// What a walk comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalkEntry {
    /// The path from where the walk began, without a slash in front: `etc/passwd`.
    pub path: Vec<u8>,
    /// What is there.
    pub inode: Inode,
}

impl Archive {
    /// Goes through everything below `dir`, each directory before what it holds, names in order.
    ///
    /// At most `depth` levels down; a directory at a deeper level ends the walk with
    /// [`Error::TooDeep`]. A directory that is met twice, which no sound image has, ends it too.
    pub fn walk(&self, dir: &Inode, depth: usize) -> Walk<'_> {
        Walk {
            archive: self,
            limit: depth,
            seen: HashSet::from([dir.number]),
            start: Some(dir.clone()),
            levels: Vec::new(),
            path: Vec::new(),
        }
    }
}

/// Goes through a tree; made by [`Archive::walk`]. Ends after the first error.
pub struct Walk<'a> {
    archive: &'a Archive,
    limit: usize,
    /// Numbers of the directories met.
    seen: HashSet<u32>,
    /// Where to begin, until begun.
    start: Option<Inode>,
    levels: Vec<Level<'a>>,
    path: Vec<u8>,
}

struct Level<'a> {
    entries: ReadDir<'a>,
    /// Length of the directory's own path.
    path_len: usize,
}

impl Walk<'_> {
    fn step(&mut self) -> Result<Option<WalkEntry>, Error> {
        if let Some(start) = self.start.take() {
            self.enter(&start)?;
        }
        loop {
            let Some(level) = self.levels.last_mut() else {
                return Ok(None);
            };
            self.path.truncate(level.path_len);
            let Some(entry) = level.entries.next().transpose()? else {
                self.levels.pop();
                continue;
            };
            if !self.path.is_empty() {
                self.path.push(b'/');
            }
            self.path.extend_from_slice(&entry.name);
            let inode = self.archive.inode(entry.inode)?;
            if inode.kind == InodeKind::Directory {
                if !self.seen.insert(inode.number) {
                    return Err(Error::corrupt(
                        crate::Table::Directories,
                        self.archive.superblock().directories,
                        "a directory with two places in the tree",
                    ));
                }
                self.enter(&inode)?;
            }
            return Ok(Some(WalkEntry {
                path: self.path.clone(),
                inode,
            }));
        }
    }

    fn enter(&mut self, dir: &Inode) -> Result<(), Error> {
        if self.levels.len() >= self.limit {
            return Err(Error::TooDeep {
                number: dir.number,
                limit: self.limit,
            });
        }
        self.levels.push(Level {
            entries: self.archive.read_dir(dir)?,
            path_len: self.path.len(),
        });
        Ok(())
    }
}

impl Iterator for Walk<'_> {
    type Item = Result<WalkEntry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let result = self.step();
        if result.is_err() {
            self.levels.clear();
        }
        result.transpose()
    }
}
