//! A directory that is in use: file systems mounted below its root, and files that change.

use image::scrub::Rules;
use image::source::{Source, SourceOptions};
use image::squash::{self, Options};

use crate::harness::{Lab, Notes, noise};

/// Two file systems below the tree, one in the other; gone again at the end of the test.
struct Mounted<'a>(&'a Lab);

impl<'a> Mounted<'a> {
    fn new(lab: &'a Lab) -> Self {
        lab.put("tree/etc/hostname", "x");
        lab.sh("mkdir tree/usr; mount -t tmpfs none tree/usr");
        let mounted = Self(lab);
        lab.sh("mkdir tree/usr/bin tree/usr/share; echo t > tree/usr/bin/tool; mount -t tmpfs none tree/usr/share; touch tree/usr/share/x");
        mounted
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        self.0
            .sh("umount -l tree/usr/share || true; umount -l tree/usr");
    }
}

#[test]
fn other_mounts_are_left_out_unless_they_are_named() {
    let lab = Lab::new();
    let _mounted = Mounted::new(&lab);
    let paths = |mounts: &[&str], sources: &[&str]| {
        let options = SourceOptions {
            mounts: mounts.iter().map(Into::into).collect(),
            ..SourceOptions::default()
        };
        let image = lab.image_with(sources, &options, Rules::none()).unwrap();
        (image.paths(), image.notes)
    };
    let (left, notes) = paths(&[], &["tree"]);
    assert_eq!(left, ["etc", "etc/hostname", "usr"]);
    assert!(notes.contains("usr is another file system"), "{notes}");
    lab.sh("mkdir over");
    for sources in [&["tree"][..], &["tree", "over"]] {
        let (one, notes) = paths(&["/usr"], sources);
        assert_eq!(
            one,
            [
                "etc",
                "etc/hostname",
                "usr",
                "usr/bin",
                "usr/bin/tool",
                "usr/share"
            ]
        );
        assert!(
            notes.contains("usr/share is another file system"),
            "{notes}"
        );
        let (both, notes) = paths(&["/usr/", "usr/share"], sources);
        assert_eq!(both.last().unwrap(), "usr/share/x");
        assert_eq!(notes, "");
    }
}

#[test]
fn a_mount_that_is_not_there_is_an_error() {
    let lab = Lab::new();
    lab.put("tree/file", "");
    for mount in ["/usr", "/file", "/../etc"] {
        let options = SourceOptions {
            mounts: vec![mount.into()],
            ..SourceOptions::default()
        };
        let error = lab
            .image_with(&["tree"], &options, Rules::none())
            .err()
            .unwrap();
        assert!(error.to_string().contains(mount), "{error}");
    }
}

#[test]
fn files_that_change_or_vanish_while_they_are_read_are_told() {
    let lab = Lab::new();
    for name in ["a", "b", "c", "d"] {
        lab.put(&format!("tree/{name}"), noise(200_000));
    }
    lab.sh("mkdir over; touch -d @1000 tree/*");
    // One directory, and gathered layers.
    for sources in [&["tree"][..], &["tree", "over"]] {
        let notes = Notes::default();
        let paths: Vec<_> = sources.iter().map(|source| lab.at(source)).collect();
        let (options, stop) = (SourceOptions::default(), Default::default());
        let spool = lab.at("state");
        let source = Source::open(&paths, &options, Rules::none(), &spool, &notes, &stop).unwrap();
        let mut entries = source.entries(&notes).map(|entry| {
            let entry = entry.unwrap();
            if entry.path == b"b" {
                lab.sh("echo more >> tree/b");
            }
            Ok(entry)
        });
        let file = tempfile::tempfile().unwrap();
        let out = file.try_clone().unwrap();
        squash::write(&mut entries, out, &Options::default(), &notes, &stop).unwrap();
        assert_eq!(
            notes.text(),
            "b changed while it was read; the image may hold a mixture"
        );
        lab.sh("truncate -s 200000 tree/b; touch -d @1000 tree/b");
    }
    let notes = Notes::default();
    let (options, stop) = (SourceOptions::default(), Default::default());
    let paths = [lab.at("tree")];
    let source = Source::open(
        &paths,
        &options,
        Rules::none(),
        &lab.at("state"),
        &notes,
        &stop,
    );
    let source = source.unwrap();
    let names = source.entries(&notes).map(|entry| {
        let entry = entry.unwrap();
        if entry.path == b"a" {
            lab.sh("rm tree/c");
        }
        String::from_utf8(entry.path).unwrap()
    });
    assert_eq!(names.collect::<Vec<_>>(), ["", "a", "b", "d"]);
    assert!(
        notes
            .text()
            .contains("c vanished while the source was read")
    );
}
