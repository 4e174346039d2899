//! How the image is laid out: small, padded, and the same every time.

use std::num::NonZeroUsize;
use std::ops::Range;

use image::digest::{Digester, PIECE};
use image::entry::Content;
use image::squash::{BlockSize, Options};

use crate::harness::{Tree, noise, options};

fn mixture() -> Tree {
    let mut tree = Tree::new().dir("d");
    for number in 0..200_usize {
        let content = match number % 3 {
            0 => noise(number as u64, number * 211),
            1 => b"compresses well ".repeat(number * 20),
            _ => noise(number as u64 / 9, 9000),
        };
        tree = tree
            .file(format!("d/{number:03}"), content)
            .xattr("user.n", vec![b'v'; number % 30]);
    }
    tree.link("z", "d/000")
}

#[test]
fn the_same_entries_make_the_same_bytes_on_any_number_of_threads() {
    for verity in [false, true] {
        let image = |threads| {
            let threads = NonZeroUsize::new(threads).expect("not zero");
            mixture()
                .write_with(&Options {
                    threads,
                    verity,
                    ..options()
                })
                .bytes
        };
        let one = image(1);
        assert!(one == image(2), "two threads");
        assert!(one == image(9), "nine threads");
        assert!(one == image(9), "nine threads again");
    }
}

#[test]
fn a_hash_tree_changes_nothing_before_it_and_is_true_of_images_of_any_size() {
    for kib in [0, 900, 1000, 1020, 1040, 2040, 2050, 3000] {
        let tree = || Tree::new().file("f", noise(1, kib << 10));
        let with = Options {
            verity: true,
            ..options()
        };
        let (plain, image) = (tree().write(), tree().write_with(&with));
        let verity = image.summary.verity.expect("a tree");
        let used = plain.archive().superblock().bytes_used as usize;
        assert!(plain.bytes[..used] == image.bytes[..used], "{kib} KiB");
        assert_eq!(verity.blocks as usize, used.div_ceil(4096), "{kib} KiB");
        assert_eq!(image.summary.bytes, image.bytes.len() as u64);
        let mut digester = Digester::new(PIECE as u32);
        digester.update(&image.bytes);
        assert_eq!(image.summary.digest, digester.finish());

        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), &*image.bytes).expect("written");
        let judged = std::process::Command::new("veritysetup")
            .arg("verify")
            .args([file.path(), file.path()])
            .arg(verity.digits())
            .arg(format!("--hash-offset={}", verity.blocks * 4096))
            .output()
            .expect("veritysetup(8) of package cryptsetup-bin is needed");
        assert!(judged.status.success(), "{kib} KiB: {judged:?}");
    }
}

#[test]
fn the_summary_tells_the_digest_and_length_of_the_image() {
    let image = mixture().write();
    assert_eq!(image.summary.bytes, image.bytes.len() as u64);
    assert_eq!(image.summary.bytes % 4096, 0);
    let mut digester = Digester::new(PIECE as u32);
    digester.update(&image.bytes);
    assert_eq!(image.summary.digest, digester.finish());
}

#[test]
fn the_summary_counts_inodes_files_and_bytes() {
    let summary = Tree::new()
        .dir("d")
        .file("d/f", "12345")
        .link("l", "d/f")
        .write()
        .summary;
    assert_eq!(
        (summary.inodes, summary.files, summary.file_bytes),
        (3, 1, 5)
    );
}

#[test]
fn equal_files_are_stored_once_whatever_their_length() {
    for length in [100, 4096, 100_000] {
        let one = Tree::new().file("a", noise(1, length)).write();
        let image = Tree::new()
            .file("a", noise(1, length))
            .file("b", noise(1, length))
            .write();
        assert_eq!(image.content("b"), noise(1, length));
        assert_eq!(image.bytes.len(), one.bytes.len(), "{length} bytes");
        assert_eq!(
            (image.summary.duplicates, image.summary.duplicate_bytes),
            (1, length as u64)
        );
    }
}

#[test]
fn files_that_only_begin_alike_stay_apart() {
    let mut other = noise(1, 100_000);
    other[99_999] ^= 1;
    let longer = noise(1, 100_001);
    let image = Tree::new()
        .file("a", noise(1, 100_000))
        .file("b", other.clone())
        .file("c", longer.clone())
        .file("d", other.clone())
        .write();
    assert_eq!(image.content("a"), noise(1, 100_000));
    assert_eq!(image.content("b"), other);
    assert_eq!(image.content("c"), longer);
    assert_eq!(image.content("d"), other);
    assert_eq!(image.summary.duplicates, 1);
}

#[test]
fn zeros_take_no_room_and_are_told_as_holes() {
    let mut content = vec![0; 1 << 20];
    content[500_000] = 1;
    let image = Tree::new().file("zeros", content.clone()).write();
    assert_eq!(image.bytes.len(), 4096);
    assert_eq!(image.content("zeros"), content);
    assert_eq!(image.inode("zeros").allocated(), 4096);
}

/// A terabyte of nothing, which would take minutes to read.
struct Hole;

impl Content for Hole {
    fn read_at(&mut self, _buf: &mut [u8], offset: u64) -> std::io::Result<usize> {
        panic!("read at {offset}: a hole is not to be read")
    }
    fn data_after(&mut self, _offset: u64) -> Option<Range<u64>> {
        None
    }
}

#[test]
fn holes_are_not_read() {
    let block_size = BlockSize::new(1 << 20).expect("a block size");
    let image = Tree::new()
        .promised("hole", 1 << 33, Hole)
        .write_with(&Options {
            block_size,
            ..options()
        });
    assert_eq!(image.inode("hole").size, 1 << 33);
    assert!(image.bytes.len() < 100_000);
}

#[test]
fn small_files_share_blocks() {
    let mut tree = Tree::new();
    for number in 0..1000 {
        tree = tree.file(format!("{number:04}"), format!("file {number}"));
    }
    assert!(tree.write().bytes.len() < 50_000);
}

#[test]
fn every_inode_is_found_by_its_number() {
    let image = mixture().write();
    let (archive, root) = (image.archive(), image.archive().root().expect("a root"));
    for entry in archive.walk(&root, 9) {
        let inode = entry.expect("a sound image").inode;
        let found = archive.inode_ref(inode.number).expect("an export table");
        assert_eq!(found, Some(inode.reference));
    }
}

#[test]
fn an_empty_root_is_an_image() {
    let image = Tree::new().write();
    assert!(image.paths().is_empty());
    assert!(image.files_by_backhand().is_empty());
}

#[test]
fn both_readers_see_the_same_files() {
    let image = mixture().write();
    for (path, content) in image.files_by_backhand() {
        assert!(image.content(&path) == content, "{path}");
    }
    assert_eq!(image.paths().len(), 202);
}
