//! An image of 200 000 inodes: opening it and finding a name in it costs what it costs in a small
//! one, in time, in bytes read and in memory, which an allocator counts.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    unsafe_code,
    reason = "tests make files; and an allocator that counts cannot be written without"
)]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt::Write as _;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use common::CountingFile;
use squashfs::{Archive, Caches};

struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is passed on to the system's allocator; counting touches no memory of its.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Relaxed) + layout.size();
        MOST.fetch_max(held, Relaxed);
        // SAFETY: the caller's promise is the one that is asked for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promise is the one that is asked for.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Bytes on the heap, at most, beyond those that were there before.
fn most_held<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = HELD.load(Relaxed);
    MOST.store(before, Relaxed);
    let result = work();
    (result, MOST.load(Relaxed) - before)
}

const FILES: usize = 200_000;
const DIRECTORIES: usize = 400;

#[test]
fn opening_200_000_inodes_takes_milliseconds_and_less_than_2_mib() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("tree")).unwrap();
    // Device nodes, which mksquashfs makes up by itself: 200 000 files would take a minute.
    let mut pseudo = String::from("large d 755 0 0\n");
    for directory in 0..DIRECTORIES {
        writeln!(pseudo, "d{directory} d 755 0 0").unwrap();
    }
    for file in 0..FILES {
        // A tenth of them in one directory.
        let directory = match file % 10 {
            0 => "large".to_owned(),
            _ => format!("d{}", file % DIRECTORIES),
        };
        writeln!(pseudo, "{directory}/name{file:06} c 644 0 0 1 3").unwrap();
    }
    fs::write(at("pseudo"), pseudo).unwrap();
    let pseudo = at("pseudo");
    let options = ["-pf", pseudo.to_str().unwrap(), "-comp", "zstd"];
    common::pack(&at("tree"), &at("image"), &options);

    let source = Arc::new(CountingFile::open(&at("image")));
    let start = Instant::now();
    let (archive, memory) = most_held(|| {
        let archive = Archive::open(source.clone(), &Caches::default()).unwrap();
        assert!(archive.superblock().inode_count as usize >= FILES);
        archive
    });
    let (elapsed, bytes) = (start.elapsed(), source.bytes.load(Relaxed));
    println!("opened in {elapsed:?}, {memory} bytes held, {bytes} bytes read");
    assert!(memory < 2 << 20, "{memory} bytes held to open");
    assert!(bytes < 64 << 10, "{bytes} bytes read to open");
    assert!(elapsed < Duration::from_millis(100), "{elapsed:?} to open");

    let (found, memory) = most_held(|| archive.resolve(b"large/name199990", false).unwrap());
    let read = source.bytes.load(Relaxed) - bytes;
    println!("found in the largest directory: {memory} bytes held, {read} bytes read");
    assert!(found.is_some());
    assert!(memory < 1 << 20, "{memory} bytes held to find a name");
    assert!(read < 128 << 10, "{read} bytes read to find a name");
}
