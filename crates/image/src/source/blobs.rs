//! The files of an image of a container: in a folder, or in a tar archive that is not compressed.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, ResolveFlags};

use super::archive::FilePart;
use super::packing::OnDisk;
use crate::tar::{MemberKind, Parts, Reader};

/// Descriptions are JSON, and short.
const JSON_LIMIT: u64 = 4 << 20;
/// More files than that has no image of a container.
const FILES_LIMIT: usize = 100_000;
/// As old versions of docker made links from one layer to another.
const LINKS_LIMIT: usize = 8;

/// Where the files are.
pub(super) enum Blobs {
    Folder(OwnedFd),
    Archive(Arc<File>, HashMap<String, Place>),
}

/// Where a file of an archive is.
pub(super) enum Place {
    At { start: u64, length: u64 },
    Link(String),
}

impl Blobs {
    /// The folder at `path`, if it looks like an image of a container.
    pub(super) fn in_folder(path: &Path) -> io::Result<Option<Self>> {
        let described = path.join("oci-layout").is_file() && path.join("index.json").is_file();
        let saved = path.join("manifest.json").is_file() && !path.join("etc").exists();
        if !described && !saved {
            return Ok(None);
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::open(path, flags, Mode::empty())?;
        Ok(Some(Self::Folder(folder)))
    }

    /// The archive, if it is of nothing but an image of a container.
    pub(super) fn in_archive(file: &Arc<File>) -> Option<Self> {
        let opened = file.try_clone().and_then(|mut file| {
            io::Seek::rewind(&mut file)?;
            Ok(file)
        });
        let mut reader = Reader::new(Box::new(OnDisk::new(opened.ok()?)));
        let mut found = HashMap::new();
        // Whoever reads it as an archive says what is wrong with it.
        while let Some(member) = reader.next_member().ok()? {
            let path = String::from_utf8(member.path).ok()?;
            let path = path
                .trim_start_matches("./")
                .trim_end_matches('/')
                .to_owned();
            if !belongs(&path) || found.len() > FILES_LIMIT {
                return None;
            }
            let place = match member.kind {
                MemberKind::File {
                    size,
                    parts: Parts::All,
                } => Place::At {
                    start: member.offset,
                    length: size,
                },
                MemberKind::HardLink(target) => Place::Link(String::from_utf8(target).ok()?),
                MemberKind::Symlink(target) => {
                    let target = String::from_utf8(target).ok()?;
                    Place::Link(joined(&path, &target)?)
                }
                MemberKind::Directory => continue,
                _ => return None,
            };
            found.insert(path, place);
        }
        let described = found.contains_key("index.json") || found.contains_key("manifest.json");
        described.then(|| Self::Archive(Arc::clone(file), found))
    }

    /// The file at `path` and its length.
    pub(super) fn open(&self, path: &str) -> io::Result<(FilePart, u64)> {
        match self {
            Self::Folder(folder) => {
                let file = rustix::fs::openat2(
                    folder,
                    path,
                    OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC,
                    Mode::empty(),
                    ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS,
                )?;
                let file = File::from(file);
                let metadata = file.metadata()?;
                if !metadata.is_file() {
                    return Err(io::Error::other("not a regular file"));
                }
                let length = metadata.len();
                Ok((FilePart::new(Arc::new(file), 0, length), length))
            }
            Self::Archive(file, places) => {
                let mut path = path;
                for _ in 0..LINKS_LIMIT {
                    match places.get(path) {
                        None => return Err(io::ErrorKind::NotFound.into()),
                        Some(Place::Link(target)) => path = target,
                        Some(&Place::At { start, length }) => {
                            return Ok((FilePart::new(Arc::clone(file), start, length), length));
                        }
                    }
                }
                Err(io::Error::other("a loop of links"))
            }
        }
    }

    pub(super) fn has(&self, path: &str) -> bool {
        self.open(path).is_ok()
    }

    /// A description, whole.
    pub(super) fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        let (file, length) = self.open(path)?;
        if length > JSON_LIMIT {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let mut bytes = Vec::new();
        file.take(JSON_LIMIT).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(bytes)
    }
}

/// Whether an image of a container has files of this name.
fn belongs(path: &str) -> bool {
    let first = path.split('/').next().unwrap_or_default();
    let digest = first.split('.').next().unwrap_or_default();
    matches!(
        first,
        "" | "." | "blobs" | "oci-layout" | "index.json" | "manifest.json" | "repositories"
    ) || digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Where a link at `path` leads, `None` when out of the archive.
fn joined(path: &str, target: &str) -> Option<String> {
    let mut names: Vec<&str> = path.split('/').collect();
    names.pop();
    for name in target.split('/') {
        match name {
            "" | "." => {}
            ".." => {
                names.pop()?;
            }
            name => names.push(name),
        }
    }
    Some(names.join("/"))
}
