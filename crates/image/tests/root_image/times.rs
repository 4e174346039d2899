//! Building after an earlier build without reading what was not written to since: the same bytes.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use image::entry::{Content, Stamp};
use image::squash::{Options, Summary};

use crate::harness::{Image, Tree, noise, options};

/// A file with a stamp, which counts how often it is read.
struct Stamped {
    bytes: Vec<u8>,
    stamp: Stamp,
    reads: Arc<AtomicUsize>,
}

impl Content for Stamped {
    fn read_at(&mut self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.bytes.read_at(buf, offset)
    }

    fn stamp(&mut self) -> Option<Stamp> {
        Some(self.stamp)
    }
}

/// Files of every length, of which `changed` have another content, and those of `stamped` another stamp.
struct Files<'a> {
    changed: &'a [usize],
    stamped: &'a [usize],
    reads: Arc<AtomicUsize>,
}

impl<'a> Files<'a> {
    fn new(changed: &'a [usize], stamped: &'a [usize]) -> Self {
        let reads = Arc::default();
        Self {
            changed,
            stamped,
            reads,
        }
    }

    fn tree(&self) -> Tree {
        let lengths = [0, 1, 700, 4095, 4096, 4097, 3 * 4096, 700, 50_001, 8192];
        (0..60).fold(Tree::new(), |tree, number| {
            let seed = number as u64 + 1000 * u64::from(self.changed.contains(&number));
            let length = lengths[number % lengths.len()];
            let bytes = match number {
                57 | 58 => noise(9, 40_000), // two of the same content
                59 => vec![0; 10_000],
                _ => noise(seed, length),
            };
            let size = bytes.len() as u64;
            let ctime = (1_700_000_000, i64::from(self.stamped.contains(&number)));
            let stamp = Stamp {
                device: 7,
                inode: number as u64,
                size,
                mtime: (1_600_000_000, 0),
                ctime,
            };
            let reads = Arc::clone(&self.reads);
            let content = Stamped {
                bytes,
                stamp,
                reads,
            };
            tree.promised(format!("file{number:02}"), size, content)
        })
    }

    /// The image, and what was remembered.
    fn write(&self, before: Option<(&[u8], &[u8])>, options: Options) -> (Image, Vec<u8>) {
        let remember = tempfile::NamedTempFile::new().expect("a file");
        let image = self.tree().write_with(&Options {
            previous: before.map(|(image, _)| file(image)),
            trusted: before.map(|(_, times)| file(times)),
            remember: Some(Arc::new(remember.reopen().expect("the file"))),
            ..options
        });
        (image, std::fs::read(remember.path()).expect("the file"))
    }

    fn reads(&self) -> usize {
        self.reads.load(Ordering::Relaxed)
    }
}

fn file(bytes: &[u8]) -> Arc<File> {
    let file = tempfile::NamedTempFile::new().expect("a file");
    file.as_file().write_all(bytes).expect("written");
    Arc::new(file.reopen().expect("the file"))
}

fn unread(summary: &Summary) -> u64 {
    summary.unread
}

#[test]
fn what_was_not_written_to_is_not_read_and_the_bytes_are_the_same() {
    for tail_packing in [false, true] {
        let with = || Options {
            tail_packing,
            ..options()
        };
        let (first, times) = Files::new(&[], &[]).write(None, with());
        assert_eq!(unread(&first.summary), 0);
        let again = Files::new(&[], &[]);
        let (second, remembered) = again.write(Some((&first.bytes, &times)), with());
        assert!(
            second.bytes == first.bytes,
            "an image does not depend on what was trusted"
        );
        // What a block of several ends needs of a long file is its tail, and that is read.
        assert!(tail_packing || again.reads() == 0, "{}", again.reads());
        assert!(remembered == times, "what is trusted is remembered again");
    }
}

#[test]
fn what_was_written_to_is_read_and_its_neighbours_with_it() {
    let (first, times) = Files::new(&[], &[]).write(None, options());
    let changed = [3, 8, 22];
    let (fresh, _) = Files::new(&changed, &[]).write(None, options());
    let files = Files::new(&changed, &changed);
    let (second, _) = files.write(Some((&first.bytes, &times)), options());
    assert!(
        second.bytes == fresh.bytes,
        "the same bytes as a full build"
    );
    let unread = unread(&second.summary);
    assert!((45..57).contains(&unread), "{unread} were not read");
}

#[test]
fn blocks_that_the_image_before_lost_are_read_after_all() {
    let (first, times) = Files::new(&[], &[]).write(None, options());
    let mut damaged = first.bytes.to_vec();
    for at in (200..150_000).step_by(9_000) {
        damaged[at] ^= 0x40;
    }
    let other = Tree::new().file("x", noise(77, 30_000)).write();
    for previous in [&damaged[..], &other.bytes, b"no image"] {
        let files = Files::new(&[], &[]);
        let (image, _) = files.write(Some((previous, &times)), options());
        assert!(image.bytes == first.bytes, "damage is not inherited");
        assert!(files.reads() > 0);
    }
}

#[test]
fn a_list_that_is_damaged_cut_or_of_another_block_size_is_not_used() {
    let (first, times) = Files::new(&[], &[]).write(None, options());
    let mut damaged = times.clone();
    damaged[100] ^= 1;
    let blocks = Options {
        block_size: image::squash::BlockSize::new(8192).expect("a block size"),
        ..options()
    };
    let (_, others) = Files::new(&[], &[]).write(None, blocks);
    for times in [
        &damaged[..],
        &times[..times.len() - 1],
        &others,
        b"",
        &[0; 24],
    ] {
        let files = Files::new(&[], &[]);
        let (image, _) = files.write(Some((&first.bytes, times)), options());
        assert!(image.bytes == first.bytes);
        assert_eq!(unread(&image.summary), 0);
    }
}

#[test]
fn a_file_that_changes_without_a_word_while_it_is_trusted_ends_the_build_or_stays_as_it_was() {
    let (first, times) = Files::new(&[], &[]).write(None, options());
    // Its stamp says that nobody wrote to it; a neighbour in the same block did change.
    let files = Files::new(&[1, 2], &[2]);
    let notes = crate::harness::Notes::default();
    let disk = crate::harness::Memory::default();
    let options = Options {
        previous: Some(file(&first.bytes)),
        trusted: Some(file(&times)),
        ..options()
    };
    let written = files
        .tree()
        .try_write(&disk, &options, &notes, &Default::default());
    let error = written.expect_err("a guess is no image").to_string();
    assert!(
        error.contains("file01") && error.contains("build again"),
        "{error}"
    );
}
