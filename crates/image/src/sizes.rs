//! How much is where: the largest directories.

use std::collections::BTreeMap;

/// Directories are told apart this many names deep.
const DEPTH: usize = 3;

/// What is below one directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Regular files.
    pub files: u64,
    /// What they hold, in bytes.
    pub bytes: u64,
    /// What they take in the image, in bytes; 0 where that is not known.
    pub packed: u64,
}

/// Sizes of the directories up to three names deep, each with everything below it.
///
/// ```
/// use image::sizes::Sizes;
/// let mut sizes = Sizes::default();
/// sizes.add(b"usr/lib/x86_64-linux-gnu/perl/5.36/File/a.so", 100, 40);
/// sizes.add(b"usr/bin/b", 50, 20);
/// let largest: Vec<_> = sizes.largest(2).into_iter().map(|(path, size)| (path, size.bytes)).collect();
/// assert_eq!(largest, [("usr".to_owned(), 150), ("usr/lib/x86_64-linux-gnu".to_owned(), 100)]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    directories: BTreeMap<Vec<u8>, Size>,
}

impl Sizes {
    /// Counts a file of `bytes` that takes `packed` of the image.
    pub fn add(&mut self, path: &[u8], bytes: u64, packed: u64) {
        let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        for (end, _) in slashes.take(DEPTH) {
            if !self.directories.contains_key(&path[..end]) {
                self.directories
                    .insert(path[..end].to_vec(), Size::default());
            }
            if let Some(size) = self.directories.get_mut(&path[..end]) {
                size.files += 1;
                size.bytes += bytes;
                size.packed += packed;
            }
        }
    }

    /// The `count` largest, by what they take in the image if that is known. A directory that holds nearly
    /// nothing but one directory is left out in favour of that one.
    pub fn largest(&self, count: usize) -> Vec<(String, Size)> {
        let weight = |size: &Size| (size.packed, size.bytes);
        let is_wrapping = |path: &[u8], size: &Size| {
            self.directories.iter().any(|(child, below)| {
                let name = child
                    .strip_prefix(path)
                    .and_then(|rest| rest.strip_prefix(b"/"));
                name.is_some() && below.bytes.saturating_mul(100) > size.bytes.saturating_mul(98)
            })
        };
        let mut all: Vec<_> = self.directories.iter().collect();
        all.sort_by_key(|(_, size)| std::cmp::Reverse(weight(size)));
        all.into_iter()
            .filter(|(path, size)| !is_wrapping(path, size))
            .take(count)
            .map(|(path, size)| (String::from_utf8_lossy(path).into_owned(), *size))
            .collect()
    }
}
