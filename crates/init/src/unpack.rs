//! Writing the overlay's entries into the new root.
//!
//! Folders on the way are resolved by the kernel with the new root as `/` (openat2(2),
//! `RESOLVE_IN_ROOT`), so no symbolic link in the image or the archive leads out of it, while
//! `lib -> usr/lib` works as it will after the switch.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, Gid, Mode, OFlags, ResolveFlags, Timespec, Timestamps, Uid};
use rustix::io::Errno;

use crate::cpio::{Entry, Kind};
use crate::say;

/// Writes every entry below `root`, in order; what is in the way of a file or link is replaced.
/// The error says at which entry.
pub(crate) fn into_root(root: &Path, entries: &[Entry<'_>]) -> Result<(), String> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(root, flags, Mode::empty())
        .map_err(|error| format!("opening {}: {error}", root.display()))?;
    entries.iter().try_for_each(|entry| {
        write(&root, entry).map_err(|error| format!("writing /{}: {error}", entry.path))
    })
}

/// The text of a file below `root`, with symbolic links followed inside of it; one longer than `max`
/// bytes is an error.
pub(crate) fn read(root: &Path, path: &str, max: u64) -> io::Result<String> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(root, flags, Mode::empty())?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let mut text = String::new();
    let file = File::from(resolve(&root, path, flags)?);
    file.take(max + 1).read_to_string(&mut text)?;
    if text.len() as u64 > max {
        return Err(io::Error::other("it is too long"));
    }
    Ok(text)
}

/// What a file is called until it is whole; short, as its own name may be as long as names can be.
const FRESH: &str = ".netbootd-fresh";

/// Longest file of the image that is looked at, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// A small file of the new root, with symbolic links followed as they will be after the switch.
pub(crate) fn small_text(root: &Path, path: &str) -> Option<String> {
    read(root, path, MAX_FILE)
        .inspect_err(|error| {
            if error.kind() != io::ErrorKind::NotFound {
                say!("/{path}: {error}");
            }
        })
        .ok()
}

/// Writes one text file for anybody to read below `root`.
pub(crate) fn text(root: &Path, path: &str, text: &str) -> Result<(), String> {
    file(root, path, text, 0o644)
}

/// Writes one text file for nobody but root to read below `root`.
pub(crate) fn secret(root: &Path, path: &str, text: &str) -> Result<(), String> {
    file(root, path, text, 0o600)
}

fn file(root: &Path, path: &str, text: &str, mode: u32) -> Result<(), String> {
    let entry = Entry {
        path: path.to_owned(),
        kind: Kind::File(text.as_bytes()),
        mode,
        uid: 0,
        gid: 0,
        mtime: 0,
    };
    into_root(root, &[entry])
}

fn write(root: &OwnedFd, entry: &Entry<'_>) -> io::Result<()> {
    if entry.path.is_empty() {
        // The root itself stays what the image made it.
        return Ok(());
    }
    let (parent, name) = entry.path.rsplit_once('/').unwrap_or(("", &entry.path));
    let folder = open_folder(root, parent)?;
    let mode = Mode::from_raw_mode(entry.mode);
    let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
    match entry.kind {
        Kind::Folder => {
            // Through the kernel's resolution once more: the name may be a link to a folder.
            let opened = open_folder(root, &entry.path)?;
            rustix::fs::fchown(&opened, Some(uid), Some(gid))?;
            rustix::fs::fchmod(&opened, mode)?;
        }
        Kind::File(content) => {
            // Beside it first: a running system finds the old file or the new one.
            remove(&folder, FRESH)?;
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
            let private = Mode::RUSR | Mode::WUSR;
            let opened = rustix::fs::openat(&folder, FRESH, flags | OFlags::CLOEXEC, private)?;
            let mut file = File::from(opened);
            file.write_all(content)?;
            // Owner first: chown takes set-id bits away.
            rustix::fs::fchown(&file, Some(uid), Some(gid))?;
            rustix::fs::fchmod(&file, mode)?;
            rustix::fs::futimens(&file, &times(entry.mtime))?;
            rustix::fs::renameat(&folder, FRESH, &folder, name)?;
        }
        Kind::Symlink(target) => {
            remove(&folder, name)?;
            rustix::fs::symlinkat(target, &folder, name)?;
            rustix::fs::chownat(
                &folder,
                name,
                Some(uid),
                Some(gid),
                AtFlags::SYMLINK_NOFOLLOW,
            )?;
        }
    }
    Ok(())
}

/// Opens a folder below the root, making what is missing.
fn open_folder(root: &OwnedFd, path: &str) -> io::Result<OwnedFd> {
    let path = if path.is_empty() { "." } else { path };
    let folder_flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match resolve(root, path, folder_flags) {
        Err(Errno::NOENT) => {}
        other => return Ok(other?),
    }
    let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
    let folder = open_folder(root, parent)?;
    rustix::fs::mkdirat(&folder, name, Mode::from_raw_mode(0o755))?;
    Ok(resolve(root, path, folder_flags)?)
}

fn resolve(root: &OwnedFd, path: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    loop {
        match rustix::fs::openat2(root, path, flags, Mode::empty(), inside) {
            // A rename elsewhere raced with the walk; the kernel asks for another try.
            Err(Errno::AGAIN) => {}
            other => return other,
        }
    }
}

fn remove(folder: &OwnedFd, name: &str) -> io::Result<()> {
    match rustix::fs::unlinkat(folder, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn times(seconds: u32) -> Timestamps {
    let time = Timespec {
        tv_sec: seconds.into(),
        tv_nsec: 0,
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, symlink};
    use std::path::PathBuf;

    use super::*;

    /// A new root with an outside beside it, removed again at the end.
    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("init-{name}-{}", std::process::id()));
            fs::create_dir_all(path.join("root/etc")).unwrap();
            fs::create_dir_all(path.join("outside")).unwrap();
            Self(path)
        }

        fn root(&self) -> PathBuf {
            self.0.join("root")
        }

        fn unpack(&self, path: &str, kind: Kind<'_>) -> Result<(), String> {
            let owner = fs::metadata(self.root()).unwrap();
            let entry = Entry {
                path: path.into(),
                kind,
                mode: 0o640,
                uid: owner.uid(),
                gid: owner.gid(),
                mtime: 1_000_000,
            };
            into_root(&self.root(), &[entry])
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_file_has_its_bytes_mode_and_time_and_missing_folders_are_made() {
        let place = Place::new("file");
        place.unpack("a/b/c", Kind::File(b"hello")).unwrap();
        let path = place.root().join("a/b/c");
        assert_eq!(fs::read(&path).unwrap(), b"hello");
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!(
            (metadata.mode() & 0o7777, metadata.mtime()),
            (0o640, 1_000_000)
        );
    }

    #[test]
    fn a_name_may_be_as_long_as_names_can_be() {
        let place = Place::new("long");
        let name = "n".repeat(255);
        place.unpack(&name, Kind::File(b"1")).unwrap();
        assert_eq!(fs::read_dir(place.root()).unwrap().count(), 2);
        assert!(place.root().join(&name).exists());
    }

    #[test]
    fn a_link_in_the_way_is_replaced_and_not_followed() {
        let place = Place::new("replace");
        let victim = place.0.join("outside/victim");
        fs::write(&victim, "mine").unwrap();
        symlink(&victim, place.root().join("etc/hostname")).unwrap();
        place.unpack("etc/hostname", Kind::File(b"pc1")).unwrap();
        assert_eq!(fs::read(&victim).unwrap(), b"mine");
        assert_eq!(fs::read(place.root().join("etc/hostname")).unwrap(), b"pc1");
    }

    #[test]
    fn a_linked_folder_is_followed_inside_the_root_only() {
        let place = Place::new("folder");
        fs::create_dir_all(place.root().join("usr/lib")).unwrap();
        symlink("/usr/lib", place.root().join("lib")).unwrap();
        place.unpack("lib/x", Kind::File(b"1")).unwrap();
        assert!(place.root().join("usr/lib/x").exists());
        symlink("../../../outside", place.root().join("up")).unwrap();
        fs::create_dir_all(place.root().join("outside")).unwrap();
        place.unpack("up/x", Kind::File(b"1")).unwrap();
        assert!(!place.0.join("outside/x").exists());
        assert!(place.root().join("outside/x").exists());
    }

    #[test]
    fn an_absolute_link_out_of_the_root_leads_nowhere() {
        let place = Place::new("absolute");
        symlink(place.0.join("outside"), place.root().join("out")).unwrap();
        assert!(place.unpack("out/x", Kind::File(b"1")).is_err());
        assert!(!place.0.join("outside/x").exists());
    }

    #[test]
    fn a_symbolic_link_is_written_as_it_is_and_a_folder_may_exist() {
        let place = Place::new("symlink");
        place
            .unpack("etc/mask", Kind::Symlink("/dev/null"))
            .unwrap();
        place
            .unpack("etc/mask", Kind::Symlink("/dev/null"))
            .unwrap();
        let target = fs::read_link(place.root().join("etc/mask")).unwrap();
        assert_eq!(target, Path::new("/dev/null"));
        place.unpack("etc", Kind::Folder).unwrap();
        assert!(place.unpack("etc", Kind::File(b"")).is_err());
    }
}
