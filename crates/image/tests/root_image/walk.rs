//! Walking a directory on disk.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::atomic::AtomicBool;

use image::entry::{Entry, Kind};
use image::scrub::Rules;
use image::source::{Directory, Error};
use image::squash;
use rustix::fs::XattrFlags;
use tempfile::TempDir;

use crate::harness::{Image, Memory, Notes, options};

/// A directory on the disk that is built on, where user attributes exist.
fn directory() -> TempDir {
    let root = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
    root
}

fn put(root: &TempDir, path: &str, content: &str) {
    let path = root.path().join(path);
    fs::create_dir_all(path.parent().expect("below the root")).expect("a directory");
    fs::write(path, content).expect("a file");
}

fn open(root: &TempDir, rules: Rules) -> Directory {
    Directory::open(root.path(), rules).expect("a source")
}

fn squashed(source: &Directory) -> Image {
    let notes = Notes::default();
    let disk = Memory::default();
    let (out, stop) = (disk.clone(), AtomicBool::new(false));
    let summary = squash::write(&mut source.entries(&notes), out, &options(), &notes, &stop);
    let summary = summary.expect("an image");
    Image {
        bytes: disk.bytes(),
        summary,
        notes: notes.text(),
    }
}

fn paths(source: &Directory) -> Vec<String> {
    let shown = |entry: Entry| String::from_utf8(entry.path).expect("plain names");
    source
        .entries(&())
        .map(|entry| shown(entry.expect("an entry")))
        .collect()
}

#[test]
fn names_come_depth_first_in_byte_order() {
    let root = directory();
    for path in ["a/x", "a-b", "a.c/y", "B", "a0"] {
        put(&root, path, "");
    }
    let expected = ["", "B", "a", "a/x", "a-b", "a.c", "a.c/y", "a0"];
    let mut found = paths(&open(&root, Rules::none()));
    assert_eq!(found.len(), expected.len());
    // Byte order of the names within each directory: B < a < a-b < a.c < a0.
    assert_eq!(found, expected);
    found.dedup();
    assert_eq!(found.len(), expected.len());
}

#[test]
fn a_tree_on_disk_comes_back() {
    let root = directory();
    put(&root, "bin/tool", "#!/bin/sh\n");
    fs::set_permissions(
        root.path().join("bin/tool"),
        fs::Permissions::from_mode(0o4755),
    )
    .expect("chmod");
    symlink("tool", root.path().join("bin/link")).expect("a link");
    fs::hard_link(root.path().join("bin/tool"), root.path().join("again")).expect("a name");
    let image = squashed(&open(&root, Rules::none()));
    assert_eq!(image.paths(), ["again", "bin", "bin/link", "bin/tool"]);
    assert_eq!(image.content("bin/tool"), b"#!/bin/sh\n");
    assert_eq!(
        (image.inode("again").mode, image.inode("again").nlink),
        (0o4755, 2)
    );
    assert_eq!(image.notes, "");
}

#[test]
fn a_root_that_only_its_owner_may_enter_is_opened_and_noted() {
    let root = directory();
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o700)).expect("chmod");
    let image = squashed(&open(&root, Rules::none()));
    assert_eq!(image.inode("").mode, 0o755);
    assert!(
        image.notes.contains("/ is closed to all"),
        "{}",
        image.notes
    );
}

#[test]
fn a_name_outside_the_source_is_not_counted() {
    let root = directory();
    put(&root, "in/file", "x");
    fs::hard_link(root.path().join("in/file"), root.path().join("out")).expect("a name");
    let source = Directory::open(&root.path().join("in"), Rules::none()).expect("a source");
    assert_eq!(squashed(&source).inode("file").nlink, 1);
}

#[test]
fn attributes_are_read_from_the_disk() {
    let root = directory();
    put(&root, "file", "");
    for path in [root.path(), &root.path().join("file")] {
        rustix::fs::setxattr(path, "user.netbootd", b"yes", XattrFlags::empty())
            .expect("the build directory's file system has user attributes");
    }
    let image = squashed(&open(&root, Rules::none()));
    for path in ["", "file"] {
        let xattrs = image
            .archive()
            .xattrs(&image.inode(path))
            .expect("attributes");
        assert_eq!(
            (xattrs[0].name.as_slice(), xattrs[0].value.as_slice()),
            (&b"user.netbootd"[..], &b"yes"[..])
        );
    }
}

#[test]
fn a_file_that_vanishes_is_left_out_and_noted() {
    let root = directory();
    put(&root, "gone", "x");
    put(&root, "here", "x");
    let (source, notes) = (open(&root, Rules::none()), Notes::default());
    let mut entries = source.entries(&notes);
    entries.next().expect("the root").expect("an entry");
    fs::remove_file(root.path().join("gone")).expect("removed");
    let next = entries.next().expect("an entry").expect("an entry");
    assert_eq!(next.path, b"here");
    assert!(notes.text().contains("gone vanished"), "{}", notes.text());
}

#[test]
fn a_file_is_as_long_as_when_it_was_opened() {
    let root = directory();
    put(&root, "log", "before");
    let (source, notes) = (open(&root, Rules::none()), Notes::default());
    let path = root.path().join("log");
    // The writer is handed each entry after it grew.
    let mut entries = source.entries(&()).inspect(|entry| {
        if matches!(
            entry,
            Ok(Entry {
                kind: Kind::File { .. },
                ..
            })
        ) {
            fs::write(&path, "before and after").expect("written");
        }
    });
    let disk = Memory::default();
    let summary = squash::write(
        &mut entries,
        disk.clone(),
        &options(),
        &notes,
        &AtomicBool::new(false),
    );
    let image = Image {
        bytes: disk.bytes(),
        summary: summary.expect("an image"),
        notes: notes.text(),
    };
    assert_eq!(image.content("log"), b"before");
    assert!(image.notes.contains("log changed"), "{}", image.notes);
}

#[test]
fn a_sparse_file_is_not_read_through() {
    let root = directory();
    let file = fs::File::create(root.path().join("sparse")).expect("a file");
    file.set_len(64 << 30).expect("a long file");
    drop(file);
    let source = open(&root, Rules::none());
    let entry = source
        .entries(&())
        .nth(1)
        .expect("an entry")
        .expect("an entry");
    let Kind::File { size, mut content } = entry.kind else {
        panic!("not a file")
    };
    assert_eq!(size, 64 << 30);
    assert_eq!(content.data_after(0), None);
}

#[test]
fn a_scrubbed_root_has_no_identity_and_keeps_its_directories() {
    let root = directory();
    for path in [
        "etc/ssh/ssh_host_rsa_key",
        "etc/ssh/sshd_config",
        "home/alice/secret",
        "var/log/a/b",
    ] {
        put(&root, path, "content");
    }
    put(&root, "etc/machine-id", "0123456789abcdef\n");
    let source = open(&root, Rules::standard());
    let image = squashed(&source);
    let expected = [
        "etc",
        "etc/machine-id",
        "etc/ssh",
        "etc/ssh/sshd_config",
        "home",
        "var",
        "var/log",
        "var/log/a",
    ];
    assert_eq!(image.paths(), expected);
    assert_eq!(image.inode("etc/machine-id").size, 0);
}

#[test]
fn a_survey_counts_what_goes_in_and_what_is_left_out() {
    let root = directory();
    put(&root, "usr/bin/tool", "12345");
    put(&root, "home/alice/a", "1234567");
    put(&root, "etc/machine-id", "0123");
    let survey = open(&root, Rules::standard())
        .survey(&(), &AtomicBool::new(false))
        .expect("a survey");
    assert_eq!((survey.entries, survey.bytes), (7, 5));
    let text = survey.left_out.to_string();
    assert!(
        text.contains("homes: 2 entries, 7 bytes (people's files"),
        "{text}"
    );
    assert!(text.contains("machine-id: 1 entry, 4 bytes"), "{text}");
}

#[test]
fn a_survey_counts_as_many_entries_as_the_walk_hands_out() {
    let root = directory();
    for path in ["a/b/c", "a/d", "tmp/x", "var/log/syslog", "etc/fstab"] {
        put(&root, path, "x");
    }
    fs::hard_link(root.path().join("a/d"), root.path().join("e")).expect("a name");
    let source = open(&root, Rules::standard());
    let survey = source
        .survey(&(), &AtomicBool::new(false))
        .expect("a survey");
    assert_eq!(survey.entries, paths(&source).len() as u64);
    assert_eq!(survey.bytes, squashed(&source).summary.file_bytes);
}

#[test]
fn a_source_that_is_no_directory_is_an_error() {
    let root = directory();
    put(&root, "file", "");
    for path in [
        root.path().join("file"),
        Path::new("/nonexistent").to_owned(),
    ] {
        let error = Directory::open(&path, Rules::none())
            .err()
            .expect("an error");
        assert!(matches!(error, Error::Io { action: "open", .. }), "{error}");
    }
}
