//! A tree in a folder of this machine.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::{Kind, Tree};

/// A folder as a [`Tree`]. The kernel keeps every look-up inside it (`openat2` with
/// `RESOLVE_IN_ROOT`), also while somebody renames things in it.
#[derive(Debug)]
pub struct Directory {
    root: OwnedFd,
    path: PathBuf,
}

impl Directory {
    /// Opens the folder.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::PATH | OFlags::CLOEXEC;
        let root = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
        Ok(Self {
            root,
            path: path.to_owned(),
        })
    }

    /// Where the folder is, as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the regular file `path` for reading.
    pub fn open_file(&self, path: &str) -> io::Result<File> {
        // NONBLOCK: a pipe in the tree must not hold up the build.
        let file = File::from(self.openat(path, OFlags::RDONLY | OFlags::NONBLOCK)?);
        if file.metadata()?.is_file() {
            Ok(file)
        } else {
            Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "not a regular file",
            ))
        }
    }

    /// Opens the regular file `path` for reading and writing, in order to lock it.
    pub(crate) fn open_to_lock(&self, path: &str) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOFOLLOW;
        Ok(File::from(self.openat(path, flags)?))
    }

    fn openat(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        let path = match path.trim_start_matches('/') {
            "" => ".",
            path => path,
        };
        let mut attempts = 0;
        loop {
            let result = rustix::fs::openat2(
                &self.root,
                path,
                flags | OFlags::CLOEXEC,
                Mode::empty(),
                ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
            );
            match result {
                // A rename elsewhere raced with a ".." of this look-up (openat2(2)): again.
                Err(Errno::AGAIN) if attempts < 32 => attempts += 1,
                result => return result,
            }
        }
    }
}

impl Tree for Directory {
    fn kind(&self, path: &str) -> io::Result<Option<Kind>> {
        let file = match self.openat(path, OFlags::PATH) {
            Ok(file) => file,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let status = rustix::fs::fstat(&file)?;
        Ok(Some(match FileType::from_raw_mode(status.st_mode) {
            FileType::RegularFile => Kind::File(u64::try_from(status.st_size).unwrap_or(0)),
            FileType::Directory => Kind::Folder,
            _ => Kind::Other,
        }))
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let folder = self.openat(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let mut names = Vec::new();
        for entry in Dir::read_from(&folder)? {
            let entry = entry?;
            if let Ok(name) = entry.file_name().to_str()
                && name != "."
                && name != ".."
            {
                names.push(name.to_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn read(&self, path: &str, limit: u64) -> io::Result<Vec<u8>> {
        let file = self.open_file(path)?;
        let mut bytes = Vec::with_capacity(file.metadata()?.len().min(limit) as usize + 1);
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(bytes)
    }

    fn head(&self, path: &str, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(len);
        let file = self.open_file(path)?;
        file.take(len as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn reader(&self, path: &str) -> io::Result<Box<dyn Read + '_>> {
        Ok(Box::new(self.open_file(path)?))
    }

    fn resolve(&self, path: &str) -> io::Result<String> {
        // Where the kernel says that the descriptor is, less where it says that the root is.
        let place = |fd: &OwnedFd| {
            use std::os::fd::AsRawFd;
            std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()))
        };
        let found = place(&self.openat(path, OFlags::PATH)?)?;
        let root = place(&self.root)?;
        found
            .strip_prefix(&root)
            .ok()
            .and_then(Path::to_str)
            .map(str::to_owned)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the name is not UTF-8"))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn tree() -> (tempfile::TempDir, Directory) {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(at("usr/lib")).unwrap();
        std::fs::write(at("usr/lib/file"), "inside").unwrap();
        symlink("usr/lib", at("lib")).unwrap();
        symlink("/lib/file", at("absolute")).unwrap();
        symlink("../../../../etc/passwd", at("out")).unwrap();
        symlink("loop", at("loop")).unwrap();
        let tree = Directory::open(folder.path()).unwrap();
        (folder, tree)
    }

    #[test]
    fn links_lead_where_the_system_in_the_tree_would_go() {
        let (_folder, tree) = tree();
        assert_eq!(tree.read("absolute", 100).unwrap(), b"inside");
        assert_eq!(tree.resolve("/absolute").unwrap(), "usr/lib/file");
        assert_eq!(tree.kind("lib").unwrap(), Some(Kind::Folder));
        assert_eq!(tree.list("lib").unwrap(), ["file"]);
        assert_eq!(tree.kind("usr/lib/file").unwrap(), Some(Kind::File(6)));
    }

    #[test]
    fn no_link_leads_out_or_on_for_ever() {
        let (_folder, tree) = tree();
        assert_eq!(tree.kind("out").unwrap(), None);
        assert_eq!(tree.kind("../../../../etc/passwd").unwrap(), None);
        assert_eq!(tree.kind("loop").unwrap(), None);
        assert_eq!(tree.list("").unwrap(), tree.list("../..").unwrap());
    }

    #[test]
    fn a_file_longer_than_expected_is_refused() {
        let (_folder, tree) = tree();
        let error = tree.read("absolute", 5).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        assert!(tree.read("lib", 100).is_err());
    }
}
