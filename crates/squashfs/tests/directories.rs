//! Names, paths and trees.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "tests make files; the crate does not"
)]

mod common;

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use common::{CountingFile, Made, one_of_each};
use squashfs::{Archive, Caches, Error, InodeKind};

fn many_names(count: usize) -> impl Fn(&Path) {
    move |tree| {
        fs::create_dir(tree.join("many")).unwrap();
        for number in 0..count {
            File::create(tree.join(format!("many/file number {number}"))).unwrap();
        }
    }
}

#[test]
fn opening_costs_the_same_however_many_inodes() {
    let made = Made::new(many_names(5_000), &["-comp", "zstd"]);
    let source = Arc::new(CountingFile::open(&made.image()));
    let archive = Archive::open(source.clone(), &Caches::default()).unwrap();
    assert_eq!(archive.superblock().inode_count, 5_002);
    let bytes = source.bytes.load(Relaxed);
    assert!(bytes < 32 << 10, "{bytes} bytes read to open");
}

#[test]
fn a_large_directory_lists_each_name_once() {
    let made = Made::new(many_names(5_000), &[]);
    let many = made.at("many");
    let mut expected: Vec<_> = (0..5_000)
        .map(|number| format!("file number {number}").into_bytes())
        .collect();
    expected.sort();
    let names: Vec<_> = made
        .archive
        .read_dir(&many)
        .unwrap()
        .map(|entry| entry.unwrap().name)
        .collect();
    assert!(names == expected);
}

#[test]
fn a_large_directory_is_resumed_anywhere() {
    let made = Made::new(many_names(5_000), &[]);
    let many = made.at("many");
    let all: Vec<_> = made
        .archive
        .read_dir(&many)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    // A fresh archive has no checkpoints; this one has.
    let fresh = Archive::open(made.source.clone(), &Caches::default()).unwrap();
    for archive in [&made.archive, &fresh] {
        for start in [4_999, 5_000, 5_001, 0, 1, 511, 512, 513, 2_600] {
            let rest: Vec<_> = archive
                .read_dir_from(&many, start as u64)
                .unwrap()
                .take(3)
                .map(Result::unwrap)
                .collect();
            let start = start.min(all.len());
            assert_eq!(rest, all[start..all.len().min(start + 3)], "{start}");
        }
    }
    assert_eq!(all[41].next, 42);
}

#[test]
fn every_name_of_a_large_directory_is_found_cheaply() {
    let made = Made::new(many_names(20_000), &[]);
    let many = made.at("many");
    for entry in made.archive.read_dir(&many).unwrap().step_by(97) {
        let entry = entry.unwrap();
        let found = made.archive.lookup(&many, &entry.name).unwrap();
        assert_eq!(found, Some(entry.inode));
    }
    for missing in ["", "file number", "file number 20000", "zzz", "\0", "a"] {
        let found = made.archive.lookup(&many, missing.as_bytes()).unwrap();
        assert_eq!(found, None, "{missing:?}");
    }
    // With an index, one look-up touches the index and one or two blocks of the listing.
    let source = Arc::new(CountingFile::open(&made.image()));
    let archive = Archive::open(source.clone(), &Caches::default()).unwrap();
    archive.lookup(&many, b"file number 9999").unwrap().unwrap();
    let bytes = source.bytes.load(Relaxed);
    assert!(bytes < 64 << 10, "{bytes} bytes read for one name");
}

#[test]
fn paths_lead_where_the_kernel_would_go() {
    let made = Made::new(one_of_each, &[]);
    let resolve = |path: &str, follow| {
        let found = made.archive.resolve(path.as_bytes(), follow).unwrap();
        found.map(|inode| inode.number)
    };
    let file = Some(made.at("deep/er/file").number);
    assert_eq!(resolve("/deep//./er/file/", true), file);
    assert_eq!(resolve("link/file", false), file);
    assert_eq!(resolve("link/../er/file", true), file);
    assert_eq!(resolve("../../deep/er/file", true), file);
    assert_eq!(resolve("link", true), Some(made.at("deep/er").number));
    assert_ne!(resolve("link", false), Some(made.at("deep/er").number));
    assert_eq!(resolve("short/x", true), None);
    assert_eq!(resolve("no such", true), None);
    assert_eq!(resolve("", true), Some(made.archive.root().unwrap().number));
}

#[test]
fn links_in_a_circle_end() {
    let made = Made::new(
        |tree| {
            std::os::unix::fs::symlink("b/x", tree.join("a")).unwrap();
            std::os::unix::fs::symlink("a/x", tree.join("b")).unwrap();
            std::os::unix::fs::symlink("/sub/../target", tree.join("absolute")).unwrap();
            fs::create_dir(tree.join("sub")).unwrap();
            fs::write(tree.join("target"), b"").unwrap();
        },
        &[],
    );
    assert_eq!(made.archive.resolve(b"a", true), Err(Error::TooManyLinks));
    let target = made.archive.resolve(b"absolute", true).unwrap().unwrap();
    assert_eq!(target.kind, InodeKind::File);
}

#[test]
fn the_way_up_is_found_with_and_without_an_export_table() {
    for options in [&["-exports"], &["-no-exports"]] {
        let made = Made::new(one_of_each, options);
        assert_eq!(
            made.archive.superblock().has_export_table(),
            options == &["-exports"]
        );
        let up = |path| made.archive.parent(&made.at(path)).unwrap();
        assert_eq!(up("deep/er/and/deeper"), made.at("deep/er/and"));
        assert_eq!(up("deep/er/and"), made.at("deep/er"));
        assert_eq!(up("deep"), made.at(""));
        assert_eq!(up(""), made.at(""));
    }
}

#[test]
fn the_export_table_leads_to_every_inode() {
    let made = Made::new(one_of_each, &[]);
    for number in 1..=made.archive.superblock().inode_count {
        let place = made.archive.inode_ref(number).unwrap().unwrap();
        assert_eq!(made.archive.inode(place).unwrap().number, number);
    }
    for number in [0, made.archive.superblock().inode_count + 1, u32::MAX] {
        assert!(made.archive.inode_ref(number).is_err());
    }
}

#[test]
fn a_walk_ends_at_its_depth() {
    let made = Made::new(one_of_each, &[]);
    let root = made.archive.root().unwrap();
    let last = made.archive.walk(&root, 2).last().unwrap();
    assert!(matches!(last, Err(Error::TooDeep { limit: 2, .. })));
    let paths: Vec<_> = made
        .archive
        .walk(&made.at("deep"), 9)
        .map(|entry| String::from_utf8(entry.unwrap().path).unwrap())
        .collect();
    assert_eq!(paths, ["er", "er/and", "er/and/deeper", "er/file"]);
}
