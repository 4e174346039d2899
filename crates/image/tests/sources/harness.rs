//! The door: a tree with everything that is hard to carry, and the image of a source.

use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use image::progress::{Progress, Stage};
use image::scrub::Rules;
use image::source::{Source, SourceOptions};
use image::squash::{self, Options};
use rustix::fs::{CWD, FileType, Mode, XattrFlags};
use squashfs::{Archive, Caches};

/// A folder for one test.
pub(crate) struct Lab {
    folder: tempfile::TempDir,
}

impl Lab {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self { folder }
    }

    pub(crate) fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(path)
    }

    pub(crate) fn put(&self, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.at(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(&path, content).expect("a file");
        path
    }

    /// Runs a shell command in the folder.
    pub(crate) fn sh(&self, command: &str) -> &Self {
        let mut shell = Command::new("sh");
        let status = shell.args(["-ec", command]).current_dir(self.folder.path());
        assert!(status.status().expect("a shell").success(), "{command}");
        self
    }

    /// The image of `sources`, each below the folder.
    pub(crate) fn image(&self, sources: &[&str]) -> Image {
        self.try_image(sources).expect("an image")
    }

    pub(crate) fn refused(&self, sources: &[&str]) -> String {
        match self.try_image(sources) {
            Err(error) => error.to_string(),
            Ok(_) => panic!("{sources:?} made an image"),
        }
    }

    pub(crate) fn try_image(&self, sources: &[&str]) -> Result<Image, squash::Error> {
        self.image_with(sources, &SourceOptions::default(), Rules::none())
    }

    pub(crate) fn image_with(
        &self,
        sources: &[&str],
        options: &SourceOptions,
        rules: Rules,
    ) -> Result<Image, squash::Error> {
        let paths: Vec<_> = sources.iter().map(|source| self.at(source)).collect();
        let (notes, stop) = (Notes::default(), AtomicBool::new(false));
        let source = Source::open(&paths, options, rules, &self.at("state"), &notes, &stop)?;
        let survey = source.survey(&notes, &stop)?;
        let file = tempfile::tempfile().unwrap();
        let out = file.try_clone().unwrap();
        let mut entries = source.entries(&notes);
        let summary = squash::write(&mut entries, out, &Options::default(), &notes, &stop)?;
        assert!(summary.file_bytes >= survey.bytes, "{summary:?} {survey:?}");
        let left = fs::read_dir(self.at("state")).map_or(0, Iterator::count);
        assert_eq!(left, 0, "files were left in the spool's folder");
        Ok(Image {
            bytes: Arc::new(read_back(file)),
            notes: notes.text(),
            description: source.description().to_owned(),
        })
    }

    /// Everything that is hard to carry, in `tree`.
    pub(crate) fn nasty_tree(&self) -> &Self {
        let tree = self.at("tree");
        let at = |path: &str| tree.join(path);
        for (path, length) in [
            ("a/x", 10),
            ("a.b", 0),
            ("a-b", 4096),
            ("usr/bin/tool", 131_072),
            ("usr/bin/long", 300_001),
            ("usr/lib/zz/long-again", 300_001),
            ("z", 131_073),
        ] {
            self.put(&format!("tree/{path}"), noise(length));
        }
        for (link, target) in [
            ("lib".to_owned(), "usr/lib".to_owned()),
            ("dangling".to_owned(), "x".repeat(1000)),
        ] {
            symlink(target, at(&link)).expect("a symbolic link");
        }
        let deep = "deep/".repeat(60);
        self.put(&format!("tree/{deep}{}", "n".repeat(255)), "deep");
        let raw = std::ffi::OsStr::from_bytes(b"not-utf8-\xff\xfe");
        fs::write(tree.join(raw), "raw").expect("a file");
        fs::hard_link(at("usr/bin/tool"), at("A-first-name")).expect("a link");
        fs::hard_link(at("usr/bin/tool"), at("usr/lib/last-name")).expect("a link");
        fs::hard_link(at("lib"), at("usr/lib-link")).expect("a link of a link");
        let sparse = File::create(at("sparse")).expect("a file");
        sparse.write_all_at(b"begin", 200_000).expect("written");
        sparse.write_all_at(b"end", 5_000_000).expect("written");
        sparse.set_len(9_000_001).expect("a length");
        File::create(at("all-hole"))
            .and_then(|f| f.set_len(1 << 20))
            .expect("a hole");
        let special = |name: &str, kind, number| {
            let mode = Mode::from_raw_mode(0o640);
            rustix::fs::mknodat(CWD, at(name), kind, mode, number)
                .expect("a node (tests run as root)");
        };
        special("pipe", FileType::Fifo, 0);
        special("null", FileType::CharacterDevice, rustix::fs::makedev(1, 3));
        special(
            "disk",
            FileType::BlockDevice,
            rustix::fs::makedev(259, 70_000),
        );
        let attribute = |path: &str, name: &str, value: &[u8]| {
            rustix::fs::setxattr(at(path), name, value, XattrFlags::empty()).expect("an attribute");
        };
        attribute("usr/bin/tool", "security.capability", CAPABILITY);
        attribute("a", "user.of-a-folder", b"with = and \n and \x00\xff");
        attribute("z", "user.large", &[b'v'; 300]);
        attribute("z", "user.empty", b"");
        let mode = |path: &str, mode| {
            fs::set_permissions(at(path), fs::Permissions::from_mode(mode)).expect("a mode");
        };
        std::os::unix::fs::chown(at("a.b"), Some(100_000), Some(3_000_000_000)).expect("an owner");
        std::os::unix::fs::lchown(at("dangling"), Some(7), Some(8)).expect("an owner");
        mode("usr/bin/long", 0o6755);
        mode("a", 0o1777);
        self.sh("find tree -depth -exec touch -h -d @1700000000.75 {} +");
        self.sh("touch -h -d @1234567890 tree/a tree/dangling tree; touch -d @-1000 tree/z")
    }
}

/// `cap_net_raw=ep`, as the kernel stores it.
const CAPABILITY: &[u8] = &[1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Bytes that compress a little.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 60) as u8
    })
    .take(length)
    .collect()
}

/// A written image.
pub(crate) struct Image {
    pub(crate) bytes: Arc<Vec<u8>>,
    pub(crate) notes: String,
    pub(crate) description: String,
}

impl Image {
    fn archive(&self) -> Archive {
        let source: Arc<Vec<u8>> = Arc::clone(&self.bytes);
        Archive::open(source, &Caches::new(1 << 20, 4 << 20)).expect("an image that opens")
    }

    /// Every path below the root.
    pub(crate) fn paths(&self) -> Vec<String> {
        let archive = self.archive();
        let root = archive.root().expect("a root");
        let entries = archive.walk(&root, 4096);
        entries
            .map(|entry| String::from_utf8_lossy(&entry.expect("a sound image").path).into_owned())
            .collect()
    }

    pub(crate) fn content(&self, path: &str) -> String {
        let archive = self.archive();
        let inode = archive
            .resolve(path.as_bytes(), false)
            .expect("a sound image");
        let inode = inode.unwrap_or_else(|| panic!("{path} is not in the image"));
        let mut content = Vec::new();
        archive
            .read(&inode, 0, usize::MAX, &mut content)
            .expect("a readable file");
        String::from_utf8_lossy(&content).into_owned()
    }

    pub(crate) fn assert_same(&self, other: &Self, what: &str) {
        if self.bytes != other.bytes {
            let (ours, theirs) = (self.listing(), other.listing());
            for (our, their) in ours.iter().zip(&theirs) {
                assert_eq!(our, their, "{what}");
            }
            assert_eq!(ours.len(), theirs.len(), "{what}");
            panic!("{what}: the listings are the same, and the bytes are not");
        }
    }

    /// A line for each name, with all that is kept of it but the content.
    fn listing(&self) -> Vec<String> {
        let archive = self.archive();
        let root = archive.root().expect("a root");
        let entries = archive.walk(&root, 4096).map(|entry| {
            let entry = entry.expect("a sound image");
            let i = &entry.inode;
            let xattrs = archive.xattrs(i).expect("attributes");
            format!(
                "{} {:?} {:o} {}:{} {} {} links {} device {:?} {xattrs:?}",
                String::from_utf8_lossy(&entry.path),
                i.kind,
                i.mode,
                i.uid,
                i.gid,
                i.mtime,
                i.size,
                i.nlink,
                i.device(),
            )
        });
        let of_root = format!("/ {:o} {}:{} {}", root.mode, root.uid, root.gid, root.mtime);
        std::iter::once(of_root).chain(entries).collect()
    }
}

/// Collects notes.
#[derive(Default)]
pub(crate) struct Notes(Mutex<Vec<String>>);

impl Notes {
    pub(crate) fn text(&self) -> String {
        self.0.lock().expect("no panic").join("\n")
    }
}

impl Progress for Notes {
    fn stage(&self, _stage: Stage, _total: Option<u64>) {}
    fn advance(&self, _amount: u64) {}
    fn note(&self, text: &str) {
        self.0.lock().expect("no panic").push(text.to_owned());
    }
}

/// Numbers that are the same in every run.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) as usize % limit
    }

    /// Any byte, the extreme ones more often.
    pub(crate) fn byte(&mut self) -> u8 {
        match self.below(4) {
            0 => 0,
            1 => 0xff,
            _ => self.below(256) as u8,
        }
    }
}

/// What was written to a file.
pub(crate) fn read_back(mut file: File) -> Vec<u8> {
    use std::io::{Read, Seek};
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}
