//! Directory listings: of the namespace, and of what is in an image.

use nfs::{DirEntry, Status};
use squashfs::{Inode, InodeKind, InodeRef};

use super::fs::{ExportFs, Node, inode_at};
use super::namespace::{self, Directory, Target};
use super::snapshot::{ExportSnapshot, ExportedGeneration};
use super::tree;

/// Cookies behind "." and "..".
const DOT: u64 = 1;
const DOT_DOT: u64 = 2;

impl ExportFs {
    /// Lists a directory of the namespace from `cookie` on.
    pub(super) fn list_namespace(
        &self,
        snapshot: &ExportSnapshot,
        directory: &Directory,
        cookie: u64,
        visit: &mut dyn FnMut(DirEntry<'_>) -> bool,
        plus: bool,
    ) -> Result<bool, Status> {
        let dots = [
            (DOT, ".", Target::Directory(directory.path)),
            (DOT_DOT, "..", Target::Directory(directory.parent)),
        ];
        let entries = directory
            .entries
            .iter()
            .map(|entry| (entry.cookie, entry.name.as_str(), entry.target));
        for (at, name, target) in dots.into_iter().chain(entries) {
            if at <= cookie {
                continue;
            }
            // A folder that is not there is shown all the same.
            let node = self.target(snapshot, target).ok();
            let attributes = node.as_ref().and_then(|node| node.attributes().ok());
            let room = visit(DirEntry {
                fileid: attributes
                    .map_or_else(|| namespace::number(&[name.as_bytes()]), |a| a.fileid),
                name: name.as_bytes(),
                cookie: at,
                handle: node.filter(|_| plus).map(|node| self.handle(&node)),
                attributes: attributes.filter(|_| plus),
            });
            if !room {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Lists a directory of a generation's tree from `cookie` on.
    pub(super) fn list_tree(
        &self,
        generation: &ExportedGeneration,
        dir: InodeRef,
        cookie: u64,
        visit: &mut dyn FnMut(DirEntry<'_>) -> bool,
        plus: bool,
    ) -> Result<bool, Status> {
        let failed = |error| tree::failed(generation, &error);
        let dir = inode_at(generation, dir)?;
        let mut show = |name: &[u8], cookie, number: u32, place, inode: Option<&Inode>| {
            visit(DirEntry {
                fileid: number.into(),
                name,
                cookie,
                handle: plus.then(|| self.handle(&Node::Tree(generation, place))),
                attributes: inode.map(|inode| tree::attributes(generation, inode)),
            })
        };
        if dir.kind != InodeKind::Directory {
            return Err(Status::NotDir);
        }
        if cookie < DOT && !show(b".", DOT, dir.number, dir.reference, plus.then_some(&dir)) {
            return Ok(false);
        }
        if cookie < DOT_DOT {
            // Where an image is so damaged that the way up is lost, the rest is still shown.
            let parent = generation.archive.parent(&dir);
            let parent = parent.as_ref().unwrap_or(&dir);
            let inode = plus.then_some(parent);
            if !show(b"..", DOT_DOT, parent.number, parent.reference, inode) {
                return Ok(false);
            }
        }
        let first = cookie.saturating_sub(DOT_DOT);
        let entries = generation.archive.read_dir_from(&dir, first);
        for entry in entries.map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let cookie = DOT_DOT + entry.next;
            // An inode that cannot be read does not hide its neighbours: it is shown without
            // attributes, and whoever looks it up is told.
            let inode = plus.then(|| generation.archive.inode(entry.inode).ok());
            let inode = inode.flatten();
            if !show(
                &entry.name,
                cookie,
                entry.number,
                entry.inode,
                inode.as_ref(),
            ) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
