//! The entries, as they are gathered.

use super::{OverlayEntry, OverlayKind};

/// Parents before children, each path once.
#[derive(Default)]
pub(super) struct Entries(pub(super) Vec<OverlayEntry>);

impl Entries {
    pub(super) fn file(&mut self, path: &str, text: String) {
        self.add(path, OverlayKind::File(text.into()), 0o644);
    }

    pub(super) fn link(&mut self, path: &str, target: &str) {
        self.add(path, OverlayKind::Symlink(target.to_owned()), 0o777);
    }

    pub(super) fn add(&mut self, path: &str, kind: OverlayKind, mode: u32) {
        self.owned(path, kind, mode, 0, 0);
    }

    /// Adds an entry, and before it the folders on its way that are not there yet.
    pub(super) fn owned(&mut self, path: &str, kind: OverlayKind, mode: u32, uid: u32, gid: u32) {
        for (end, _) in path.match_indices('/') {
            let parent = &path[..end];
            if !self.0.iter().any(|entry| entry.path == parent) {
                self.0.push(OverlayEntry {
                    path: parent.to_owned(),
                    kind: OverlayKind::Directory,
                    mode: 0o755,
                    uid: 0,
                    gid: 0,
                });
            }
        }
        self.put(OverlayEntry {
            path: path.to_owned(),
            kind,
            mode,
            uid,
            gid,
        });
    }

    /// Adds an entry as it is, in the place of an earlier one with its path. `init` makes folders
    /// that are missing on the way, and leaves those of the image as they are.
    pub(super) fn put(&mut self, entry: OverlayEntry) {
        match self.0.iter_mut().find(|known| known.path == entry.path) {
            Some(known) => *known = entry,
            None => self.0.push(entry),
        }
    }
}
