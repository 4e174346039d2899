//! Where an image comes from: a directory, walked in order.
//!
//! [`Directory::entries`] hands out one [`Entry`](crate::entry::Entry) for each name, in the order that the
//! squashfs writer wants, and opens one file at a time. What the [`Rules`] leave out is never opened.
//!
//! The directory may be in use. A file is as long as it was when it was opened; one that vanishes is left out
//! and noted. Other file systems mounted below the root are not entered: their mount points stay, empty.

mod error;
mod file;
mod survey;
mod walk;
mod xattr;

use std::path::{Path, PathBuf};

use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags};

use crate::progress::Progress;
use crate::scrub::Rules;

pub use error::Error;
pub use survey::Survey;
pub use walk::Entries;

/// A directory as source of an image.
pub struct Directory {
    path: PathBuf,
    root: OwnedFd,
    rules: Rules,
    unreadable: Unreadable,
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
        })
    }

    /// Says what becomes of what cannot be opened.
    #[must_use]
    pub fn with_unreadable(mut self, unreadable: Unreadable) -> Self {
        self.unreadable = unreadable;
        self
    }

    /// Everything that goes into the image, the root first. What the person who waits should know is told
    /// to `progress`.
    pub fn entries<'a>(&'a self, progress: &'a dyn Progress) -> Entries<'a> {
        Entries::new(self, progress)
    }
}
