//! What cannot be an image is refused, and what changes underneath is pinned.

use std::io::{self, Cursor, Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use image::entry::{Content, DeviceNumber, Kind};
use image::squash::{self, Error};

use crate::harness::{Memory, Tree, noise, options};

fn out_of_order(tree: Tree) {
    let error = tree.refused();
    assert!(matches!(error, Error::Order { .. }), "{error}");
}

#[test]
fn entries_out_of_order_are_refused() {
    out_of_order(Tree::bare().file("f", ""));
    out_of_order(Tree::bare().file("", ""));
    out_of_order(Tree::new().dir(""));
    out_of_order(Tree::new().file("b", "").file("a", ""));
    out_of_order(Tree::new().file("a", "").file("a", ""));
    out_of_order(Tree::new().file("d/f", ""));
    out_of_order(Tree::new().file("d", "").file("d/f", ""));
    out_of_order(Tree::new().dir("a").dir("b").file("a/f", ""));
    out_of_order(Tree::new().link("l", "nothing"));
    out_of_order(Tree::new().file("..", ""));
    out_of_order(Tree::new().file("a/", ""));
    out_of_order(Tree::new().file("nul\0", ""));
}

#[test]
fn an_empty_stream_is_refused() {
    assert!(matches!(Tree::bare().refused(), Error::Full(_)));
}

#[test]
fn what_the_format_cannot_hold_is_refused_by_name() {
    let number = DeviceNumber {
        major: 4096,
        minor: 0,
    };
    for (tree, name) in [
        (Tree::new().file([b'n'; 256], ""), "nnn"),
        (Tree::new().symlink("long", vec![b't'; 4096]), "long"),
        (Tree::new().symlink("empty", ""), "empty"),
        (
            Tree::new().entry("device", 0o600, Kind::CharDevice(number)),
            "device",
        ),
    ] {
        let error = tree.refused();
        assert!(matches!(error, Error::Unfit { .. }), "{error}");
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn a_file_that_shrinks_is_padded_and_noted() {
    let image = Tree::new()
        .promised("log", 10_000, b"only this".to_vec())
        .write();
    let content = image.content("log");
    assert_eq!(content.len(), 10_000);
    assert!(content.starts_with(b"only this\0\0"));
    assert!(image.notes.contains("log changed"), "{}", image.notes);
}

#[test]
fn a_file_that_grows_is_cut() {
    let image = Tree::new().promised("log", 5000, noise(1, 9000)).write();
    assert_eq!(image.content("log"), noise(1, 5000));
}

struct Broken;

impl Content for Broken {
    fn read_at(&mut self, _buf: &mut [u8], _offset: u64) -> io::Result<usize> {
        Err(io::Error::other("bad sector"))
    }
}

#[test]
fn a_file_that_cannot_be_read_ends_the_build_and_is_named() {
    let error = Tree::new()
        .promised("file", 10, Broken)
        .refused()
        .to_string();
    assert_eq!(error, "cannot read file: bad sector");
}

/// Asks to stop when it is read.
struct Stopping<'s>(&'s AtomicBool);

impl Content for Stopping<'static> {
    fn read_at(&mut self, buf: &mut [u8], _offset: u64) -> io::Result<usize> {
        self.0.store(true, Ordering::Relaxed);
        buf.fill(1);
        Ok(buf.len())
    }
}

#[test]
fn a_stop_is_heeded_inside_a_file() {
    static STOP: AtomicBool = AtomicBool::new(false);
    let tree = Tree::new().promised("endless", u64::MAX / 2, Stopping(&STOP));
    let result = tree.try_write(&Memory::default(), &options(), &(), &STOP);
    assert!(matches!(result, Err(Error::Stopped)));
}

/// A disk with room for so many bytes.
struct Disk(Cursor<Vec<u8>>, usize);

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.position() as usize + bytes.len() > self.1 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Disk {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

#[test]
fn a_full_disk_is_an_error() {
    let tree = || Tree::new().file("f", noise(1, 2 << 20));
    for room in [0, 100, 300_000, 1 << 20] {
        let mut entries = tree().into_entries();
        let disk = Disk(Cursor::new(Vec::new()), room);
        let stop = AtomicBool::new(false);
        let result = squash::write(&mut entries, disk, &options(), &(), &stop);
        assert!(matches!(result, Err(Error::Write(_))), "{room}: {result:?}");
    }
}
