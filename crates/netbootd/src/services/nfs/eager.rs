//! Answers what can be answered at once, and notices what cannot.

use std::cell::Cell;
use std::net::SocketAddr;

use ::nfs::{Attributes, DirEntry, Export, FileHandle, FileRange, FsStat, ReadOnlyFs, Status};

/// The files as a runtime thread may ask for them: plain image files, whose attributes are in
/// memory. Whatever may need the disk or a decompressor is not asked; [`Eager::had_to_wait`] then
/// tells that the answer is worth nothing and the call belongs on a blocking thread.
pub(super) struct Eager<'a> {
    files: &'a dyn ReadOnlyFs,
    had_to_wait: Cell<bool>,
}

impl<'a> Eager<'a> {
    pub(super) fn new(files: &'a dyn ReadOnlyFs) -> Self {
        Self {
            files,
            had_to_wait: Cell::new(false),
        }
    }

    pub(super) fn had_to_wait(&self) -> bool {
        self.had_to_wait.get()
    }

    fn wait<T>(&self) -> Result<T, Status> {
        self.had_to_wait.set(true);
        Err(Status::JukeBox)
    }
}

impl ReadOnlyFs for Eager<'_> {
    fn mount(&self, _: SocketAddr, _: &[u8]) -> Result<FileHandle, Status> {
        self.wait()
    }

    fn exports(&self, _: SocketAddr) -> Vec<Export> {
        self.had_to_wait.set(true);
        Vec::new()
    }

    fn allowed(&self, client: SocketAddr, handle: &FileHandle) -> bool {
        self.files.allowed(client, handle)
    }

    fn attributes(&self, handle: &FileHandle) -> Result<Attributes, Status> {
        if self.files.file_range(handle, 0, 0).is_none() {
            return self.wait();
        }
        self.files.attributes(handle)
    }

    fn lookup(&self, _: &FileHandle, _: &[u8]) -> Result<(FileHandle, Attributes), Status> {
        self.wait()
    }

    fn read_link(&self, _: &FileHandle) -> Result<Vec<u8>, Status> {
        self.wait()
    }

    fn read_dir(
        &self,
        _: &FileHandle,
        _: u64,
        _: &mut dyn FnMut(DirEntry<'_>) -> bool,
        _: bool,
    ) -> Result<bool, Status> {
        self.wait()
    }

    fn read(&self, _: &FileHandle, _: u64, _: u32, _: &mut Vec<u8>) -> Result<bool, Status> {
        self.wait()
    }

    fn file_range(
        &self,
        handle: &FileHandle,
        offset: u64,
        count: u32,
    ) -> Option<Result<FileRange, Status>> {
        self.files.file_range(handle, offset, count)
    }

    fn fs_stat(&self, _: &FileHandle) -> Result<FsStat, Status> {
        self.wait()
    }
}
