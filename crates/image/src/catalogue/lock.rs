//! Locks on an image's folder. The kernel drops them when their holder ends, however it ends.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::Path;

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use super::CatalogueError;

/// A lock, held until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Held for the moment in which pointers and folders of the image change; waits for it.
    pub(super) fn wait(folder: &Path) -> Result<Self, CatalogueError> {
        let path = folder.join(".lock");
        let file = open(&path)?;
        rustix::fs::flock(&file, FlockOperation::LockExclusive)
            .map_err(|error| CatalogueError::io("lock", &path)(error.into()))?;
        Ok(Self { _file: file })
    }

    /// Held as long as a build of the image runs; `Busy` when another one holds it.
    pub(super) fn for_build(folder: &Path) -> Result<Self, CatalogueError> {
        let path = folder.join(".build-lock");
        let mut file = open(&path)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(busy(folder, file)),
            Err(error) => return Err(CatalogueError::io("lock", &path)(error.into())),
        }
        // Only to tell people who holds it.
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| write!(file, "{}", std::process::id()));
        Ok(Self { _file: file })
    }
}

fn open(path: &Path) -> Result<File, CatalogueError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(CatalogueError::io("open", path))
}

fn busy(folder: &Path, file: File) -> CatalogueError {
    let mut process = String::new();
    let _ = file.take(20).read_to_string(&mut process);
    if process.is_empty() {
        process.push('?');
    }
    let name = folder.file_name().unwrap_or_default();
    CatalogueError::Busy {
        name: name.to_string_lossy().into_owned(),
        process,
    }
}
