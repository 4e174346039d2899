//! Answers what can be answered at once, and notices what cannot.

use std::cell::Cell;
use std::net::SocketAddr;

use ::nfs::{
    Attributes, DirEntry, Export, FileHandle, FileRange, FileToken, FsStat, ReadOnlyFs, Status,
};

use super::ExportedFiles;
use super::session::COPIED;

/// The files as a runtime thread may ask for them: what is in memory. Whatever may need the disk or
/// a decompressor is not asked, or says so; [`Eager::had_to_wait`] then tells that the answer is
/// worth nothing and the call belongs on a blocking thread.
pub(super) struct Eager<'a> {
    shared: &'a dyn ExportedFiles,
    files: &'a dyn ReadOnlyFs,
    had_to_wait: Cell<bool>,
    slices: Cell<Vec<squashfs::Slice>>,
}

impl<'a> Eager<'a> {
    pub(super) fn new(shared: &'a dyn ExportedFiles) -> Self {
        Self {
            shared,
            files: shared.at_once(),
            had_to_wait: Cell::new(false),
            slices: Cell::default(),
        }
    }

    /// The piece of a file that follows the answer, if it is in memory.
    pub(super) fn slices(&self) -> Vec<squashfs::Slice> {
        self.slices.take()
    }

    pub(super) fn had_to_wait(&self) -> bool {
        self.had_to_wait.get()
    }

    /// An answer, unless it is that the question takes time.
    fn told<T>(&self, answer: Result<T, Status>) -> Result<T, Status> {
        if matches!(answer, Err(Status::JukeBox)) {
            return self.wait();
        }
        answer
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
        self.told(self.files.attributes(handle))
    }

    fn lookup(
        &self,
        directory: &FileHandle,
        name: &[u8],
    ) -> Result<(FileHandle, Attributes), Status> {
        self.told(self.files.lookup(directory, name))
    }

    fn read_link(&self, link: &FileHandle) -> Result<Vec<u8>, Status> {
        self.told(self.files.read_link(link))
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

    fn read(
        &self,
        handle: &FileHandle,
        offset: u64,
        count: u32,
        out: &mut Vec<u8>,
    ) -> Result<bool, Status> {
        self.told(self.files.read(handle, offset, count, out))
    }

    fn file_range(
        &self,
        handle: &FileHandle,
        offset: u64,
        count: u32,
    ) -> Option<Result<FileRange, Status>> {
        if let Some(range) = self.files.file_range(handle, offset, count) {
            return Some(self.told(range));
        }
        if count <= COPIED {
            return None;
        }
        let piece = match self.told(self.shared.slices_at_once(handle, offset, count)?) {
            Ok(piece) => piece,
            Err(status) => return Some(Err(status)),
        };
        let len = piece.slices.iter().map(|slice| slice.len()).sum::<usize>();
        self.slices.set(piece.slices);
        Some(Ok(FileRange {
            // Nobody asks for it: the piece is here.
            file: FileToken(0),
            offset,
            len: u32::try_from(len).ok()?,
            eof: piece.eof,
        }))
    }

    fn fs_stat(&self, handle: &FileHandle) -> Result<FsStat, Status> {
        self.told(self.files.fs_stat(handle))
    }
}
