//! What mksquashfs packed is what we read.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "tests make files; the crate does not"
)]

mod common;

use std::fs;
use std::os::unix::fs::MetadataExt;

use common::{Made, one_of_each};
use squashfs::{Archive, Caches, Error};

#[test]
fn every_compressor_gives_back_the_tree() {
    for compressor in ["gzip", "xz", "lzo", "lz4", "zstd"] {
        let made = Made::new(one_of_each, &["-comp", compressor]);
        assert_eq!(made.archive.superblock().compressor.to_string(), compressor);
        assert_eq!(made.compare(), 23, "{compressor}");
    }
}

#[test]
fn every_block_size_gives_back_the_tree() {
    for block_size in ["4K", "16K", "64K", "256K", "1M"] {
        let made = Made::new(one_of_each, &["-comp", "lz4", "-b", block_size]);
        assert_eq!(made.compare(), 23, "{block_size}");
    }
}

#[test]
fn options_of_the_writer_do_not_change_the_tree() {
    for options in [
        &["-noI", "-noD", "-noF", "-noX"][..],
        &["-no-fragments"],
        &["-always-use-fragments"],
        &["-no-exports", "-no-xattrs"],
        &["-no-sparse", "-no-duplicates"],
        &["-noId", "-nopad"],
    ] {
        let made = Made::new(one_of_each, options);
        assert_eq!(made.compare(), 23, "{options:?}");
    }
}

#[test]
fn who_must_not_wait_gets_what_is_in_memory_and_quick() {
    const K: usize = 1024;
    let noise = |tree: &std::path::Path| {
        let bytes: Vec<u8> = (0..1_000_000_u64)
            .map(|at| ((at * at) >> 9) as u8)
            .collect();
        fs::write(tree.join("file"), bytes).unwrap();
    };
    for (compressor, block, at_once) in [
        ("zstd", "128K", 256 * K),
        ("gzip", "64K", 256 * K),
        ("zstd", "256K", 0),
        ("xz", "128K", 0),
    ] {
        let made = Made::new(noise, &["-comp", compressor, "-b", block, "-no-fragments"]);
        let whole = made.content("file");
        let image = std::sync::Arc::new(fs::read(made.image()).unwrap());
        for in_memory in [true, false] {
            let archive = match in_memory {
                true => Archive::open(image.clone(), &Caches::default()).unwrap(),
                // A source that cannot tell what it has.
                false => Archive::open(made.source.clone(), &Caches::default()).unwrap(),
            };
            let file = archive.resolve(b"file", false).unwrap().unwrap();
            // The list of blocks is metadata, which is only ever taken from the cache.
            archive.read(&file, 999_999, 1, &mut Vec::new()).unwrap();
            let quick = archive.in_memory();
            let read = |len| {
                let mut out = Vec::new();
                let read = quick.read(&file, 0, len, &mut out);
                assert!(read.is_err() || out == whole[..len]);
                assert!(read.is_ok() || out.is_empty());
                read
            };
            let what = format!("{compressor} {block} {in_memory}");
            let most = if in_memory { at_once } else { 0 };
            let too_much = Err(Error::NotInMemory);
            assert_eq!(read(most + 1), too_much, "{what}");
            // What was decompressed in vain is kept for who asks again.
            let again = (2 * most + 1).min(900_000);
            assert_eq!(read(again), too_much, "{what}");
            if most > 0 {
                assert_eq!(read(2 * most), Ok(2 * most), "{what}");
            }
            assert_eq!(archive.read(&file, 0, again, &mut Vec::new()), Ok(again));
            assert_eq!(read(again), Ok(again), "{what}");
        }
    }
}

#[test]
fn slices_are_what_is_read_and_only_holes_have_none() {
    let made = Made::new(one_of_each, &["-b", "16K"]);
    let (mut compared, mut with_holes) = (0, Vec::new());
    for entry in made.archive.walk(&made.archive.root().unwrap(), 64) {
        let entry = entry.unwrap();
        if entry.inode.kind != squashfs::InodeKind::File {
            assert!(made.archive.slices(&entry.inode, 0, 10).is_err());
            continue;
        }
        for (offset, len) in [
            (0, 1 << 20),
            (5, 40_000),
            (16_383, 2),
            (u64::MAX, 9),
            (7, 0),
        ] {
            let mut read = Vec::new();
            made.archive
                .read(&entry.inode, offset, len, &mut read)
                .unwrap();
            match made.archive.slices(&entry.inode, offset, len).unwrap() {
                Some(slices) => {
                    let bytes: Vec<u8> = slices.iter().flat_map(|it| it.iter().copied()).collect();
                    assert!(bytes == read, "{:?} at {offset}", entry.path);
                    compared += read.len();
                }
                None => with_holes.push(entry.path.clone()),
            }
        }
    }
    with_holes.dedup();
    assert_eq!(with_holes, [b"sparse".to_vec(), b"zeros".to_vec()]);
    assert!(compared > 100_000, "{compared}");
}

#[test]
fn hard_links_are_one_inode() {
    let made = Made::new(one_of_each, &[]);
    let (one, other) = (made.at("long"), made.at("long again"));
    assert_eq!((one.reference, one.nlink), (other.reference, 2));
}

#[test]
fn holes_take_no_space() {
    let made = Made::new(one_of_each, &[]);
    let sparse = made.at("sparse");
    assert_eq!(sparse.size, 9_000_001);
    assert!(sparse.allocated() < 300_000, "{}", sparse.allocated());
}

#[test]
fn reads_stop_at_the_end_of_the_file() {
    let made = Made::new(one_of_each, &[]);
    let long = made.at("long");
    let whole = fs::read(made.tree().join("long")).unwrap();
    for (offset, len) in [
        (0, 1),
        (131_071, 2),
        (3_333_332, 100),
        (3_333_333, 100),
        (u64::MAX, 100),
        (1 << 20, 1 << 20),
    ] {
        let mut out = b"before".to_vec();
        let count = made.archive.read(&long, offset, len, &mut out).unwrap();
        let start = whole.len().min(usize::try_from(offset).unwrap());
        let expected = &whole[start..whole.len().min(start.saturating_add(len))];
        assert_eq!((count, &out[..6]), (expected.len(), &b"before"[..]));
        assert!(&out[6..] == expected, "{offset} {len}");
    }
}

#[test]
fn questions_of_the_wrong_kind_are_answered_so() {
    let made = Made::new(one_of_each, &[]);
    let (file, dir) = (made.at("short"), made.at("deep"));
    let archive = &made.archive;
    assert!(matches!(
        archive.lookup(&file, b"x"),
        Err(Error::NotADirectory { .. })
    ));
    assert!(matches!(
        archive.read(&dir, 0, 1, &mut Vec::new()),
        Err(Error::NotAFile { .. })
    ));
    assert!(matches!(
        archive.symlink_target(&file),
        Err(Error::NotASymlink { .. })
    ));
}

#[test]
fn xattrs_come_back_with_their_prefix() {
    use rustix::fs::{XattrFlags, lsetxattr};
    let big = vec![7; 3000];
    let made = Made::new(
        |tree| {
            for name in ["a", "b", "c"] {
                fs::write(tree.join(name), name).unwrap();
            }
            let set = |path: &str, name: &str, value: &[u8]| {
                lsetxattr(tree.join(path), name, value, XattrFlags::CREATE).unwrap();
            };
            // The same long value twice: the second is stored as a reference to the first.
            set("a", "trusted.big", &big);
            set("b", "trusted.big", &big);
            set("b", "security.thing", b"\0\x01\x02");
        },
        &[],
    );
    let xattrs = |path| {
        let mut xattrs: Vec<_> = made
            .archive
            .xattrs(&made.at(path))
            .unwrap()
            .into_iter()
            .map(|xattr| (String::from_utf8(xattr.name).unwrap(), xattr.value))
            .collect();
        xattrs.sort();
        xattrs
    };
    let big = ("trusted.big".to_owned(), big.clone());
    assert_eq!(xattrs("a"), std::slice::from_ref(&big));
    assert_eq!(
        xattrs("b"),
        [("security.thing".to_owned(), vec![0, 1, 2]), big]
    );
    assert_eq!(xattrs("c"), []);
}

#[test]
fn lzma_is_refused_with_a_way_out() {
    let made = Made::new(one_of_each, &[]);
    let mut bytes = fs::read(made.image()).unwrap();
    bytes[20] = 2;
    fs::write(made.image(), bytes).unwrap();
    let source = std::sync::Arc::new(common::CountingFile::open(&made.image()));
    let error = Archive::open(source, &Caches::default()).unwrap_err();
    assert!(error.to_string().contains("lzma"), "{error}");
    assert!(error.to_string().contains("mksquashfs -comp zstd"));
}

#[test]
fn a_file_of_many_blocks_is_read_anywhere() {
    // 5 000 blocks of 4 KiB: the list of sizes fills three metadata blocks and ten checkpoints.
    let made = Made::new(
        |tree| fs::write(tree.join("big"), common::noise(20_480_777, 9)).unwrap(),
        &["-b", "4K", "-comp", "lz4"],
    );
    let whole = fs::read(made.tree().join("big")).unwrap();
    let big = made.at("big");
    for offset in [
        20_480_000_u64,
        12_345_678,
        0,
        20_000_000,
        4096 * 512,
        9_000_000,
    ] {
        let mut out = Vec::new();
        made.archive.read(&big, offset, 5000, &mut out).unwrap();
        let start = offset as usize;
        assert!(
            out == whole[start..whole.len().min(start + 5000)],
            "{offset}"
        );
    }
    assert_eq!(made.content("big"), whole);
}

#[test]
fn devices_and_owners_survive() {
    let made = Made::new(one_of_each, &[]);
    assert_eq!(made.at("block").device(), Some((259, 70_000)));
    assert_eq!(made.at("short").uid, 4_000_000_000);
    assert_eq!(made.at("short").mode, 0o4751);
    let meta = fs::metadata(made.tree().join("short")).unwrap();
    assert_eq!(i64::from(made.at("short").mtime), meta.mtime());
}

#[test]
fn many_threads_read_through_a_small_cache() {
    let made = Made::new(one_of_each, &["-b", "64K", "-comp", "zstd"]);
    // Room for a few blocks: most of what one thread loads is lost before another wants it.
    let caches = Caches::new(20_000, 300_000);
    let archive = Archive::open(made.source.clone(), &caches).unwrap();
    let whole = fs::read(made.tree().join("long")).unwrap();
    let long = made.at("long");
    std::thread::scope(|scope| {
        for thread in 0..8_u64 {
            let (archive, long, whole) = (&archive, &long, &whole);
            scope.spawn(move || {
                let mut out = Vec::new();
                for round in 0..60 {
                    let offset = (thread * 7919 + round * 104_729) % long.size;
                    out.clear();
                    archive.read(long, offset, 100_000, &mut out).unwrap();
                    let start = offset as usize;
                    let end = whole.len().min(start + 100_000);
                    assert!(out == whole[start..end], "{thread} {round}");
                    assert_eq!(archive.inode(long.reference).as_ref(), Ok(long));
                }
            });
        }
    });
    assert!(caches.data.counts().bytes <= 300_000);
    drop(archive);
    assert_eq!(caches.data.counts().bytes, 0);
}
