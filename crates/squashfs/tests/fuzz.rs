//! Whatever an image holds: an error, and no panic, no endless loop, no memory by a claimed size.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "tests make files; the crate does not"
)]

mod common;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use squashfs::{Archive, Caches, Inode, InodeKind, ReadAt};

/// An image in memory.
struct Image(Vec<u8>);

impl ReadAt for Image {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> std::io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|at| self.0.get(at..));
        let rest = rest.unwrap_or_default();
        let count = rest.len().min(buf.len());
        buf[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn len(&self) -> u64 {
        self.0.len() as u64
    }
}

/// Little of everything, so that most changes hit the structure.
fn little(tree: &Path) {
    fs::create_dir_all(tree.join("directory/below")).unwrap();
    fs::write(tree.join("file"), b"some text, some text").unwrap();
    fs::write(tree.join("blocks"), common::noise(10_000, 1)).unwrap();
    fs::write(tree.join("directory/empty"), b"").unwrap();
    fs::hard_link(tree.join("file"), tree.join("directory/again")).unwrap();
    std::os::unix::fs::symlink("../file", tree.join("directory/link")).unwrap();
    for number in 0..40 {
        fs::write(tree.join(format!("directory/below/{number:04}")), b"x").unwrap();
    }
    let hole = fs::File::create(tree.join("hole")).unwrap();
    hole.set_len(50_000).unwrap();
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(tree.join("file"), "user.note", b"value", flags).unwrap();
}

fn seeds() -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let (tree, image) = (folder.path().join("tree"), folder.path().join("image"));
    fs::create_dir(&tree).unwrap();
    little(&tree);
    let options = [
        &["-noI", "-noX", "-noD", "-noF", "-b", "4K"][..],
        &["-noI", "-no-exports", "-b", "4K"],
        &["-comp", "gzip"],
        &["-comp", "xz"],
        &["-comp", "lzo", "-b", "4K"],
        &["-comp", "lz4", "-b", "4K"],
        &["-comp", "zstd"],
    ];
    let packed = options.map(|options| {
        common::pack(&tree, &image, &[options, &["-nopad"]].concat());
        fs::read(&image).unwrap()
    });
    packed.into()
}

/// Asks for everything, within bounds.
fn explore(archive: &Archive) {
    let Ok(root) = archive.root() else { return };
    for entry in archive.walk(&root, 16).take(200) {
        let Ok(entry) = entry else { break };
        explore_inode(archive, &entry.inode);
        // An answer or an error.
        let _ = archive.resolve(&entry.path, true);
    }
    for number in 1..archive.superblock().inode_count.min(50) {
        if let Ok(Some(place)) = archive.inode_ref(number)
            && let Ok(inode) = archive.inode(place)
        {
            explore_inode(archive, &inode);
        }
    }
}

fn explore_inode(archive: &Archive, inode: &Inode) {
    // Answers or errors.
    let _ = (
        archive.xattrs(inode),
        archive.parent(inode),
        archive.lookup(inode, b"0030"),
    );
    let mut out = Vec::new();
    for offset in [0, 4000, inode.size / 2, inode.size.saturating_sub(10)] {
        out.clear();
        if let Ok(count) = archive.read(inode, offset, 10_000, &mut out) {
            assert!(count <= 10_000 && out.len() == count);
        }
    }
    if inode.kind == InodeKind::Directory {
        let rest = archive.read_dir_from(inode, 20);
        let _ = rest.map(|rest| rest.take(500).count());
    }
    if let Ok(target) = archive.symlink_target(inode) {
        assert!(target.len() <= 4096);
    }
}

#[test]
fn images() {
    let seeds = seeds();
    fuzz::run("images", &seeds, |bytes| {
        let image = Arc::new(Image(bytes.to_vec()));
        if let Ok(archive) = Archive::open(image, &Caches::default()) {
            explore(&archive);
        }
    });
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
    assert!(peak.unwrap() < 256 << 10, "{peak:?} KiB of memory");
}
