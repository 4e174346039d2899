//! A directory of this machine as an NFS export, for tests and for trying clients.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::net::SocketAddr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ::nfs::{
    Attributes, DirEntry, Export, FileHandle, FileKind, FileRange, FileToken, FsStat, ReadOnlyFs,
    Status, Time,
};

use crate::service::ExportedFiles;

/// Everything below `root`, mounted as `/` followed by a path. A handle is a number in a table that
/// only grows, which is good enough here. Files whose name ends in `.squashfs` go out as ranges.
/// Reading a file called `panic` panics, reading one called `slow` takes a third of a second.
pub struct Directory {
    root: PathBuf,
    paths: Arc<Mutex<Paths>>,
    /// The same for those who must not wait, who get ranges only.
    at_once: Option<Box<Directory>>,
    /// Slow reads under way, and the most there have been.
    pub slow: [AtomicUsize; 2],
}

#[derive(Default)]
struct Paths {
    numbers: HashMap<PathBuf, u64>,
    paths: Vec<PathBuf>,
    files: HashMap<u64, Arc<File>>,
}

impl Directory {
    pub fn new(root: &Path) -> Self {
        let root = root.canonicalize().expect("the directory exists");
        let paths = Arc::default();
        let new = |at_once| Self {
            root: root.clone(),
            paths: Arc::clone(&paths),
            at_once,
            slow: Default::default(),
        };
        new(Some(Box::new(new(None))))
    }

    /// Refuses whoever must not wait.
    fn may_wait(&self) -> Result<(), Status> {
        match self.at_once {
            Some(_) => Ok(()),
            None => Err(Status::JukeBox),
        }
    }

    fn handle(&self, path: &Path) -> FileHandle {
        let mut table = self.paths.lock().expect("no panic with the lock held");
        let next = table.paths.len() as u64;
        let number = *table.numbers.entry(path.to_owned()).or_insert(next);
        if number == next {
            table.paths.push(path.to_owned());
        }
        FileHandle::new(&number.to_be_bytes()).expect("eight bytes are a handle")
    }

    fn path(&self, handle: &FileHandle) -> Result<PathBuf, Status> {
        let number = number(handle)?;
        let table = self.paths.lock().expect("no panic with the lock held");
        let path = table.paths.get(number as usize);
        path.cloned().ok_or(Status::Stale)
    }
}

fn number(handle: &FileHandle) -> Result<u64, Status> {
    let bytes = handle.as_bytes().try_into();
    bytes.map(u64::from_be_bytes).map_err(|_| Status::BadHandle)
}

fn status(error: std::io::Error) -> Status {
    match error.kind() {
        std::io::ErrorKind::NotFound => Status::NoEnt,
        std::io::ErrorKind::NotADirectory => Status::NotDir,
        _ => Status::Io,
    }
}

fn attributes(metadata: &Metadata) -> Attributes {
    let kind = metadata.file_type();
    let time = |seconds: i64, nanos: i64| Time {
        seconds: seconds as u32,
        nanos: nanos as u32,
    };
    Attributes {
        kind: match () {
            () if kind.is_dir() => FileKind::Directory,
            () if kind.is_symlink() => FileKind::Symlink,
            () if kind.is_block_device() => FileKind::BlockDevice,
            () if kind.is_char_device() => FileKind::CharDevice,
            () if kind.is_fifo() => FileKind::Fifo,
            () if kind.is_socket() => FileKind::Socket,
            () => FileKind::Regular,
        },
        mode: metadata.mode() & 0o7777,
        nlink: metadata.nlink() as u32,
        uid: metadata.uid(),
        gid: metadata.gid(),
        size: metadata.len(),
        used: metadata.blocks() * 512,
        rdev: (
            rustix::fs::major(metadata.rdev()),
            rustix::fs::minor(metadata.rdev()),
        ),
        fsid: 1,
        fileid: metadata.ino(),
        atime: time(metadata.atime(), metadata.atime_nsec()),
        mtime: time(metadata.mtime(), metadata.mtime_nsec()),
        ctime: time(metadata.ctime(), metadata.ctime_nsec()),
    }
}

impl ReadOnlyFs for Directory {
    fn mount(&self, _: SocketAddr, path: &[u8]) -> Result<FileHandle, Status> {
        let path = Path::new(std::ffi::OsStr::from_bytes(path));
        let below = path.components().filter(|it| *it != Component::RootDir);
        let path = self.root.join(below.collect::<PathBuf>());
        fs::symlink_metadata(&path).map_err(status)?;
        Ok(self.handle(&path))
    }

    fn exports(&self, _: SocketAddr) -> Vec<Export> {
        vec![Export {
            path: "/".into(),
            networks: Vec::new(),
        }]
    }

    fn allowed(&self, _: SocketAddr, _: &FileHandle) -> bool {
        true
    }

    fn attributes(&self, handle: &FileHandle) -> Result<Attributes, Status> {
        if self.file_range(handle, 0, 0).is_none() {
            self.may_wait()?;
        }
        let metadata = fs::symlink_metadata(self.path(handle)?).map_err(|_| Status::Stale)?;
        Ok(attributes(&metadata))
    }

    fn lookup(
        &self,
        directory: &FileHandle,
        name: &[u8],
    ) -> Result<(FileHandle, Attributes), Status> {
        self.may_wait()?;
        let directory = self.path(directory)?;
        let path = match name {
            b"." => directory,
            b".." if directory == self.root => directory,
            b".." => directory.parent().expect("it is below the root").to_owned(),
            name => directory.join(std::ffi::OsStr::from_bytes(name)),
        };
        let metadata = fs::symlink_metadata(&path).map_err(status)?;
        Ok((self.handle(&path), attributes(&metadata)))
    }

    fn read_link(&self, link: &FileHandle) -> Result<Vec<u8>, Status> {
        self.may_wait()?;
        let target = fs::read_link(self.path(link)?).map_err(status)?;
        Ok(target.into_os_string().into_vec())
    }

    fn read_dir(
        &self,
        directory: &FileHandle,
        cookie: u64,
        visit: &mut dyn FnMut(DirEntry<'_>) -> bool,
        plus: bool,
    ) -> Result<bool, Status> {
        let path = self.path(directory)?;
        let mut names = vec![b".".to_vec(), b"..".to_vec()];
        for entry in fs::read_dir(&path).map_err(status)? {
            names.push(entry.map_err(status)?.file_name().into_vec());
        }
        names[2..].sort();
        for (name, cookie) in names.iter().zip(1..).skip(cookie as usize) {
            let (handle, attributes) = self.lookup(directory, name)?;
            let entry = DirEntry {
                fileid: attributes.fileid,
                name,
                cookie,
                handle: plus.then_some(handle),
                attributes: plus.then_some(attributes),
            };
            if !visit(entry) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn read(
        &self,
        handle: &FileHandle,
        offset: u64,
        count: u32,
        out: &mut Vec<u8>,
    ) -> Result<bool, Status> {
        self.may_wait()?;
        let path = self.path(handle)?;
        if path.ends_with("slow") {
            let [now, most] = &self.slow;
            most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
            std::thread::sleep(Duration::from_millis(333));
            now.fetch_sub(1, SeqCst);
        }
        assert!(!path.ends_with("panic"), "as asked for");
        let file = File::open(path).map_err(status)?;
        let start = out.len();
        out.resize(start + count as usize, 0);
        let len = file.read_at(&mut out[start..], offset).map_err(status)?;
        out.truncate(start + len);
        Ok(false)
    }

    fn file_range(
        &self,
        handle: &FileHandle,
        offset: u64,
        len: u32,
    ) -> Option<Result<FileRange, Status>> {
        let number = number(handle).ok()?;
        let mut table = self.paths.lock().expect("no panic with the lock held");
        let path = table.paths.get(number as usize)?.clone();
        if path.extension()? != "squashfs" {
            return None;
        }
        let file = match table.files.get(&number) {
            Some(file) => file,
            None => {
                let file = Arc::new(File::open(path).ok()?);
                table.files.entry(number).or_insert(file)
            }
        };
        let size = file.metadata().ok()?.len();
        Some(Ok(FileRange {
            file: FileToken(number),
            offset,
            len,
            eof: offset + u64::from(len) >= size,
        }))
    }

    fn fs_stat(&self, _: &FileHandle) -> Result<FsStat, Status> {
        Ok(FsStat {
            bytes: 1 << 30,
            files: 1000,
        })
    }
}

impl ExportedFiles for Directory {
    fn file(&self, token: FileToken) -> Option<Arc<File>> {
        let table = self.paths.lock().expect("no panic with the lock held");
        table.files.get(&token.0).cloned()
    }

    fn at_once(&self) -> &dyn ReadOnlyFs {
        self.at_once.as_deref().unwrap_or(self)
    }

    fn place(&self, _: &FileHandle) -> Option<Arc<str>> {
        Some("/".into())
    }

    fn prefetch(&self, _: &FileHandle, _: u64, _: u32) {}
}
