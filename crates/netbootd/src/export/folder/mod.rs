//! A folder of this server as an export.
//!
//! ```text
//!   handle ─► FileId (inode, birth) ─► places: inode → (parent, name) ─► openat2 beneath the root
//!                                        └─ not known, or no longer there: search, once, and learn
//! ```
//!
//! The daemon has not the privilege to open files by the kernel's own handles
//! (`CAP_DAC_READ_SEARCH`), so a handle names an inode and its time of birth, and a file is opened
//! by the path that was last seen to lead there. What is opened is compared with the handle before
//! it is used: a handle leads to its own file or, when that is gone, to nobody's. What the places
//! hold is only a memory; after a restart, one walk through the folder brings it back.
//!
//! Everything is opened beneath the folder, without following links and without entering another
//! file system (openat2(2)), so no name and no link leads out of it.

mod beneath;
mod file;
mod listing;
mod places;
mod search;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use nfs::{Attributes, FsStat, Status};
use rustix::fs::{Mode, OFlags, StatVfsMountFlags};
use rustix::io::Errno;
use siphasher::sip::SipHasher24;

use super::network::Network;
use file::File;
pub(super) use listing::Listed;
pub(super) use places::FileId;
use places::Places;

/// A folder of this server that clients may mount.
#[derive(Debug)]
pub struct Folder {
    id: FolderId,
    fsid: u64,
    name: String,
    path: PathBuf,
    networks: Vec<Network>,
    places: Places,
    /// Whether the operator was told that it cannot be served.
    reported: AtomicBool,
}

/// Names a folder in a handle: 56 bits of its name's hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct FolderId(pub(super) [u8; 7]);

impl Folder {
    /// The folder at `path`, mounted as `/exports/<name>`. It need not be there yet.
    pub fn new(name: String, path: PathBuf, networks: Vec<Network>) -> Self {
        let hash = SipHasher24::new().hash(format!("folder {name}").as_bytes());
        let [_, id @ ..] = hash.to_be_bytes();
        Self {
            id: FolderId(id),
            fsid: super::namespace::number(&[b"folder", name.as_bytes()]),
            name,
            path,
            networks,
            places: Places::default(),
            reported: AtomicBool::new(false),
        }
    }

    /// Its name below `/exports`.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Networks of its own; none: those of all exports.
    pub(super) fn networks(&self) -> &[Network] {
        &self.networks
    }

    pub(super) fn id(&self) -> FolderId {
        self.id
    }

    /// The folder itself. The operator's own path may hold links and cross mounts.
    ///
    /// It is opened anew for each call: the folder may appear after the daemon has started, and a
    /// file system that is exported can be unmounted.
    fn root(&self) -> Result<File, Status> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = rustix::fs::open(&self.path, flags, Mode::empty());
        let root = opened.and_then(File::new).map_err(|error| {
            self.report(&error);
            Status::Io
        })?;
        // Where inodes are used again and tell no birth, a handle could lead to another's file.
        if !root.tells_birth() && !is_read_only(&root)? {
            self.report(&"its file system can be written and tells no times of birth, by which handles tell a file from a later one");
            return Err(Status::Io);
        }
        if self.reported.swap(false, Relaxed) {
            tracing::info!(folder = %self.path.display(), "the exported folder can be served");
        }
        Ok(root)
    }

    fn report(&self, why: &dyn std::fmt::Display) {
        if !self.reported.swap(true, Relaxed) {
            tracing::warn!(folder = %self.path.display(), "an exported folder cannot be served: {why}");
        }
    }

    /// The file that a handle names, opened for nothing but to be asked about.
    fn file(&self, id: FileId) -> Result<(File, File), Status> {
        let root = self.root()?;
        if let Some(file) = self.at_its_place(&root, id) {
            return Ok((root, file));
        }
        self.search(&root, id)?;
        let file = self.at_its_place(&root, id).ok_or(Status::Stale)?;
        Ok((root, file))
    }

    /// The file at the place where it was last seen, if it is still there.
    fn at_its_place(&self, root: &File, id: FileId) -> Option<File> {
        let file = if id.inode == root.id().inode {
            beneath::open(root, b".", beneath::ASK).ok()?
        } else {
            let path = self.places.path(id.inode, root.id().inode)?;
            beneath::open_path(root, &path, beneath::ASK).ok()?
        };
        let file = File::new(file).ok()?;
        (file.id() == id && file.device() == root.device()).then_some(file)
    }

    /// The folder's root.
    pub(super) fn root_id(&self) -> Result<FileId, Status> {
        Ok(self.root()?.id())
    }

    pub(super) fn attributes(&self, id: FileId) -> Result<Attributes, Status> {
        Ok(self.file(id)?.1.attributes(self.fsid))
    }

    pub(super) fn lookup(&self, id: FileId, name: &[u8]) -> Result<(FileId, Attributes), Status> {
        let (root, directory) = self.file(id)?;
        if !directory.is_directory() {
            return Err(Status::NotDir);
        }
        let found = match name {
            b"." => directory,
            b".." => self.parent(&root, &directory)?,
            name => self.enter(&root, &directory, name).map_err(refused)?,
        };
        Ok((found.id(), found.attributes(self.fsid)))
    }

    /// What a name in a directory stands for; its place is remembered.
    fn enter(&self, root: &File, directory: &File, name: &[u8]) -> Result<File, Errno> {
        let found = File::new(beneath::open(directory, name, beneath::ASK)?)?;
        // A subvolume is another file system too, although no mount.
        if found.device() != root.device() {
            return Err(Errno::XDEV);
        }
        self.places
            .learn(found.id().inode, directory.id().inode, name);
        Ok(found)
    }

    /// The directory above; that of the root is the root.
    fn parent(&self, root: &File, directory: &File) -> Result<File, Status> {
        let (own, top) = (directory.id().inode, root.id().inode);
        let mut path = Vec::new();
        if own != top {
            path = self.places.path(own, top).ok_or(Status::JukeBox)?;
            path.pop();
        }
        let opened = match path.as_slice() {
            [] => beneath::open(root, b".", beneath::ASK),
            path => beneath::open_path(root, path, beneath::ASK),
        };
        opened.and_then(File::new).map_err(refused)
    }

    pub(super) fn read_link(&self, id: FileId) -> Result<Vec<u8>, Status> {
        self.file(id)?.1.target()
    }

    /// Appends a piece of a plain file; says whether the file ends there.
    pub(super) fn read(
        &self,
        id: FileId,
        offset: u64,
        count: u32,
        out: &mut Vec<u8>,
    ) -> Result<bool, Status> {
        let (root, asked) = self.file(id)?;
        asked.must_be_plain()?;
        // What has been looked at is opened for reading by the same path, and looked at again.
        let path = self.places.path(id.inode, root.id().inode);
        let path = path.ok_or(Status::JukeBox)?;
        let opened = beneath::open_path(&root, &path, beneath::READ).map_err(refused)?;
        let file = File::new(opened).map_err(refused)?;
        if file.id() != id {
            return Err(Status::JukeBox);
        }
        file.read(offset, count, out)
    }

    /// Size of the file system that the folder is in.
    pub(super) fn fs_stat(&self) -> Result<FsStat, Status> {
        let stat = rustix::fs::fstatvfs(self.root()?.fd()).map_err(refused)?;
        Ok(FsStat {
            bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
            files: stat.f_files,
        })
    }
}

fn is_read_only(file: &File) -> Result<bool, Status> {
    let stat = rustix::fs::fstatvfs(file.fd()).map_err(refused)?;
    Ok(stat.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// What a client is told of an error of the file system.
fn refused(error: Errno) -> Status {
    match error {
        Errno::NOENT => Status::NoEnt,
        Errno::NOTDIR => Status::NotDir,
        Errno::NAMETOOLONG => Status::NameTooLong,
        // Another file system, or not for the daemon's user.
        Errno::XDEV | Errno::LOOP | Errno::ACCESS | Errno::PERM => Status::Access,
        // It is being changed, or we are short of something: later.
        Errno::AGAIN | Errno::MFILE | Errno::NFILE | Errno::NOMEM => Status::JukeBox,
        Errno::STALE => Status::Stale,
        _ => Status::Io,
    }
}
