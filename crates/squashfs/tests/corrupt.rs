//! Images that are damaged, or made to do harm. The rows SQ-* of the list of bad inputs.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "tests make files; the crate does not"
)]

mod common;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use common::{Made, noise};
use squashfs::{Archive, Caches, Error, Inode, InodeKind, ReadAt, Table};

/// An image that is whole or was changed, and can be patched where its inodes are.
struct Patient(Vec<u8>);

impl Patient {
    /// A small tree whose metadata stands uncompressed in the image.
    fn new() -> Self {
        Self::packed(&["-noI", "-noX", "-b", "4K", "-comp", "gzip"])
    }

    fn packed(options: &[&str]) -> Self {
        let made = Made::new(
            |tree| {
                fs::create_dir_all(tree.join("dir/inner")).unwrap();
                fs::write(tree.join("blocks"), noise(20_000, 1)).unwrap();
                fs::write(tree.join("tail"), b"in a fragment").unwrap();
                std::os::unix::fs::symlink("dir/inner", tree.join("link")).unwrap();
                for number in 0..60 {
                    fs::write(tree.join(format!("dir/{number:04}")), noise(300, number)).unwrap();
                }
                let flags = rustix::fs::XattrFlags::CREATE;
                rustix::fs::lsetxattr(tree.join("tail"), "trusted.x", b"value", flags).unwrap();
            },
            options,
        );
        Self(fs::read(made.image()).unwrap())
    }

    fn open(&self) -> Result<Archive, Error> {
        Archive::open(Arc::new(self.0.clone()), &Caches::default())
    }

    /// With the bytes at `at` replaced.
    fn with(&self, at: usize, bytes: &[u8]) -> Self {
        let mut image = self.0.clone();
        image[at..at + bytes.len()].copy_from_slice(bytes);
        Self(image)
    }

    /// With the bytes `field` bytes into the inode of `path` replaced.
    fn with_inode(&self, path: &str, field: usize, bytes: &[u8]) -> Self {
        self.with(self.inode_at(path) + field, bytes)
    }

    fn inode_at(&self, path: &str) -> usize {
        let place = self.find(path).unwrap().reference.0;
        let table = u64::from_le_bytes(self.0[64..72].try_into().unwrap());
        (table + (place >> 16) + 2 + (place & 0xffff)) as usize
    }

    /// Where these bytes stand, which are in the image once.
    fn place_of(&self, bytes: &[u8]) -> usize {
        let mut places = (0..self.0.len()).filter(|at| self.0[*at..].starts_with(bytes));
        let place = places.next().expect("the bytes are in the image");
        assert_eq!(places.next(), None, "the bytes are in the image twice");
        place
    }

    fn find(&self, path: &str) -> Result<Inode, Error> {
        self.open()?
            .resolve(path.as_bytes(), false)
            .map(Option::unwrap)
    }

    fn read(&self, path: &str) -> Result<usize, Error> {
        let inode = self.find(path)?;
        self.open()?.read(&inode, 0, 1 << 20, &mut Vec::new())
    }

    fn list(&self, path: &str) -> Result<usize, Error> {
        let (archive, dir) = (self.open()?, self.find(path)?);
        let mut count = 0;
        for entry in archive.read_dir(&dir)? {
            entry?;
            count += 1;
        }
        Ok(count)
    }
}

/// The table that a corruption was found in.
fn table<T: std::fmt::Debug>(result: Result<T, Error>) -> Table {
    match result {
        Err(Error::Corrupt { table, .. }) => table,
        other => panic!("{other:?} is no corruption"),
    }
}

fn refusal(patient: &Patient) -> String {
    match patient.open() {
        Err(Error::NotAnImage { what }) => what,
        other => panic!("{other:?} is no refusal"),
    }
}

#[test]
fn sq_01_a_superblock_that_cannot_be_is_refused_with_a_reason() {
    let patient = Patient::new();
    assert_eq!(patient.list("dir"), Ok(61));
    for (at, bytes, reason) in [
        (0, &b"sqsh"[..], "hsqs"),
        (28, &3_u16.to_le_bytes(), "version 3.0"),
        (28, &5_u16.to_le_bytes(), "version 5.0"),
        (12, &0_u32.to_le_bytes(), "block size of 0"),
        (12, &4095_u32.to_le_bytes(), "block size of 4095"),
        (12, &(2_u32 << 20).to_le_bytes(), "block size of 2097152"),
        (12, &(1_u32 << 31).to_le_bytes(), "block size of 2147483648"),
        (22, &0_u16.to_le_bytes(), "logarithm 0"),
        (22, &64_u16.to_le_bytes(), "logarithm 64"),
        (22, &13_u16.to_le_bytes(), "logarithm 13"),
        (20, &77_u16.to_le_bytes(), "compressor number 77"),
        (4, &0_u32.to_le_bytes(), "no inodes"),
        (40, &u64::MAX.to_le_bytes(), "bytes long"),
        (64, &0_u64.to_le_bytes(), "inode table"),
        (64, &u64::MAX.to_le_bytes(), "inode table"),
    ] {
        let what = refusal(&patient.with(at, bytes));
        assert!(what.contains(reason), "{what:?} without {reason:?}");
    }
}

#[test]
fn sq_02_a_claimed_number_of_fragments_is_refused() {
    let patient = Patient::new();
    for count in [u32::MAX, 1 << 29] {
        let what = refusal(&patient.with(16, &count.to_le_bytes()));
        assert!(what.contains("fragment table"), "{what}");
    }
    for count in [u32::MAX, 1 << 29] {
        let what = refusal(&patient.with(4, &count.to_le_bytes()));
        assert!(what.contains("export table"), "{what}");
    }
}

#[test]
fn sq_04_an_image_cut_anywhere_is_refused() {
    let patient = Patient::new();
    let used = u64::from_le_bytes(patient.0[40..48].try_into().unwrap()) as usize;
    for len in (0..used).step_by(13) {
        refusal(&Patient(patient.0[..len].to_vec()));
    }
}

/// An image that is cut short after it was opened.
struct Shrinking {
    bytes: Vec<u8>,
    len: AtomicU64,
}

impl ReadAt for Shrinking {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> std::io::Result<usize> {
        let len = self.len.load(Relaxed) as usize;
        self.bytes[..len].read_at(buf, offset)
    }

    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }
}

#[test]
fn sq_04_an_image_that_shrinks_while_it_is_read_is_an_error() {
    let bytes = Patient::new().0;
    for len in (0..bytes.len()).step_by(997) {
        let source = Arc::new(Shrinking {
            len: AtomicU64::new(bytes.len() as u64),
            bytes: bytes.clone(),
        });
        let archive = Archive::open(source.clone(), &Caches::new(0, 0)).unwrap();
        source.len.store(len as u64, Relaxed);
        explore(&archive);
        assert!(archive.root().is_err() || len > 97);
    }
}

#[test]
fn sq_05_a_metadata_block_of_no_or_too_great_length_is_an_error() {
    let patient = Patient::new();
    let inodes = u64::from_le_bytes(patient.0[64..72].try_into().unwrap()) as usize;
    let listings = u64::from_le_bytes(patient.0[72..80].try_into().unwrap()) as usize;
    for header in [0_u16, 0x8000, 0x7fff, 0xffff, 0x2001, 0xa001] {
        let broken = patient.with(inodes, &header.to_le_bytes());
        assert_eq!(table(broken.open()), Table::Inodes);
        let broken = patient.with(listings, &header.to_le_bytes());
        assert_eq!(table(broken.list("")), Table::Directories);
    }
}

#[test]
fn sq_07_an_inode_without_number_or_kind_is_an_error() {
    let patient = Patient::new();
    for (field, bytes) in [
        (12, &0_u32.to_le_bytes()[..]),
        (0, &0_u16.to_le_bytes()),
        (0, &15_u16.to_le_bytes()),
        (0, &u16::MAX.to_le_bytes()),
    ] {
        let broken = patient.with_inode("blocks", field, bytes);
        assert_eq!(table(broken.find("blocks")), Table::Inodes);
        assert_eq!(broken.read("tail"), Ok(13));
    }
}

#[test]
fn sq_07_a_kind_that_is_another_leads_nowhere() {
    let patient = Patient::new();
    for kind in 1..=14_u16 {
        let broken = patient.with_inode("blocks", 0, &kind.to_le_bytes());
        explore(&broken.open().unwrap());
    }
}

#[test]
fn sq_08_a_file_is_no_longer_than_its_blocks() {
    let patient = Patient::new();
    // A basic inode: its size stands 28 bytes in, and the sizes of its five blocks behind that.
    for size in [u32::MAX, 40_000] {
        let broken = patient.with_inode("blocks", 28, &size.to_le_bytes());
        assert!(broken.read("blocks").is_err());
    }
    // An extended inode, since it has xattrs: its size stands 24 bytes in.
    for size in [u64::MAX, 1 << 63, 1 << 62, 1 << 50] {
        let broken = patient.with_inode("tail", 24, &size.to_le_bytes());
        assert_eq!(table(broken.find("tail")), Table::Inodes);
    }
}

#[test]
fn sq_09_a_block_size_of_other_bits_is_an_error() {
    let patient = Patient::new();
    for size in [
        0x00ff_ffff_u32,
        u32::MAX,
        4097,
        1 << 25,
        0x0100_1001,
        1 << 24,
    ] {
        let broken = patient.with_inode("blocks", 32, &size.to_le_bytes());
        assert_eq!(table(broken.read("blocks")), Table::Data, "{size:x}");
    }
}

#[test]
fn sq_10_a_fragment_that_is_not_there_is_an_error() {
    let patient = Patient::new();
    // An extended inode: number and offset of its fragment stand 44 and 48 bytes in.
    for (field, value) in [(44, 1_u32 << 31), (44, 999), (48, 1 << 31), (48, 4095)] {
        let broken = patient.with_inode("tail", field, &value.to_le_bytes());
        assert_eq!(table(broken.find("tail")), Table::Inodes);
    }
}

#[test]
fn sq_11_a_symlink_of_no_or_absurd_length_is_an_error() {
    let patient = Patient::new();
    for len in [0, u32::MAX, 4096, 65_536] {
        let broken = patient.with_inode("link", 20, &len.to_le_bytes());
        assert_eq!(table(broken.find("link")), Table::Inodes);
    }
    let broken = patient.with_inode("link", 24, b"\0");
    let archive = broken.open().unwrap();
    let link = broken.find("link").unwrap();
    assert_eq!(table(archive.symlink_target(&link)), Table::Inodes);
}

#[test]
fn sq_12_a_name_that_leads_elsewhere_is_an_error_of_its_directory() {
    let patient = Patient::new();
    // An entry's name of four bytes, its length (less one) in the two bytes before.
    let at = patient.place_of(b"0030");
    for (from, bytes) in [
        (at, &b"00/0"[..]),
        (at, b"/etc"),
        (at, b"00\x000"),
        (at - 2, b"\x00\x00."),
        (at - 2, b"\x01\x00.."),
        (at, b"0029"),
        (at, b"0028"),
        (at, b"zzzz"),
        (at - 2, b"\xff\xff"),
    ] {
        let broken = patient.with(from, bytes);
        assert_eq!(table(broken.list("dir")), Table::Directories, "{bytes:?}");
        assert_eq!(broken.list(""), Ok(4));
    }
}

#[test]
fn sq_13_a_directory_in_itself_is_no_endless_walk() {
    let patient = Patient::new();
    // The entry of "inner" in "dir": its offset, number, kind and length stand before the name.
    let at = patient.place_of(b"\x04\x00inner") - 6;
    let root = patient.open().unwrap().root_ref().0 as u16;
    let broken = patient.with(at, &root.to_le_bytes());
    let archive = broken.open().unwrap();
    let last = archive.walk(&archive.root().unwrap(), 1000).last().unwrap();
    assert_eq!(table(last), Table::Directories);
    assert_eq!(broken.list("dir/inner"), Ok(4));
    let deep = "dir/inner/".repeat(10_000);
    assert_eq!(
        archive.resolve(deep.as_bytes(), true),
        archive.root().map(Some)
    );
}

#[test]
fn sq_15_ids_and_xattrs_beyond_their_tables_are_errors_of_their_inode() {
    let patient = Patient::new();
    let broken = patient.with_inode("blocks", 4, &999_u16.to_le_bytes());
    assert_eq!(table(broken.find("blocks")), Table::Ids);
    assert!(refusal(&patient.with(26, &0_u16.to_le_bytes())).contains("no ids"));
    assert!(refusal(&patient.with(56, &(1_u64 << 62).to_le_bytes())).contains("xattr"));
    // "tail" has xattrs, so its inode is extended, and their index stands 52 bytes in.
    let broken = patient.with_inode("tail", 52, &999_u32.to_le_bytes());
    let archive = broken.open().unwrap();
    let xattrs = archive.xattrs(&broken.find("tail").unwrap());
    assert_eq!(table(xattrs), Table::Xattrs);
    assert_eq!(broken.read("tail"), Ok(13));
}

/// Asks an image for everything, within bounds; what is wrong may be an error and nothing else.
fn explore(archive: &Archive) {
    let Ok(root) = archive.root() else { return };
    for entry in archive.walk(&root, 16).take(500) {
        let Ok(entry) = entry else { break };
        explore_inode(archive, &entry.inode);
        let _ = archive.resolve(&entry.path, true);
    }
    for number in 1..archive.superblock().inode_count.min(100) {
        if let Ok(Some(place)) = archive.inode_ref(number)
            && let Ok(inode) = archive.inode(place)
        {
            explore_inode(archive, &inode);
        }
    }
}

fn explore_inode(archive: &Archive, inode: &Inode) {
    let mut out = Vec::new();
    let _ = archive.xattrs(inode);
    match inode.kind {
        InodeKind::File => {
            for offset in [0, 4000, inode.size / 2, inode.size.saturating_sub(10)] {
                out.clear();
                if let Ok(count) = archive.read(inode, offset, 10_000, &mut out) {
                    assert!(count <= 10_000 && out.len() == count);
                }
            }
        }
        InodeKind::Directory => {
            let _ = archive.parent(inode);
            let _ = archive.lookup(inode, b"0030");
            let _ = archive
                .read_dir_from(inode, 40)
                .map(|rest| rest.take(500).count());
        }
        InodeKind::Symlink => {
            let target = archive.symlink_target(inode);
            assert!(target.is_err() || target.is_ok_and(|target| target.len() < 4096));
        }
        _ => {}
    }
}

/// The most memory this process ever had, in bytes.
fn peak_memory() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    kib.unwrap().parse::<usize>().unwrap() << 10
}

#[test]
fn sq_16_no_mutation_of_an_image_panics_or_bloats() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 16) as usize % below
    };
    let mut opened = 0;
    for (rounds, options) in [
        (500, &["-noI", "-noX", "-noD", "-noF", "-b", "4K"][..]),
        (100, &["-comp", "zstd", "-b", "4K"]),
        (100, &["-comp", "xz"]),
        (100, &["-comp", "lz4"]),
        (100, &["-comp", "gzip", "-no-exports"]),
    ] {
        let patient = Patient::packed(options);
        let tables = u64::from_le_bytes(patient.0[64..72].try_into().unwrap()) as usize;
        let used = u64::from_le_bytes(patient.0[40..48].try_into().unwrap()) as usize;
        for round in 0..rounds {
            let mut image = patient.0.clone();
            for _ in 0..=random(4) {
                // Most changes go where the structure is; a few to the superblock and the data.
                let at = match random(10) {
                    0 => random(96),
                    1 => random(tables),
                    _ => tables + random(used - tables),
                };
                match round % 3 {
                    0 => image[at] ^= 1 << random(8),
                    1 => image[at] = random(256) as u8,
                    _ => image[at] = [0, 0xff, 0x7f, 0x80][random(4)],
                }
            }
            if let Ok(archive) = Patient(image).open() {
                opened += 1;
                explore(&archive);
            }
        }
    }
    assert!(opened > 400, "only {opened} of 900 got past the superblock");
    let peak = peak_memory();
    assert!(peak < 256 << 20, "{peak} bytes of memory");
}
