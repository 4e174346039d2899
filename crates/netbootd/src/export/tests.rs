//! The export, asked as the `nfs` crate asks it, over real images.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use model::GenerationId;
use nfs::{FileHandle, FileKind, ReadOnlyFs, Status};
use squashfs::Caches;

use super::{Access, ExportFs, ExportedGeneration, HandleKey};

mod access;
mod fuzzing;

const KEY: [u8; 16] = *b"sixteen bytes!!!";
const OLD: GenerationId = GenerationId([1; 16]);
const NEW: GenerationId = GenerationId([2; 16]);

/// Two generations of one image, and a file system that exports them.
struct Lab {
    folder: tempfile::TempDir,
    fs: ExportFs,
}

impl Lab {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("old", "the old one"), ("new", "the new one")] {
            let tree = folder.path().join(name);
            fs::create_dir_all(tree.join("etc/deep")).unwrap();
            fs::write(tree.join("etc/motd"), text).unwrap();
            fs::write(tree.join("etc/deep/big"), name.repeat(100_000)).unwrap();
            std::os::unix::fs::symlink("etc", tree.join("link")).unwrap();
            fs::create_dir(tree.join("many")).unwrap();
            for number in 0..if name == "new" { 600 } else { 0 } {
                fs::write(tree.join(format!("many/{number}")), b"").unwrap();
            }
            pack(&tree, &folder.path().join(format!("{name}.squashfs")));
        }
        let lab = Self {
            fs: ExportFs::new(HandleKey::new(KEY), Access::default()),
            folder,
        };
        lab.fs.publish(lab.snapshot(true));
        lab
    }

    fn image(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.squashfs"))
    }

    /// Both generations of `demo`; the new one is current if `new` says so.
    fn snapshot(&self, new: bool) -> Vec<ExportedGeneration> {
        let caches = Caches::default();
        let open = |id, file, current| {
            let name = "demo".parse().unwrap();
            ExportedGeneration::open(name, id, &self.image(file), &caches, current).unwrap()
        };
        vec![open(OLD, "old", !new), open(NEW, "new", new)]
    }

    fn mount(&self, path: &str) -> FileHandle {
        self.fs.mount(client(), path.as_bytes()).unwrap()
    }

    /// The handle of `path` by one LOOKUP for each of its names.
    fn walk(&self, path: &str) -> Result<FileHandle, Status> {
        let names = path.split('/').filter(|name| !name.is_empty());
        names.into_iter().try_fold(self.mount("/"), |at, name| {
            self.fs.lookup(&at, name.as_bytes()).map(|found| found.0)
        })
    }

    fn text(&self, handle: &FileHandle) -> String {
        let mut out = Vec::new();
        assert_eq!(self.fs.read(handle, 0, 4096, &mut out), Ok(true));
        String::from_utf8(out).unwrap()
    }

    /// Name and cookie of all entries behind `cookie`, at most `room` of them, and whether that
    /// is the end.
    fn list(&self, dir: &FileHandle, cookie: u64, room: usize) -> (Vec<(String, u64)>, bool) {
        let mut names = Vec::new();
        let end = self.fs.read_dir(
            dir,
            cookie,
            &mut |entry| {
                if names.len() == room {
                    return false;
                }
                assert_eq!(entry.attributes.unwrap().fileid, entry.fileid);
                assert_eq!(
                    self.fs.attributes(&entry.handle.unwrap()),
                    Ok(entry.attributes.unwrap())
                );
                names.push((String::from_utf8_lossy(entry.name).into(), entry.cookie));
                true
            },
            true,
        );
        (names, end.unwrap())
    }

    fn names(&self, path: &str) -> Vec<String> {
        let (names, end) = self.list(&self.walk(path).unwrap(), 0, usize::MAX);
        assert!(end);
        let mut names: Vec<_> = names.into_iter().map(|(name, _)| name).collect();
        names.sort();
        names
    }
}

fn pack(tree: &Path, image: &Path) {
    let output = Command::new("mksquashfs")
        .args([tree, image])
        .args(["-noappend", "-quiet", "-no-progress", "-comp", "lz4"])
        .output()
        .expect("mksquashfs is installed");
    assert!(output.status.success(), "{output:?}");
}

fn client() -> SocketAddr {
    "192.168.67.20:700".parse().unwrap()
}

#[test]
fn the_namespace_is_listed() {
    let lab = Lab::new();
    assert_eq!(lab.names("/"), [".", "..", "images", "roots"]);
    assert_eq!(lab.names("/images"), [".", "..", "demo"]);
    let (old, new) = (OLD.to_string(), NEW.to_string());
    assert_eq!(
        lab.names("/images/demo"),
        [".", "..", &old, &new, "root.squashfs"]
    );
    assert_eq!(
        lab.names(&format!("/images/demo/{old}")),
        [".", "..", "root.squashfs"]
    );
    let (old, new) = (format!("demo@{old}"), format!("demo@{new}"));
    assert_eq!(lab.names("/roots"), [".", "..", "demo", &old, &new]);
    assert_eq!(lab.names("/roots/demo"), [".", "..", "etc", "link", "many"]);
}

#[test]
fn a_name_without_a_generation_is_the_current_one() {
    let lab = Lab::new();
    assert_eq!(
        lab.text(&lab.walk("/roots/demo/etc/motd").unwrap()),
        "the new one"
    );
    let old = format!("/roots/demo@{OLD}/etc/motd");
    assert_eq!(lab.text(&lab.walk(&old).unwrap()), "the old one");
    lab.fs.publish(lab.snapshot(false));
    assert_eq!(
        lab.text(&lab.walk("/roots/demo/etc/motd").unwrap()),
        "the old one"
    );
}

#[test]
fn a_running_client_does_not_see_an_update() {
    let lab = Lab::new();
    let before = lab.walk("/roots/demo/etc/motd").unwrap();
    let image = lab.walk("/images/demo/root.squashfs").unwrap();
    let attributes = lab.fs.attributes(&before);
    lab.fs.publish(lab.snapshot(false));
    assert_eq!(lab.text(&before), "the new one");
    assert_eq!(lab.fs.attributes(&before), attributes);
    assert_ne!(image, lab.walk("/images/demo/root.squashfs").unwrap());
    assert!(lab.fs.attributes(&image).is_ok());
}

#[test]
fn what_can_be_mounted_is_what_can_be_walked_to() {
    let lab = Lab::new();
    let generation = format!("/images/demo/{NEW}");
    for path in [
        "/",
        "/images",
        "/images/demo",
        &generation,
        "/roots",
        "/roots/demo",
    ] {
        assert_eq!(lab.mount(path), lab.walk(path).unwrap(), "{path}");
    }
    let deep = format!("/roots/demo@{NEW}/etc/deep");
    assert_eq!(lab.mount(&deep), lab.walk("/roots/demo/etc/deep").unwrap());
    assert_eq!(lab.mount("/roots/demo/link"), lab.mount("/roots/demo/etc"));
    for (path, status) in [
        ("/srv", Status::NoEnt),
        ("/images/other", Status::NoEnt),
        ("/roots/demo@old", Status::NoEnt),
        ("/roots/demo/nothing", Status::NoEnt),
        ("/roots/demo/etc/motd", Status::NotDir),
        ("/images/demo/root.squashfs", Status::NotDir),
        ("/images/demo/root.squashfs/x", Status::NotDir),
    ] {
        assert_eq!(
            lab.fs.mount(client(), path.as_bytes()),
            Err(status),
            "{path}"
        );
    }
}

#[test]
fn the_way_up_ends_at_the_root_of_an_export() {
    let lab = Lab::new();
    let up = |path: &str| lab.fs.lookup(&lab.mount(path), b"..").unwrap().0;
    assert_eq!(up("/"), lab.mount("/"));
    assert_eq!(up("/images"), lab.mount("/"));
    assert_eq!(up("/images/demo"), lab.mount("/images"));
    assert_eq!(
        up(&format!("/images/demo/{OLD}")),
        lab.mount("/images/demo")
    );
    assert_eq!(up("/roots/demo"), lab.mount("/roots/demo"));
    assert_eq!(up("/roots/demo/etc/deep"), lab.mount("/roots/demo/etc"));
}

#[test]
fn a_listing_can_be_left_and_taken_up_again_anywhere() {
    let lab = Lab::new();
    for path in ["/", "/roots", "/roots/demo", "/roots/demo/many"] {
        let dir = lab.mount(path);
        let (all, _) = lab.list(&dir, 0, usize::MAX);
        let (mut seen, mut cookie, mut end) = (Vec::new(), 0, false);
        while !end {
            let (some, last) = lab.list(&dir, cookie, 3);
            cookie = some.last().map_or(cookie, |(_, cookie)| *cookie);
            seen.extend(some);
            end = last;
        }
        assert_eq!(seen, all, "{path}");
    }
}

#[test]
fn the_image_file_is_the_image() {
    let lab = Lab::new();
    let whole = fs::read(lab.image("new")).unwrap();
    let file = lab.walk("/images/demo/root.squashfs").unwrap();
    assert_eq!(lab.fs.attributes(&file).unwrap().size, whole.len() as u64);
    let mut out = Vec::new();
    assert_eq!(lab.fs.read(&file, 1000, 500, &mut out), Ok(false));
    assert_eq!(out, whole[1000..1500]);
    let range = lab.fs.file_range(&file, 1000, 1 << 20).unwrap().unwrap();
    assert_eq!(
        (range.offset, range.len as usize, range.eof),
        (1000, whole.len() - 1000, true)
    );
    let sent = lab.fs.file(range.file).unwrap();
    assert_eq!(sent.metadata().unwrap().len(), whole.len() as u64);
    let tree = lab.walk("/roots/demo/etc/motd").unwrap();
    assert_eq!(lab.fs.file_range(&tree, 0, 10), None);
}

#[test]
fn an_image_cut_short_while_served_is_an_error() {
    let lab = Lab::new();
    let (file, big) = (
        lab.walk("/images/demo/root.squashfs").unwrap(),
        lab.walk("/roots/demo/etc/deep/big").unwrap(),
    );
    let image = fs::OpenOptions::new()
        .write(true)
        .open(lab.image("new"))
        .unwrap();
    image.set_len(97).unwrap();
    let mut out = b"kept".to_vec();
    assert_eq!(lab.fs.read(&file, 0, 4096, &mut out), Err(Status::Io));
    assert_eq!(lab.fs.read(&big, 0, 4096, &mut out), Err(Status::Io));
    assert_eq!(out, b"kept");
}

#[test]
fn no_flipped_bit_of_a_handle_is_accepted() {
    let lab = Lab::new();
    for path in [
        "/",
        "/images/demo/root.squashfs",
        "/roots/demo",
        "/roots/demo/etc/motd",
    ] {
        let handle = lab.walk(path).unwrap();
        assert!(lab.fs.attributes(&handle).is_ok());
        for bit in 0..handle.as_bytes().len() * 8 {
            let mut bytes = handle.as_bytes().to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let flipped = FileHandle::new(&bytes).unwrap();
            assert_eq!(lab.fs.attributes(&flipped), Err(Status::BadHandle), "{bit}");
        }
    }
}

#[test]
fn no_random_tail_of_a_handle_is_accepted() {
    let lab = Lab::new();
    let handle = lab.mount("/roots/demo");
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for length in (0..2000).map(|round| 1 + round % 31) {
        let mut bytes = handle.as_bytes().to_vec();
        for byte in &mut bytes[32 - length..] {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            *byte = state as u8;
        }
        if bytes != handle.as_bytes() {
            let forged = FileHandle::new(&bytes).unwrap();
            assert_eq!(lab.fs.attributes(&forged), Err(Status::BadHandle));
        }
    }
}

#[test]
fn handles_of_other_lengths_are_refused() {
    let lab = Lab::new();
    let handle = lab.mount("/");
    for bytes in [
        &[0][..],
        &[0xff; 31],
        &handle.as_bytes()[..31],
        &handle.as_bytes()[1..],
    ] {
        let handle = FileHandle::new(bytes).unwrap();
        assert_eq!(lab.fs.attributes(&handle), Err(Status::BadHandle));
    }
}

#[test]
fn a_server_with_the_same_key_and_images_accepts_the_handles() {
    let lab = Lab::new();
    let other = ExportFs::new(HandleKey::new(KEY), Access::default());
    other.publish(lab.snapshot(true));
    let stranger = ExportFs::new(HandleKey::new([9; 16]), Access::default());
    stranger.publish(lab.snapshot(true));
    for path in [
        "/",
        "/images/demo",
        "/images/demo/root.squashfs",
        "/roots/demo/etc/motd",
    ] {
        let handle = lab.walk(path).unwrap();
        assert_eq!(
            other.attributes(&handle),
            lab.fs.attributes(&handle),
            "{path}"
        );
        assert_eq!(stranger.attributes(&handle), Err(Status::BadHandle));
    }
}

#[test]
fn handles_of_what_is_gone_are_stale() {
    let lab = Lab::new();
    let handles = [
        "/images/demo",
        "/images/demo/root.squashfs",
        "/roots/demo/etc",
    ]
    .map(|path| lab.walk(path).unwrap());
    lab.fs.publish(Vec::new());
    for handle in &handles {
        assert_eq!(lab.fs.attributes(handle), Err(Status::Stale));
        assert_eq!(lab.fs.lookup(handle, b"x"), Err(Status::Stale));
    }
    assert_eq!(
        lab.fs.file_range(&handles[1], 0, 1),
        Some(Err(Status::Stale))
    );
    assert_eq!(lab.names("/images"), [".", ".."]);
}

#[test]
fn each_generation_is_a_file_system_of_its_own() {
    let lab = Lab::new();
    let fsid = |path: &str| lab.fs.attributes(&lab.walk(path).unwrap()).unwrap().fsid;
    assert_eq!(fsid("/roots/demo"), fsid("/roots/demo/etc/motd"));
    assert_ne!(fsid("/roots/demo"), fsid(&format!("/roots/demo@{OLD}")));
    assert_ne!(fsid("/roots/demo"), fsid("/roots"));
    assert_eq!(fsid("/images/demo/root.squashfs"), fsid("/"));
}

#[test]
fn a_directory_of_the_namespace_changes_its_time_with_its_content() {
    let lab = Lab::new();
    let time = |path: &str| lab.fs.attributes(&lab.mount(path)).unwrap().mtime;
    let before = ["/", "/images", "/images/demo", "/roots"].map(time);
    lab.fs.publish(lab.snapshot(false));
    let after = ["/", "/images", "/images/demo", "/roots"].map(time);
    assert_eq!(before[..2], after[..2]);
    assert_ne!(before[2], after[2]);
    assert_ne!(before[3], after[3]);
}

#[test]
fn attributes_are_those_of_the_source() {
    use std::os::unix::fs::MetadataExt;
    let lab = Lab::new();
    for (path, kind) in [
        ("etc/motd", FileKind::Regular),
        ("etc", FileKind::Directory),
        ("link", FileKind::Symlink),
    ] {
        let source = fs::symlink_metadata(lab.folder.path().join("new").join(path)).unwrap();
        let handle = lab.walk(&format!("/roots/demo/{path}")).unwrap();
        let seen = lab.fs.attributes(&handle).unwrap();
        assert_eq!((seen.kind, seen.mode), (kind, source.mode() & 0o7777));
        assert_eq!(i64::from(seen.mtime.seconds), source.mtime());
        assert_eq!(u64::from(seen.nlink), source.nlink());
    }
    let link = lab.walk("/roots/demo/link").unwrap();
    assert_eq!(lab.fs.read_link(&link).unwrap(), b"etc");
}

#[test]
fn a_damaged_image_leaves_the_others_alone() {
    let lab = Lab::new();
    let used = fs::read(lab.image("new")).unwrap();
    let inodes = u64::from_le_bytes(used[64..72].try_into().unwrap()) as usize;
    let mut bytes = used;
    // All data and fragments; those that are compressed are seen to be damaged.
    bytes[96..inodes].fill(0xee);
    fs::write(lab.image("new"), bytes).unwrap();
    lab.fs.publish(lab.snapshot(true));
    let broken = lab.walk("/roots/demo/etc/deep/big").unwrap();
    assert!(lab.fs.attributes(&broken).is_ok());
    assert_eq!(
        lab.fs.read(&broken, 0, 10, &mut Vec::new()),
        Err(Status::Io)
    );
    let sound = lab.walk(&format!("/roots/demo@{OLD}/etc/motd")).unwrap();
    assert_eq!(lab.text(&sound), "the old one");
}

#[test]
fn a_file_that_is_no_image_is_refused_with_the_reason() {
    let lab = Lab::new();
    let (name, caches) = ("demo".parse().unwrap(), Caches::default());
    fs::write(
        lab.image("text"),
        "not an image, but longer than a superblock".repeat(9),
    )
    .unwrap();
    let refused = ExportedGeneration::open(name, OLD, &lab.image("text"), &caches, true);
    assert!(refused.unwrap_err().to_string().contains("hsqs"));
}
