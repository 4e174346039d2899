//! Where an image comes from.
//!
//! [`Source`] tells what it is given by its content and hands out one [`Entry`] for each name, in the order that the
//! squashfs writer wants, whatever the order in which the source has them. Nothing is unpacked to disk.
//!
//! | source | names | content |
//! |---|---|---|
//! | a directory | walked in order, none kept ([`Directory`]) | opened when its turn comes |
//! | a tar archive on disk | gathered ([`Gathered`]) | read in place |
//! | a tar archive that is compressed or comes through a pipe | gathered | put aside, compressed, in a file without a name |
//! | the disk of a virtual machine (MBR, GPT; ext2, ext3, ext4) | gathered | read in place |
//! | a squashfs image, a live medium with one in it (ISO 9660) | gathered | read in place |
//! | an image of a container (OCI layout, `docker save`), its layers applied | gathered | put aside |
//! | several of them, one over the other | gathered | as above |
//!
//! [`Directory::entries`] hands out one [`Entry`](crate::entry::Entry) for each name, in the order that the
//! squashfs writer wants, and opens one file at a time. What the [`Rules`] leave out is never opened.
//!
//! The directory may be in use. A file is as long as it was when it was opened; one that vanishes is left out
//! and noted. Other file systems mounted below the root are not entered unless
//! [`Directory::with_mounts`] names them: their mount points stay, empty.

mod archive;
mod blobs;
mod disk;
mod error;
mod file;
mod gathered;
mod iso;
mod kind;
mod layer;
mod listing;
mod oci;
mod open;
mod packing;
mod spool;
mod squashfs;
mod survey;
mod walk;
mod window;
mod xattr;

use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, ResolveFlags};

use crate::entry::Entry;
use crate::progress::Progress;
use crate::scrub::Rules;

pub use error::Error;
pub use gathered::Gathered;
pub use kind::SourceKind;
pub use open::{Source, SourceOptions};
pub use survey::Survey;
pub use walk::Entries;
pub(crate) use window::read_exact;

/// A directory as source of an image.
///
/// ```
/// use image::scrub::Rules;
/// use image::source::Directory;
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path();
/// std::fs::create_dir(path.join("etc"))?;
/// std::fs::write(path.join("etc/hostname"), "demo\n")?;
/// let source = Directory::open(path, Rules::none())?;
/// let names: Result<Vec<_>, _> = source.entries(&()).map(|entry| Ok(entry?.path)).collect();
/// let names: Result<_, image::source::Error> = names;
/// assert_eq!(names?, [b"".to_vec(), b"etc".to_vec(), b"etc/hostname".to_vec()]);
/// assert_eq!(source.survey(&(), &Default::default())?.bytes, 5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Directory {
    path: PathBuf,
    root: OwnedFd,
    rules: Rules,
    unreadable: Unreadable,
    /// Mount points that are entered, below the root.
    mounts: Vec<Vec<u8>>,
}

/// What becomes of a file or directory that cannot be opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unreadable {
    /// It ends the build.
    #[default]
    Fail,
    /// It is noted, and not in the image.
    Skip,
}

impl Directory {
    /// The directory at `path`, without what `rules` leave out.
    ///
    /// # Errors
    /// When it cannot be opened or is not a directory.
    pub fn open(path: &Path, rules: Rules) -> Result<Self, Error> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| Error::Io {
            action: "open",
            path: path.display().to_string(),
            cause: errno.into(),
        })?;
        Ok(Self {
            path: path.to_owned(),
            root,
            rules,
            unreadable: Unreadable::default(),
            mounts: Vec::new(),
        })
    }

    /// Says what becomes of what cannot be opened.
    #[must_use]
    pub fn with_unreadable(mut self, unreadable: Unreadable) -> Self {
        self.unreadable = unreadable;
        self
    }

    /// Takes in what is mounted at `mounts`, paths as the system in the directory has them (`/usr`).
    ///
    /// # Errors
    /// When one of them is not a directory.
    pub fn with_mounts(mut self, mounts: &[PathBuf]) -> Result<Self, Error> {
        for mount in mounts {
            let inside = mount.strip_prefix("/").unwrap_or(mount);
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let found = rustix::fs::openat2(
                &self.root,
                inside,
                flags,
                Mode::empty(),
                ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
            );
            found.map_err(|errno| Error::Io {
                action: "open the mount",
                path: mount.display().to_string(),
                cause: errno.into(),
            })?;
            let inside: PathBuf = inside.components().collect();
            self.mounts.push(inside.into_os_string().into_vec());
        }
        Ok(self)
    }

    /// Whether the walk enters a directory on `device` whose parent is on `above`.
    fn enters(&self, path: &[u8], above: u64, device: u64) -> bool {
        above == device || self.mounts.iter().any(|mount| mount == path)
    }

    /// Everything that goes into the image, the root first. What the person who waits should know is told
    /// to `progress`.
    pub fn entries<'a>(&'a self, progress: &'a dyn Progress) -> Entries<'a> {
        Entries::new(self, progress, true)
    }

    /// The same, and the root's mode is as it is.
    fn layer_entries<'a>(&'a self, progress: &'a dyn Progress) -> Entries<'a> {
        Entries::new(self, progress, false)
    }
}

/// `mktemp -d` makes roots that only their owner may enter; a system in one lets nobody but root do anything.
/// Answers whether the root's mode had to be changed.
fn open_root(root: &mut Entry) -> bool {
    let closed = root.mode & 0o001 == 0;
    if closed {
        root.mode |= 0o555;
    }
    closed
}

const OPENED_ROOT: &str = "/ is closed to all but its owner; in the image everybody may enter it";

/// Whether a file was written to since `opened`.
fn file_changed(file: &std::fs::File, opened: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    let of = |metadata: &std::fs::Metadata| {
        (
            metadata.len(),
            (metadata.mtime(), metadata.mtime_nsec()),
            (metadata.ctime(), metadata.ctime_nsec()),
        )
    };
    file.metadata().is_ok_and(|now| of(&now) != of(opened))
}
