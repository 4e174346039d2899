//! What is put in comes out.

use image::entry::{DeviceNumber, Kind};
use image::squash::{BlockSize, Compression, Options};
use squashfs::InodeKind;

use crate::harness::{Tree, noise, options};

#[test]
fn files_of_every_length_around_a_block_come_back() {
    let lengths = [0, 1, 4095, 4096, 4097, 8191, 8192, 8193, 40_000];
    let mut tree = Tree::new();
    for length in lengths {
        tree = tree.file(format!("f{length:05}"), noise(length as u64, length));
    }
    let image = tree.write();
    for length in lengths {
        let path = format!("f{length:05}");
        assert_eq!(image.content(&path), noise(length as u64, length), "{path}");
    }
}

#[test]
fn every_compression_and_block_size_reads_back_by_both_readers() {
    let compressions = [
        Compression::None,
        Compression::Gzip { level: 9 },
        Compression::Gzip { level: 6 },
        Compression::Lz4,
        Compression::Xz { level: 6 },
        Compression::Zstd { level: 9 },
        Compression::Zstd { level: 15 },
    ];
    let text = b"all work and no play ".repeat(3000);
    for compression in compressions {
        for block in [4096, 131_072, 1_048_576] {
            for tail_packing in [false, true] {
                let block_size = BlockSize::new(block).expect("a block size");
                let options = Options {
                    compression,
                    block_size,
                    tail_packing,
                    ..options()
                };
                let image = Tree::new()
                    .file("noise", noise(1, 150_000))
                    .file("short", "short")
                    .file("text", text.clone())
                    .write_with(&options);
                assert_eq!(image.content("text"), text, "{options:?}");
                assert_eq!(image.content("noise"), noise(1, 150_000), "{options:?}");
                let files = image.files_by_backhand();
                assert_eq!(files["text"], text, "{options:?}");
                assert_eq!(files["noise"], noise(1, 150_000), "{options:?}");
                assert_eq!(files["short"], b"short", "{options:?}");
            }
        }
    }
}

#[test]
fn modes_owners_and_times_are_kept() {
    let image = Tree::new()
        .file("su", "")
        .with(|entry| {
            entry.mode = 0o6755;
            entry.uid = 4_000_000_000;
            entry.gid = 70_000;
            entry.mtime = 1_234_567_890;
        })
        .write();
    let inode = image.inode("su");
    assert_eq!(
        (inode.mode, inode.uid, inode.gid),
        (0o6755, 4_000_000_000, 70_000)
    );
    assert_eq!(inode.mtime, 1_234_567_890);
}

#[test]
fn times_outside_the_format_are_moved_to_its_ends() {
    let image = Tree::new()
        .file("after", "")
        .with(|entry| entry.mtime = 1 << 40)
        .file("before", "")
        .with(|entry| entry.mtime = -1)
        .write();
    assert_eq!(image.inode("after").mtime, u32::MAX);
    assert_eq!(image.inode("before").mtime, 0);
}

#[test]
fn an_epoch_is_the_latest_time_in_the_image() {
    let options = Options {
        epoch: Some(1_000_000),
        ..options()
    };
    let image = Tree::new()
        .file("old", "")
        .with(|entry| entry.mtime = 5)
        .write_with(&options);
    assert_eq!(image.inode("").mtime, 1_000_000);
    assert_eq!(image.inode("old").mtime, 5);
    assert_eq!(image.archive().superblock().made, 1_000_000);
}

#[test]
fn nodes_keep_their_kind_and_number() {
    let number = DeviceNumber {
        major: 4095,
        minor: 1_048_575,
    };
    let image = Tree::new()
        .entry("block", 0o660, Kind::BlockDevice(number))
        .entry(
            "char",
            0o600,
            Kind::CharDevice(DeviceNumber { major: 1, minor: 3 }),
        )
        .entry("fifo", 0o600, Kind::Fifo)
        .entry("socket", 0o600, Kind::Socket)
        .write();
    assert_eq!(image.inode("block").device(), Some((4095, 1_048_575)));
    assert_eq!(image.inode("char").device(), Some((1, 3)));
    assert_eq!(image.inode("fifo").kind, InodeKind::Fifo);
    assert_eq!(image.inode("socket").kind, InodeKind::Socket);
}

#[test]
fn symlinks_of_any_length_keep_their_target() {
    for length in [1, 255, 256, 4095] {
        let image = Tree::new().symlink("link", vec![b'x'; length]).write();
        let target = image
            .archive()
            .symlink_target(&image.inode("link"))
            .expect("a target");
        assert_eq!(target.len(), length);
    }
}

#[test]
fn hard_links_are_one_inode_that_counts_its_names() {
    let image = Tree::new()
        .dir("a")
        .file("a/first", "one content")
        .dir("b")
        .link("b/second", "a/first")
        .link("third", "a/first")
        .write();
    let first = image.inode("a/first");
    assert_eq!(first.nlink, 3);
    assert_eq!(image.inode("b/second"), first);
    assert_eq!(image.inode("third"), first);
}

#[test]
fn a_directory_counts_the_directories_in_it() {
    let image = Tree::new()
        .dir("d")
        .dir("d/x")
        .file("d/y", "")
        .dir("d/z")
        .write();
    assert_eq!(image.inode("d").nlink, 4);
    assert_eq!(image.inode("d/x").nlink, 2);
    assert_eq!(
        image
            .archive()
            .parent(&image.inode("d/x"))
            .expect("a parent"),
        image.inode("d")
    );
}

#[test]
fn attributes_of_files_directories_and_links_are_kept() {
    let image = Tree::new()
        .dir("d")
        .xattr("user.on", "a directory")
        .symlink("l", "d")
        .xattr("trusted.on", "a link")
        .file("ping", "")
        .xattr("security.capability", [1, 0, 0, 2, 0, 0x20, 0, 0])
        .xattr("user.empty", "")
        .write();
    let names = |path: &str| {
        let xattrs = image
            .archive()
            .xattrs(&image.inode(path))
            .expect("attributes");
        let shown = |xattr: squashfs::Xattr| {
            (
                String::from_utf8_lossy(&xattr.name).into_owned(),
                xattr.value,
            )
        };
        xattrs.into_iter().map(shown).collect::<Vec<_>>()
    };
    assert_eq!(
        names("d"),
        [("user.on".to_owned(), b"a directory".to_vec())]
    );
    assert_eq!(names("l"), [("trusted.on".to_owned(), b"a link".to_vec())]);
    assert_eq!(names("ping")[0].1, [1, 0, 0, 2, 0, 0x20, 0, 0]);
    assert_eq!(names("ping")[1], ("user.empty".to_owned(), Vec::new()));
}

#[test]
fn a_long_value_is_stored_once_and_read_from_every_file() {
    let value = noise(3, 30_000);
    let mut tree = Tree::new();
    for number in 0..50 {
        let own = format!("{number}");
        tree = tree
            .file(&own, "")
            .xattr("user.a", own.as_str())
            .xattr("user.b", value.clone());
    }
    // In the order of the names, as a source would say them.
    tree = tree.sorted();
    let image = tree.write();
    assert!(image.bytes.len() < 60_000, "{}", image.bytes.len());
    for path in ["0", "7", "49"] {
        let xattrs = image
            .archive()
            .xattrs(&image.inode(path))
            .expect("attributes");
        assert_eq!(xattrs[0].value, path.as_bytes());
        assert_eq!(xattrs[1].value, value);
    }
}

#[test]
fn an_attribute_that_the_format_lacks_is_noted() {
    let image = Tree::new()
        .file("f", "")
        .xattr("system.posix_acl_access", "x")
        .write();
    assert!(
        image.notes.contains("system.posix_acl_access"),
        "{}",
        image.notes
    );
    assert_eq!(image.inode("f").xattr, None);
}

#[test]
fn every_name_of_a_large_directory_is_found() {
    let name = |number: usize| format!("{number:05}-{}", "n".repeat(number % 60));
    let mut tree = Tree::new().dir("many");
    for number in 0..20_000 {
        tree = tree.file(format!("many/{}", name(number)), "");
    }
    let image = tree.write();
    let (archive, many) = (image.archive(), image.inode("many"));
    for number in (0..20_000).step_by(97).chain([19_999]) {
        let found = archive
            .lookup(&many, name(number).as_bytes())
            .expect("a sound directory");
        assert!(found.is_some(), "{number}");
    }
    assert_eq!(
        archive.lookup(&many, b"00500-").expect("a sound directory"),
        None
    );
    assert_eq!(
        archive.read_dir(&many).expect("a directory").count(),
        20_000
    );
}

#[test]
fn names_of_any_bytes_are_kept() {
    let image = Tree::new()
        .file(b"\x01\n\xff", "odd")
        .file([b'x'; 255], "long")
        .write();
    let archive = image.archive();
    let root = archive.root().expect("a root");
    let names: Vec<_> = archive
        .read_dir(&root)
        .expect("a directory")
        .map(|entry| entry.expect("an entry").name)
        .collect();
    assert_eq!(names, [b"\x01\n\xff".to_vec(), vec![b'x'; 255]]);
}
