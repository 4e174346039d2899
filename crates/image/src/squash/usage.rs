//! How much of the image each directory takes.

use std::io::Write;

use super::blocks::{Extent, STORED, Stored};
use super::tree::{Body, InodeId, Tree};
use crate::sizes::Sizes;

/// What is below each directory. Content that several files share, and a file of several names, counts where
/// it comes first; a fragment block counts for each file as much of it as the file fills.
pub(super) fn sizes<W: Write>(tree: &Tree, stored: &Stored<W>) -> Sizes {
    let mut sizes = Sizes::default();
    if tree.len() == 0 {
        return sizes; // refused by whoever writes the tables
    }
    let mut inodes = vec![false; tree.len()];
    let mut extents = vec![false; stored.extents.len()];
    let mut directories: Vec<(InodeId, Vec<u8>)> = vec![(0, Vec::new())];
    while let Some((id, mut path)) = directories.pop() {
        let Body::Directory(directory) = &tree.inode(id).body else {
            continue;
        };
        let length = path.len();
        for (name, child) in tree.children(directory) {
            if std::mem::replace(&mut inodes[child as usize], true) {
                continue;
            }
            path.truncate(length);
            path.extend_from_slice(name);
            match &tree.inode(child).body {
                Body::Directory(_) => directories.push((child, [&path, b"/".as_slice()].concat())),
                Body::File(extent) => {
                    let (it, words) = stored.extent(*extent);
                    let packed = match std::mem::replace(&mut extents[*extent as usize], true) {
                        true => 0,
                        false => packed(it, words, stored),
                    };
                    sizes.add(&path, it.size, packed);
                }
                _ => {}
            }
        }
    }
    sizes
}

fn packed<W: Write>(extent: &Extent, words: &[u32], stored: &Stored<W>) -> u64 {
    let blocks: u64 = words.iter().map(|word| u64::from(word & !STORED)).sum();
    let whole: u64 = words.len() as u64 * stored.block_size;
    let tail = extent.size.saturating_sub(whole);
    let share = extent.fragment.map_or(0, |fragment| {
        let (packed, raw) = stored.fragments.lengths(fragment.block);
        tail * packed / raw.max(1)
    });
    blocks + share
}
