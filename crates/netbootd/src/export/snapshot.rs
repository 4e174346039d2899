//! The generations that are exported at one moment.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use model::{GenerationId, ImageName};
use nfs::FileToken;
use rustix::io::ReadWriteFlags;
use squashfs::{Archive, Caches, ReadAt};

use super::folder::Folder;
use super::namespace::Namespace;

/// A published generation, open. Cloning shares the open file and what is cached of it.
#[derive(Clone, Debug)]
pub struct ExportedGeneration {
    /// The image it is a generation of.
    pub name: ImageName,
    /// Which generation.
    pub id: GenerationId,
    /// Its `root.squashfs`.
    pub file: Arc<File>,
    /// The same, as a tree.
    pub archive: Arc<Archive>,
    /// Whether this is the generation that clients get when they do not ask for one.
    pub current: bool,
    /// Length of the file in bytes, as it was when it was opened.
    pub(super) len: u64,
    /// What it is called in figures: as a file, and as a tree.
    pub(super) places: [Arc<str>; 2],
    /// Whether the operator was told that something is wrong with it.
    pub(super) reported: Arc<AtomicBool>,
}

impl ExportedGeneration {
    /// Opens the `root.squashfs` at `path`. Costs a few kilobytes of reading.
    ///
    /// # Errors
    /// [`squashfs::Error`] says why it is not a usable image; one bad image is no reason not to
    /// publish the others.
    pub fn open(
        name: ImageName,
        id: GenerationId,
        path: &Path,
        caches: &Caches,
        current: bool,
    ) -> Result<Self, OpenError> {
        let file = Arc::new(File::open(path)?);
        let len = file.metadata()?.len();
        let source = ImageFile {
            file: Arc::clone(&file),
            len,
        };
        Ok(Self {
            archive: Arc::new(Archive::open(Arc::new(source), caches)?),
            places: [
                format!("/images/{name}/{id}").into(),
                format!("/roots/{name}@{id}").into(),
            ],
            name,
            id,
            file,
            current,
            len,
            reported: Arc::default(),
        })
    }

    /// The same for those who must not wait: its tree is what can be had of it in no time.
    pub(super) fn in_memory(&self) -> Self {
        Self {
            archive: Arc::new(self.archive.in_memory()),
            ..self.clone()
        }
    }

    /// The number by which the shell knows the open file.
    pub(super) fn token(&self) -> FileToken {
        FileToken(self.number(b"file"))
    }

    /// Number of the file system that the generation's tree is.
    pub(super) fn fsid(&self) -> u64 {
        self.number(b"fsid")
    }

    /// A number that is the same for the same content on every server.
    fn number(&self, what: &[u8]) -> u64 {
        super::namespace::number(&[what, &self.id.0])
    }

    /// Tells the operator, once, that this generation cannot be read; `debug` has the rest.
    pub(super) fn report(&self, error: &dyn std::fmt::Display) {
        if self.reported.swap(true, Relaxed) {
            tracing::debug!(image = %self.name, generation = %self.id.short(), "{error}");
        } else {
            tracing::warn!(
                image = %self.name,
                generation = %self.id.short(),
                "clients get I/O errors from this image: {error}"
            );
        }
    }
}

/// Why a generation cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file is missing or unreadable.
    #[error(transparent)]
    File(#[from] io::Error),
    /// The file is not an image that we can read.
    #[error(transparent)]
    Image(#[from] squashfs::Error),
}

/// The image file, read at offsets (never mapped: a file cut short would kill the daemon).
struct ImageFile {
    file: Arc<File>,
    len: u64,
}

impl ReadAt for ImageFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buf, offset)
    }

    fn read_at_once(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let buffers = &mut [IoSliceMut::new(buf)];
        let read = rustix::io::preadv2(&self.file, buffers, offset, ReadWriteFlags::NOWAIT)?;
        Ok(read)
    }

    fn len(&self) -> u64 {
        self.len
    }
}

/// All that is exported at one moment. Made when an image is published or removed, never changed.
#[derive(Debug)]
pub(super) struct ExportSnapshot {
    generations: Vec<ExportedGeneration>,
    by_id: HashMap<GenerationId, usize>,
    by_token: HashMap<FileToken, usize>,
    pub(super) namespace: Namespace,
}

impl ExportSnapshot {
    /// Exports these generations, and folders beside them. Two images with the same content have the
    /// same generation; of two generations of one image that both claim to be current, the first is.
    pub(super) fn new(generations: Vec<ExportedGeneration>, folders: &[Folder]) -> Self {
        let numbered = || generations.iter().enumerate();
        Self {
            by_id: numbered().map(|(at, one)| (one.id, at)).collect(),
            by_token: numbered().map(|(at, one)| (one.token(), at)).collect(),
            namespace: Namespace::new(&generations, folders),
            generations,
        }
    }

    /// All generations, in the order in which they were given.
    pub(super) fn generations(&self) -> &[ExportedGeneration] {
        &self.generations
    }

    /// The generation with this id: to take it over, open, into the next snapshot.
    pub(super) fn generation(&self, id: GenerationId) -> Option<&ExportedGeneration> {
        self.generations.get(*self.by_id.get(&id)?)
    }

    /// The open file behind a token of an [`nfs::FileRange`].
    pub(super) fn file(&self, token: FileToken) -> Option<&Arc<File>> {
        Some(&self.generations.get(*self.by_token.get(&token)?)?.file)
    }
}
