//! The door of these tests: make a tree, let mksquashfs pack it, open it.
#![allow(
    dead_code,
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "tests make and read files; the crate does not, and each test uses its part of this"
)]

use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use squashfs::{Archive, Caches, Inode, InodeKind, ReadAt};

/// A file that counts what is read of it.
pub(crate) struct CountingFile {
    file: File,
    len: u64,
    pub(crate) bytes: AtomicU64,
}

impl CountingFile {
    pub(crate) fn open(path: &Path) -> Self {
        let file = File::open(path).unwrap();
        let len = file.metadata().unwrap().len();
        Self {
            file,
            len,
            bytes: AtomicU64::new(0),
        }
    }
}

impl ReadAt for CountingFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let count = self.file.read_at(buf, offset)?;
        self.bytes.fetch_add(count as u64, Relaxed);
        Ok(count)
    }

    fn len(&self) -> u64 {
        self.len
    }
}

/// A source tree and the image that mksquashfs made of it.
pub(crate) struct Made {
    folder: tempfile::TempDir,
    pub(crate) source: Arc<CountingFile>,
    pub(crate) archive: Archive,
}

impl Made {
    /// Packs the tree that `fill` makes, with more arguments for mksquashfs.
    pub(crate) fn new(fill: impl FnOnce(&Path), arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("tree");
        fs::create_dir(&tree).unwrap();
        fill(&tree);
        pack(&tree, &folder.path().join("image"), arguments);
        let source = Arc::new(CountingFile::open(&folder.path().join("image")));
        let archive = Archive::open(source.clone(), &Caches::default()).unwrap();
        Self {
            folder,
            source,
            archive,
        }
    }

    pub(crate) fn tree(&self) -> PathBuf {
        self.folder.path().join("tree")
    }

    pub(crate) fn image(&self) -> PathBuf {
        self.folder.path().join("image")
    }

    /// The inode at `path`, links not followed.
    pub(crate) fn at(&self, path: &str) -> Inode {
        let found = self.archive.resolve(path.as_bytes(), false).unwrap();
        found.unwrap_or_else(|| panic!("{path} is not in the image"))
    }

    /// The whole content of the file at `path`.
    pub(crate) fn content(&self, path: &str) -> Vec<u8> {
        content(&self.archive, &self.at(path))
    }

    /// Compares every name, attribute, target and byte with the source; returns how many names.
    pub(crate) fn compare(&self) -> usize {
        let mut count = 0;
        for entry in self.archive.walk(&self.archive.root().unwrap(), 64) {
            let entry = entry.unwrap();
            let path = self.tree().join(std::ffi::OsStr::from_bytes(&entry.path));
            compare(&self.archive, &entry.inode, &path);
            count += 1;
        }
        count
    }
}

pub(crate) fn content(archive: &Archive, inode: &Inode) -> Vec<u8> {
    let mut out = Vec::new();
    // An odd length, so that reads begin and end everywhere in blocks.
    while archive
        .read(inode, out.len() as u64, 98_765, &mut out)
        .unwrap()
        > 0
    {}
    out
}

pub(crate) fn pack(tree: &Path, image: &Path, arguments: &[&str]) {
    let output = Command::new("mksquashfs")
        .arg(tree)
        .arg(image)
        .args(["-noappend", "-no-progress", "-quiet"])
        .args(arguments)
        .output()
        .expect("mksquashfs is installed");
    assert!(output.status.success(), "{output:?}");
}

fn compare(archive: &Archive, inode: &Inode, path: &Path) {
    let meta = fs::symlink_metadata(path).unwrap();
    let kind = meta.file_type();
    let expected = if kind.is_dir() {
        InodeKind::Directory
    } else if kind.is_file() {
        InodeKind::File
    } else if kind.is_symlink() {
        InodeKind::Symlink
    } else if kind.is_block_device() {
        InodeKind::BlockDevice
    } else if kind.is_char_device() {
        InodeKind::CharDevice
    } else if kind.is_fifo() {
        InodeKind::Fifo
    } else {
        InodeKind::Socket
    };
    assert_eq!(inode.kind, expected, "{path:?}");
    let mode = (meta.permissions().mode() & 0o7777) as u16;
    let seen = (inode.mode, inode.uid, inode.gid, i64::from(inode.mtime));
    assert_eq!(
        seen,
        (mode, meta.uid(), meta.gid(), meta.mtime()),
        "{path:?}"
    );
    assert_eq!(u64::from(inode.nlink), meta.nlink(), "{path:?}");
    match inode.kind {
        InodeKind::File => {
            assert_eq!(inode.size, meta.len(), "{path:?}");
            assert!(
                content(archive, inode) == fs::read(path).unwrap(),
                "content of {path:?}"
            );
        }
        InodeKind::Symlink => {
            let target = archive.symlink_target(inode).unwrap();
            assert_eq!(target, fs::read_link(path).unwrap().as_os_str().as_bytes());
        }
        InodeKind::BlockDevice | InodeKind::CharDevice => {
            let rdev = meta.rdev();
            let device = (rustix::fs::major(rdev), rustix::fs::minor(rdev));
            assert_eq!(inode.device(), Some(device));
        }
        _ => {}
    }
}

/// `len` bytes that compress to about half, different for each seed.
pub(crate) fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut out = Vec::with_capacity(len + 16);
    while out.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend_from_slice(&state.to_le_bytes());
        out.extend_from_slice(b"the same");
    }
    out.truncate(len);
    out
}

/// A tree with one of everything.
pub(crate) fn one_of_each(tree: &Path) {
    use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
    fs::write(tree.join("empty"), b"").unwrap();
    fs::write(tree.join("short"), b"a few bytes").unwrap();
    fs::write(tree.join("long"), noise(3_333_333, 1)).unwrap();
    fs::write(tree.join("exact"), noise(1 << 20, 2)).unwrap();
    fs::write(tree.join("zeros"), vec![0; 1 << 20]).unwrap();
    fs::write(tree.join("incompressible"), {
        let noise = noise(600_000, 3);
        noise
            .chunks(16)
            .flat_map(|chunk| &chunk[..8.min(chunk.len())])
            .copied()
            .collect::<Vec<u8>>()
    })
    .unwrap();
    let sparse = File::create(tree.join("sparse")).unwrap();
    sparse.write_at(b"in the middle", 5_000_000).unwrap();
    sparse.set_len(9_000_001).unwrap();
    fs::hard_link(tree.join("long"), tree.join("long again")).unwrap();
    fs::create_dir_all(tree.join("deep/er/and/deeper")).unwrap();
    fs::write(tree.join("deep/er/file"), noise(50_000, 4)).unwrap();
    fs::create_dir(tree.join("nothing in it")).unwrap();
    std::os::unix::fs::chown(tree.join("short"), Some(4_000_000_000), Some(1234)).unwrap();
    fs::set_permissions(tree.join("short"), fs::Permissions::from_mode(0o4751)).unwrap();
    std::os::unix::fs::symlink("deep/er", tree.join("link")).unwrap();
    std::os::unix::fs::symlink("x".repeat(4095), tree.join("long link")).unwrap();
    std::os::unix::fs::symlink("y".repeat(256), tree.join("link of 256")).unwrap();
    let odd = std::ffi::OsStr::from_bytes(b"not \xff utf-8 \n");
    fs::write(tree.join(odd), b"odd").unwrap();
    fs::write(tree.join("n".repeat(255)), b"long name").unwrap();
    let mode = Mode::from_raw_mode(0o640);
    for (name, kind, device) in [
        ("char", FileType::CharacterDevice, makedev(5, 1)),
        ("block", FileType::BlockDevice, makedev(259, 70_000)),
        ("fifo", FileType::Fifo, 0),
        ("socket", FileType::Socket, 0),
    ] {
        mknodat(CWD, tree.join(name), kind, mode, device).unwrap();
    }
}
