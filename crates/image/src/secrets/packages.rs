//! Which files are just as their package ships them.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;

use crate::tree::{Kind, Tree};

/// Where dpkg keeps checksums: one list for each package; in small containers the second.
const FOLDERS: [&str; 2] = ["var/lib/dpkg/info", "var/lib/dpkg/status.d"];
/// Settings are listed here, with the checksum of what the package shipped.
const STATUS: &str = "var/lib/dpkg/status";
/// A list is shorter than this, in bytes.
const LIST_MAX: u64 = 16 << 20;
/// Files known beyond this would only take memory.
const FILES_MAX: usize = 4_000_000;

pub(super) type Md5 = [u8; 16];

/// What dpkg knows of the files of a tree. A path is kept as a hash of 64 bits: what it is used for is
/// decided by the checksum.
#[derive(Default)]
pub(super) struct Packages {
    files: HashMap<u64, Md5>,
}

impl Packages {
    /// Reads the lists of a tree; none where no dpkg keeps any.
    pub(super) fn read(tree: &dyn Tree) -> io::Result<Self> {
        let mut packages = Self::default();
        for folder in FOLDERS {
            for name in tree.list_if_there(folder)? {
                if name.ends_with(".md5sums") {
                    packages.list(tree, &format!("{folder}/{name}"), |line| {
                        line.split_once("  ").map(|(md5, path)| (path, md5))
                    })?;
                }
            }
        }
        packages.list(tree, STATUS, |line| {
            let mut words = line.strip_prefix(" /")?.split(' ');
            Some((words.next()?, words.next()?))
        })?;
        Ok(packages)
    }

    fn list(
        &mut self,
        tree: &dyn Tree,
        path: &str,
        line: impl Fn(&str) -> Option<(&str, &str)>,
    ) -> io::Result<()> {
        if !matches!(tree.kind(path)?, Some(Kind::File(_))) {
            return Ok(());
        }
        let bytes = tree.read(path, LIST_MAX)?;
        for text in bytes.split(|byte| *byte == b'\n') {
            let found = std::str::from_utf8(text).ok().and_then(&line);
            if let Some((path, md5)) = found
                && let Some(md5) = unhex(md5)
                && self.files.len() < FILES_MAX
            {
                self.files.insert(key(path.as_bytes()), md5);
            }
        }
        Ok(())
    }

    /// Whether the package that the file at `path` belongs to ships it with this content.
    pub(super) fn ships(&self, path: &[u8], md5: &Md5) -> bool {
        self.files.get(&key(path)) == Some(md5)
    }
}

/// `/bin`, `/lib` and the like are in `/usr` now; packages and trees name them either way.
fn key(path: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    path.strip_prefix(b"usr/").unwrap_or(path).hash(&mut hasher);
    hasher.finish()
}

fn unhex(text: &str) -> Option<Md5> {
    let mut md5 = Md5::default();
    if text.len() != 32 {
        return None;
    }
    for (byte, pair) in md5.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(md5)
}
