//! A folder as an export, asked as the `nfs` crate asks it.

use std::ffi::OsStr;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use nfs::{FileHandle, FileKind, ReadOnlyFs, Status};

use super::super::{Access, ExportFs, HandleKey};
use super::Folder;

/// A folder `data` with a secret beside it, and a server that exports the former.
struct Lab {
    place: tempfile::TempDir,
}

impl Lab {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir_all(place.path().join("data/sub/deep")).unwrap();
        fs::write(place.path().join("secret"), "secret").unwrap();
        let lab = Self { place };
        lab.write("note", "a note");
        lab.write("sub/deep/file", "a deep one");
        lab
    }

    fn at(&self, path: &str) -> std::path::PathBuf {
        self.place.path().join("data").join(path)
    }

    fn write(&self, path: &str, text: &str) {
        fs::write(self.at(path), text).unwrap();
    }

    /// A server that has just started.
    fn server(&self) -> Server {
        let folder = Folder::new("data".into(), self.at(""), Vec::new());
        let access = Access {
            folders: vec![folder],
            ..Access::default()
        };
        Server(ExportFs::new(HandleKey::new([7; 16]), access))
    }
}

struct Server(ExportFs);

impl Server {
    fn mount(&self, path: &str) -> Result<FileHandle, Status> {
        self.0.mount(client(), path.as_bytes())
    }

    fn find(&self, path: &str) -> Result<FileHandle, Status> {
        let names = path.split('/').filter(|name| !name.is_empty());
        let root = self.mount("/exports/data")?;
        names
            .into_iter()
            .try_fold(root, |at, name| Ok(self.0.lookup(&at, name.as_bytes())?.0))
    }

    fn text(&self, handle: &FileHandle) -> Result<String, Status> {
        let mut out = Vec::new();
        let size = self.0.attributes(handle)?.size;
        assert!(self.0.read(handle, 0, 1 << 20, &mut out)?, "not the end");
        assert_eq!(out.len() as u64, size);
        Ok(String::from_utf8(out).unwrap())
    }

    /// All names, read `room` at a time.
    fn names(&self, directory: &FileHandle, room: usize, plus: bool) -> Vec<Vec<u8>> {
        let (mut names, mut cookie, mut end) = (Vec::new(), 0, false);
        while !end {
            let (mut left, from) = (room, cookie);
            let visit = &mut |entry: nfs::DirEntry<'_>| {
                if left == 0 {
                    return false;
                }
                left -= 1;
                assert!(entry.cookie != 0);
                if let Some(handle) = entry.handle {
                    let seen = self.0.attributes(&handle).unwrap();
                    assert_eq!(Some(seen.fileid), entry.attributes.map(|it| it.fileid));
                    assert_eq!(seen.fileid, entry.fileid);
                }
                cookie = entry.cookie;
                names.push(entry.name.to_vec());
                true
            };
            end = self.0.read_dir(directory, from, visit, plus).unwrap();
        }
        names
    }
}

fn client() -> SocketAddr {
    "192.168.67.20:700".parse().unwrap()
}

#[test]
fn a_folder_is_mounted_by_its_name_and_what_is_in_it_too() {
    let lab = Lab::new();
    let server = lab.server();
    assert_eq!(
        server.mount("/exports/data/sub/deep"),
        server.find("sub/deep")
    );
    for (path, status) in [
        ("/exports/dat", Status::NoEnt),
        ("/exports/datax", Status::NoEnt),
        ("/exports/data/none", Status::NoEnt),
        ("/exports/data/note", Status::NotDir),
        ("/exports/data/note/x", Status::NotDir),
    ] {
        assert_eq!(server.mount(path), Err(status), "{path}");
    }
    let exports = server.0.exports(client());
    let paths: Vec<_> = exports.iter().map(|export| export.path.as_str()).collect();
    assert_eq!(paths, ["/", "/exports/data"]);
    let root = server.mount("/").unwrap();
    assert_eq!(server.names(&root, 9, true).len(), 2 + 3);
}

#[test]
fn files_arrive_with_their_attributes() {
    let lab = Lab::new();
    let server = lab.server();
    fs::set_permissions(lab.at("note"), fs::Permissions::from_mode(0o4751)).unwrap();
    fs::hard_link(lab.at("note"), lab.at("sub/same")).unwrap();
    let target = format!("{}end", "long/".repeat(800));
    symlink(&target, lab.at("link")).unwrap();
    let note = server.find("note").unwrap();
    let (seen, real) = (
        server.0.attributes(&note).unwrap(),
        fs::metadata(lab.at("note")).unwrap(),
    );
    assert_eq!((seen.kind, seen.mode), (FileKind::Regular, 0o4751));
    assert_eq!((seen.nlink, seen.fileid), (2, real.ino()));
    assert_eq!(i64::from(seen.mtime.seconds), real.mtime());
    assert_eq!(server.find("sub/same"), Ok(note));
    assert_eq!(server.text(&note).unwrap(), "a note");
    let link = server.find("link").unwrap();
    assert_eq!(server.0.read_link(&link).unwrap(), target.as_bytes());
    assert_eq!(server.0.read_link(&note), Err(Status::Inval));
    assert_eq!(
        server.0.read(&link, 0, 9, &mut Vec::new()),
        Err(Status::Inval)
    );
    let sub = server.find("sub").unwrap();
    let read = server.0.read(&sub, 0, 9, &mut Vec::new());
    assert_eq!(read, Err(Status::IsDir));
}

#[test]
fn nothing_leads_out_of_the_folder() {
    let lab = Lab::new();
    let server = lab.server();
    symlink("..", lab.at("up")).unwrap();
    symlink(lab.place.path(), lab.at("sub/absolute")).unwrap();
    symlink("../secret", lab.at("to-secret")).unwrap();
    let root = server.find("").unwrap();
    assert_eq!(server.0.lookup(&root, b"..").unwrap().0, root);
    let sub = server.find("sub").unwrap();
    assert_eq!(server.0.lookup(&sub, b"..").unwrap().0, root);
    let deep = server.find("sub/deep").unwrap();
    assert_eq!(server.0.lookup(&deep, b"..").unwrap().0, sub);
    for path in ["up/secret", "sub/absolute/secret", "to-secret/x"] {
        assert_eq!(server.find(path), Err(Status::NotDir), "{path}");
        let mounted = server.mount(&format!("/exports/data/{path}"));
        assert_eq!(mounted, Err(Status::NotDir), "{path}");
    }
    let secret = server.find("to-secret").unwrap();
    assert_eq!(
        server.0.attributes(&secret).unwrap().kind,
        FileKind::Symlink
    );
    // A directory on the way becomes a link while a client holds a handle below it.
    let file = server.find("sub/deep/file").unwrap();
    fs::rename(lab.at("sub"), lab.place.path().join("sub")).unwrap();
    symlink("../sub", lab.at("sub")).unwrap();
    assert_eq!(server.0.attributes(&file), Err(Status::Stale));
}

#[test]
fn another_file_system_in_the_folder_is_not_entered() {
    let folder = Folder::new("all".into(), "/".into(), Vec::new());
    let access = Access {
        folders: vec![folder],
        ..Access::default()
    };
    let server = Server(ExportFs::new(HandleKey::new([7; 16]), access));
    let root = server.mount("/exports/all").unwrap();
    assert_eq!(server.0.lookup(&root, b"proc"), Err(Status::Access));
    assert_eq!(server.mount("/exports/all/proc"), Err(Status::Access));
    let listed = server.names(&root, usize::MAX, true);
    assert!(listed.contains(&b"proc".to_vec()), "its name is shown");
}

#[test]
fn handles_outlive_a_restart_and_a_move() {
    let lab = Lab::new();
    let before = lab.server();
    let (deep, file) = (
        before.find("sub/deep"),
        before.find("sub/deep/file").unwrap(),
    );
    assert_eq!(file.as_bytes().len(), 32);
    assert_eq!(lab.server().text(&file).unwrap(), "a deep one");
    assert_eq!(
        lab.server().0.attributes(&deep.unwrap()).unwrap().kind,
        FileKind::Directory
    );
    let server = lab.server();
    assert_eq!(server.text(&file).unwrap(), "a deep one");
    fs::rename(lab.at("sub"), lab.at("moved")).unwrap();
    assert_eq!(server.text(&file).unwrap(), "a deep one");
    fs::rename(lab.at("moved/deep/file"), lab.at("here")).unwrap();
    assert_eq!(server.text(&file).unwrap(), "a deep one");
    assert_eq!(before.text(&file).unwrap(), "a deep one");
}

#[test]
fn the_handle_of_a_file_that_is_gone_is_stale_and_never_anothers() {
    let lab = Lab::new();
    let server = lab.server();
    let root = server.find("").unwrap();
    let mut reused = 0;
    for round in 0..50 {
        lab.write("one", "the first");
        let inode = fs::metadata(lab.at("one")).unwrap().ino();
        let first = server.find("one").unwrap();
        fs::remove_file(lab.at("one")).unwrap();
        lab.write("other", &format!("the second of round {round}"));
        reused += usize::from(fs::metadata(lab.at("other")).unwrap().ino() == inode);
        for server in [&server, &lab.server()] {
            assert_eq!(server.0.attributes(&first), Err(Status::Stale));
            assert_eq!(server.text(&first), Err(Status::Stale));
        }
        fs::remove_file(lab.at("other")).unwrap();
    }
    // ext4 gives a number again at once, tmpfs and btrfs never do.
    println!("{reused} of 50 inode numbers were used again");
    assert!(server.0.attributes(&root).is_ok());
}

#[test]
fn a_file_that_takes_another_files_name_is_not_taken_for_it() {
    let lab = Lab::new();
    let server = lab.server();
    let old = server.find("note").unwrap();
    lab.write("new", "a new note");
    fs::rename(lab.at("new"), lab.at("note")).unwrap();
    assert_eq!(server.text(&old), Err(Status::Stale));
    assert_eq!(
        server.text(&server.find("note").unwrap()).unwrap(),
        "a new note"
    );
}

#[test]
fn a_large_directory_lists_each_name_once_in_pieces_of_any_size() {
    let lab = Lab::new();
    let odd = [&[0xff, 0xfe][..], b"two words", &[b'x'; 255], b"new\nline"];
    for name in odd {
        fs::write(lab.at("sub").join(OsStr::from_bytes(name)), "").unwrap();
    }
    for number in 0..3000 {
        lab.write(&format!("sub/file number {number}"), "");
    }
    let server = lab.server();
    let sub = server.find("sub").unwrap();
    for (room, plus) in [(usize::MAX, false), (997, true), (100, false)] {
        let mut names = server.names(&sub, room, plus);
        assert_eq!(names[..2], [b".".to_vec(), b"..".to_vec()]);
        names.sort();
        let count = names.len();
        names.dedup();
        assert_eq!((names.len(), count), (2 + 1 + 4 + 3000, names.len()));
        assert!(odd.iter().all(|name| names.contains(&name.to_vec())));
    }
    let visit = &mut |_: nfs::DirEntry<'_>| true;
    let strange = server.0.read_dir(&sub, u64::MAX, visit, false);
    assert_eq!(strange, Err(Status::BadCookie));
}

#[test]
fn a_path_longer_than_the_kernel_takes_is_walked() {
    let lab = Lab::new();
    let name = "n".repeat(200);
    let mut at = rustix::fs::open(
        lab.at(""),
        rustix::fs::OFlags::PATH,
        rustix::fs::Mode::empty(),
    )
    .unwrap();
    for _ in 0..40 {
        rustix::fs::mkdirat(&at, &name, 0o755.into()).unwrap();
        at = rustix::fs::openat(
            &at,
            &name,
            rustix::fs::OFlags::PATH,
            rustix::fs::Mode::empty(),
        )
        .unwrap();
    }
    let file = rustix::fs::OFlags::CREATE | rustix::fs::OFlags::RDWR;
    drop(rustix::fs::openat(&at, "bottom", file, 0o644.into()).unwrap());
    let server = lab.server();
    let bottom = server.find(&format!("{}bottom", format!("{name}/").repeat(40)));
    let bottom = bottom.unwrap();
    assert_eq!(server.text(&bottom).unwrap(), "");
    assert_eq!(lab.server().text(&bottom).unwrap(), "", "after a restart");
}

#[test]
fn a_folder_that_is_not_there_hurts_nobody_and_is_served_when_it_comes() {
    let lab = Lab::new();
    let server = lab.server();
    let note = server.find("note").unwrap();
    let away = lab.place.path().join("away");
    fs::rename(lab.at(""), &away).unwrap();
    assert_eq!(server.mount("/exports/data"), Err(Status::Io));
    let exports = server.mount("/exports").unwrap();
    assert_eq!(server.names(&exports, 9, true).len(), 3);
    fs::rename(away, lab.at("")).unwrap();
    assert_eq!(server.text(&note).unwrap(), "a note");
}

#[test]
fn what_is_no_file_is_shown_and_not_opened() {
    let lab = Lab::new();
    let server = lab.server();
    let mode = rustix::fs::Mode::from_raw_mode(0o644);
    let make = |path: &Path, kind| rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, 0);
    make(&lab.at("pipe"), rustix::fs::FileType::Fifo).unwrap();
    let pipe = server.find("pipe").unwrap();
    assert_eq!(server.0.attributes(&pipe).unwrap().kind, FileKind::Fifo);
    assert_eq!(
        server.0.read(&pipe, 0, 9, &mut Vec::new()),
        Err(Status::Inval)
    );
}
