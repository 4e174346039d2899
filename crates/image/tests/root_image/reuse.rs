//! Building after an earlier build: quicker, and the same bytes.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use image::squash::{BlockSize, Compression, Options};

use crate::harness::{Image, Tree, noise, options};

/// Long files, short files that share blocks, and one file that is new in each `version`.
fn tree(version: u64) -> Tree {
    let text = |seed: u64, bytes: usize| {
        let words = noise(seed, bytes / 4);
        words
            .iter()
            .flat_map(|byte| [b'w', b' ', byte % 16, byte % 3])
            .collect::<Vec<_>>()
    };
    let mut tree = Tree::new();
    for number in 0..20 {
        tree = tree.file(format!("long{number:02}"), text(number, 140_000));
    }
    tree = tree.file("new", noise(1000 + version, 700));
    for number in 0..300 {
        tree = tree.file(format!("short{number:03}"), text(number, 500));
    }
    tree
}

fn after(previous: &[u8], options: Options) -> Options {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(previous).expect("written");
    let previous: Option<Arc<File>> = Some(Arc::new(file));
    Options {
        previous,
        ..options
    }
}

fn same(image: &Image, fresh: &Image) {
    assert!(
        image.bytes == fresh.bytes,
        "an image does not depend on what it was built after"
    );
}

#[test]
fn an_unchanged_tree_is_copied_whole() {
    let first = tree(1).write();
    let again = tree(1).write_with(&after(&first.bytes, options()));
    same(&again, &first);
    assert_eq!(first.summary.reused, 0);
    assert!(again.summary.reused > 700, "{:?}", again.summary);
}

#[test]
fn a_changed_file_costs_a_few_blocks() {
    let (first, fresh) = (tree(1).write(), tree(2).write());
    let second = tree(2).write_with(&after(&first.bytes, options()));
    same(&second, &fresh);
    let all = tree(1)
        .write_with(&after(&first.bytes, options()))
        .summary
        .reused;
    assert!(
        second.summary.reused >= all - 5,
        "{} of {all}",
        second.summary.reused
    );
}

#[test]
fn an_image_built_after_another_can_be_built_after() {
    let first = tree(1).write();
    let second = tree(2).write_with(&after(&first.bytes, options()));
    let third = tree(2).write_with(&after(&second.bytes, options()));
    same(&third, &second);
    assert!(third.summary.reused > second.summary.reused);
}

#[test]
fn an_image_of_other_settings_is_not_used() {
    let first = tree(1).write();
    for other in [
        Options {
            compression: Compression::Zstd { level: 3 },
            ..options()
        },
        Options {
            compression: Compression::Gzip { level: 9 },
            ..options()
        },
        Options {
            block_size: BlockSize::new(8192).expect("a block size"),
            ..options()
        },
    ] {
        let image = tree(1).write_with(&after(&first.bytes, other.clone()));
        assert_eq!(image.summary.reused, 0);
        same(&image, &tree(1).write_with(&other));
    }
}

#[test]
fn an_image_with_a_hash_tree_can_be_built_after() {
    let with = Options {
        verity: true,
        ..options()
    };
    let first = tree(1).write_with(&with);
    let again = tree(1).write_with(&after(&first.bytes, with));
    same(&again, &first);
    let without = tree(1).write_with(&after(&first.bytes, options()));
    same(&without, &tree(1).write());
    assert_eq!(without.summary.reused, again.summary.reused);
    assert!(again.summary.reused > 700, "{:?}", again.summary);
}

#[test]
fn damage_is_not_inherited() {
    let fresh = tree(1).write();
    let mut damaged = fresh.bytes.to_vec();
    for at in (200..60_000).step_by(5000) {
        damaged[at] ^= 0x40;
    }
    let image = tree(1).write_with(&after(&damaged, options()));
    same(&image, &fresh);
    assert!(image.summary.reused > 0);
}

#[test]
fn a_list_that_is_damaged_or_cut_is_not_used() {
    let fresh = tree(1).write();
    let length = fresh.bytes.len();
    let mut damaged = fresh.bytes.to_vec();
    damaged[length - 20] ^= 1; // in the footer's counts
    let mut lines = fresh.bytes.to_vec();
    let used = fresh.archive().superblock().bytes_used as usize;
    lines[used + 5] ^= 1;
    for previous in [
        &damaged[..],
        &lines[..],
        &fresh.bytes[..length - 1],
        b"",
        &[0xff; 5000],
    ] {
        let image = tree(1).write_with(&after(previous, options()));
        assert_eq!(image.summary.reused, 0);
        same(&image, &fresh);
    }
}
