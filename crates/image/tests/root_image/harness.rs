//! The door: a tree is said in a line for each name, written, and read back.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Seek, SeekFrom, Write};
use std::num::NonZeroUsize;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use image::entry::{Content, Entry, Kind, Xattr};
use image::progress::{Progress, Stage};
use image::source;
use image::squash::{self, BlockSize, Error, Options, Summary};
use squashfs::{Archive, Caches, Inode};

/// Small blocks, so that small files have many; two threads, so that order can go wrong.
pub(crate) fn options() -> Options {
    Options {
        block_size: BlockSize::new(4096).expect("a block size"),
        threads: NonZeroUsize::new(2).expect("not zero"),
        ..Options::default()
    }
}

/// Collects notes.
#[derive(Default)]
pub(crate) struct Notes(Mutex<Vec<String>>);

impl Progress for Notes {
    fn stage(&self, _stage: Stage, _total: Option<u64>) {}
    fn advance(&self, _amount: u64) {}
    fn note(&self, text: &str) {
        self.0
            .lock()
            .expect("no test panics while it holds this")
            .push(text.to_owned());
    }
}

impl Notes {
    pub(crate) fn text(&self) -> String {
        self.0
            .lock()
            .expect("no test panics while it holds this")
            .join("\n")
    }
}

/// Entries in the order in which they are said, after a root directory.
pub(crate) struct Tree {
    entries: Vec<Entry>,
}

impl Tree {
    pub(crate) fn new() -> Self {
        Self {
            entries: Vec::new(),
        }
        .entry("", 0o755, Kind::Directory)
    }

    pub(crate) fn bare() -> Self {
        Self {
            entries: Vec::new(),
        }
    }

    pub(crate) fn entry(mut self, path: impl AsRef<[u8]>, mode: u16, kind: Kind) -> Self {
        self.entries.push(Entry {
            path: path.as_ref().to_vec(),
            mode,
            uid: 0,
            gid: 0,
            mtime: 1_700_000_000,
            xattrs: Vec::new(),
            linked: true,
            kind,
        });
        self
    }

    pub(crate) fn dir(self, path: impl AsRef<[u8]>) -> Self {
        self.entry(path, 0o755, Kind::Directory)
    }

    pub(crate) fn file(self, path: impl AsRef<[u8]>, content: impl Into<Vec<u8>>) -> Self {
        let content = content.into();
        let size = content.len() as u64;
        self.promised(path, size, content)
    }

    /// A file that promises `size` bytes, whatever its content holds.
    pub(crate) fn promised(
        self,
        path: impl AsRef<[u8]>,
        size: u64,
        content: impl Content + 'static,
    ) -> Self {
        let content = Box::new(content);
        self.entry(path, 0o644, Kind::File { size, content })
    }

    pub(crate) fn link(self, path: &str, first: &str) -> Self {
        self.entry(path, 0, Kind::HardLink(first.into()))
    }

    pub(crate) fn symlink(self, path: &str, target: impl Into<Vec<u8>>) -> Self {
        self.entry(path, 0o777, Kind::Symlink(target.into()))
    }

    /// Changes the entry that was said last.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Entry)) -> Self {
        change(self.entries.last_mut().expect("an entry was said"));
        self
    }

    pub(crate) fn xattr(self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        let xattr = Xattr {
            name: name.into(),
            value: value.into(),
        };
        self.with(|entry| entry.xattrs.push(xattr))
    }

    /// Puts the entries into the order of their paths; for flat trees.
    pub(crate) fn sorted(mut self) -> Self {
        self.entries.sort_by(|a, b| a.path.cmp(&b.path));
        self
    }

    pub(crate) fn into_entries(self) -> impl Iterator<Item = Result<Entry, source::Error>> {
        self.entries.into_iter().map(Ok)
    }

    pub(crate) fn write(self) -> Image {
        self.write_with(&options())
    }

    pub(crate) fn write_with(self, options: &Options) -> Image {
        let notes = Notes::default();
        let disk = Memory::default();
        let summary = self
            .try_write(&disk, options, &notes, &AtomicBool::new(false))
            .expect("an image");
        Image {
            bytes: disk.bytes(),
            summary,
            notes: notes.text(),
        }
    }

    pub(crate) fn refused(self) -> Error {
        let stop = AtomicBool::new(false);
        self.try_write(&Memory::default(), &options(), &(), &stop)
            .expect_err("a refusal")
    }

    pub(crate) fn try_write(
        self,
        disk: &Memory,
        options: &Options,
        progress: &dyn Progress,
        stop: &AtomicBool,
    ) -> Result<Summary, Error> {
        squash::write(
            &mut self.into_entries(),
            disk.clone(),
            options,
            progress,
            stop,
        )
    }
}

/// A disk in memory; its clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<Cursor<Vec<u8>>>>);

impl Memory {
    pub(crate) fn bytes(&self) -> Arc<Vec<u8>> {
        Arc::new(self.0.lock().expect("a disk").get_ref().clone())
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("a disk").write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Memory {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.lock().expect("a disk").seek(to)
    }
}

/// A written image.
pub(crate) struct Image {
    pub(crate) bytes: Arc<Vec<u8>>,
    pub(crate) summary: Summary,
    pub(crate) notes: String,
}

impl Image {
    pub(crate) fn archive(&self) -> Archive {
        let source: Arc<Vec<u8>> = Arc::clone(&self.bytes);
        Archive::open(source, &Caches::new(1 << 20, 4 << 20)).expect("an image that opens")
    }

    pub(crate) fn inode(&self, path: &str) -> Inode {
        let found = self
            .archive()
            .resolve(path.as_bytes(), false)
            .expect("a sound image");
        found.unwrap_or_else(|| panic!("{path} is not in the image"))
    }

    pub(crate) fn content(&self, path: &str) -> Vec<u8> {
        let mut content = Vec::new();
        let inode = self.inode(path);
        self.archive()
            .read(&inode, 0, usize::MAX, &mut content)
            .expect("a readable file");
        content
    }

    /// Every path below the root.
    pub(crate) fn paths(&self) -> Vec<String> {
        let archive = self.archive();
        let root = archive.root().expect("a root");
        archive
            .walk(&root, 64)
            .map(|entry| String::from_utf8_lossy(&entry.expect("a sound image").path).into_owned())
            .collect()
    }

    /// What backhand makes of it: regular files and their content.
    pub(crate) fn files_by_backhand(&self) -> BTreeMap<String, Vec<u8>> {
        let reader = Cursor::new(self.bytes.as_slice().to_vec());
        let image = backhand::FilesystemReader::from_reader(reader).expect("backhand opens it");
        let mut files = BTreeMap::new();
        for node in image.files() {
            if let backhand::InnerNode::File(file) = &node.inner {
                let mut content = Vec::new();
                io::Read::read_to_end(&mut image.file(file).reader(), &mut content)
                    .expect("backhand reads it");
                let path = node
                    .fullpath
                    .to_string_lossy()
                    .trim_start_matches('/')
                    .to_owned();
                files.insert(path, content);
            }
        }
        files
    }
}

/// `length` bytes that do not compress, other ones for each `seed`.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    })
    .take(length)
    .collect()
}
