//! Listing a directory of a folder.

use std::mem::MaybeUninit;

use nfs::{Attributes, DirEntry, Status};
use rustix::fs::{RawDir, SeekFrom};

use super::beneath::{self, LIST};
use super::file::File;
use super::places::FileId;
use super::{Folder, refused};

/// Room for the kernel's entries, in bytes.
const BUFFER: usize = 32 * 1024;

pub(super) fn buffer() -> Vec<MaybeUninit<u8>> {
    vec![MaybeUninit::uninit(); BUFFER]
}

/// One name of a listing, with the file behind it if that was asked for and can be had.
pub(in super::super) struct Listed<'a> {
    pub(in super::super) fileid: u64,
    pub(in super::super) name: &'a [u8],
    pub(in super::super) cookie: u64,
    pub(in super::super) file: Option<(FileId, Attributes)>,
}

impl Folder {
    /// Lists a directory from `cookie` on. Order and cookies are the file system's own, so they are
    /// as lasting as it makes them: on ext4, xfs, btrfs and tmpfs they outlive a restart and other
    /// names that come and go.
    pub(in super::super) fn read_dir(
        &self,
        id: FileId,
        cookie: u64,
        visit: &mut dyn FnMut(Listed<'_>) -> bool,
        plus: bool,
    ) -> Result<bool, Status> {
        let (root, directory) = self.file(id)?;
        if !directory.is_directory() {
            return Err(Status::NotDir);
        }
        let list = beneath::open(&directory, b".", LIST).map_err(refused)?;
        if cookie != 0 {
            let place = i64::try_from(cookie).map_err(|_| Status::BadCookie)?;
            rustix::fs::seek(&list, SeekFrom::Start(place as u64))
                .map_err(|_| Status::BadCookie)?;
        }
        let mut buffer = buffer();
        let mut entries = RawDir::new(list, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(refused)?;
            let name = entry.file_name().to_bytes();
            let file = match name {
                b".." => Some(self.parent(&root, &directory)?),
                name if plus => self.named(&root, &directory, name),
                _ => None,
            };
            let room = visit(Listed {
                fileid: file.as_ref().map_or(entry.ino(), |file| file.id().inode),
                name,
                cookie: entry.next_entry_cookie(),
                file: file
                    .filter(|_| plus)
                    .map(|file| (file.id(), file.attributes(self.fsid))),
            });
            if !room {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What a name stands for. What may not be entered is listed by its name alone.
    fn named(&self, root: &File, directory: &File, name: &[u8]) -> Option<File> {
        if name == b"." {
            let same = beneath::open(directory, b".", beneath::ASK);
            return same.and_then(File::new).ok();
        }
        self.enter(root, directory, name).ok()
    }
}

impl<'a> Listed<'a> {
    /// The same for a client.
    pub(in super::super) fn entry(
        self,
        handle: impl FnOnce(FileId) -> nfs::FileHandle,
    ) -> DirEntry<'a> {
        DirEntry {
            fileid: self.fileid,
            name: self.name,
            cookie: self.cookie,
            handle: self.file.map(|(id, _)| handle(id)),
            attributes: self.file.map(|(_, attributes)| attributes),
        }
    }
}
