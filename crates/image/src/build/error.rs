//! Why an image was not built.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use crate::catalogue::CatalogueError;
use crate::initrd::InitrdError;
use crate::kernel::FindError;
use crate::secrets::Secret;
use crate::{source, squash};

/// Why an image was not built. Nothing was published and nothing is left over.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The source has no kernel that can be used.
    #[error("{}: {error}", source_dir.display())]
    Kernel {
        /// The source.
        source_dir: PathBuf,
        /// Why.
        #[source]
        error: FindError,
    },
    /// The initrd cannot be made.
    #[error(transparent)]
    Initrd(#[from] InitrdError),
    /// The kernel of the image could not read the image.
    #[error(
        "the kernel {kernel} cannot read {compression} images (see CONFIG_SQUASHFS_* in its configuration)"
    )]
    Compression {
        /// Its version.
        kernel: String,
        /// What was asked for.
        compression: &'static str,
    },
    /// The kernel of the image could not check the image.
    #[error(
        "the kernel {kernel} cannot check what it reads of its root: {why}; without `verity = true` \
         the image is published without that"
    )]
    Verity {
        /// Its version.
        kernel: String,
        /// What it lacks.
        why: String,
    },
    /// The source cannot be read.
    #[error(transparent)]
    Source(#[from] source::Error),
    /// The root image cannot be written.
    #[error(transparent)]
    Squash(#[from] squash::Error),
    /// Some of the source may not be read.
    #[error("{}", unreadable(.0, *.1))]
    Unreadable(
        /// The first of them.
        Vec<String>,
        /// How many they are.
        u64,
    ),
    /// The account files cannot be read.
    #[error("cannot read the accounts (etc/passwd and the like): {0}")]
    Accounts(#[source] io::Error),
    /// The image would hold secrets.
    #[error("{}", secrets(.0, *.1))]
    Secrets(
        /// The first of them.
        Vec<Secret>,
        /// How many there are besides.
        u64,
    ),
    /// The catalogue cannot be used.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// There is less space than the image is sure to take. Bytes.
    #[error(
        "not enough space in {}: the image will take about {} MB and {} MB are free",
        folder.display(), needed.div_ceil(1_000_000), free / 1_000_000
    )]
    Space {
        /// Where.
        folder: PathBuf,
        /// A low guess.
        needed: u64,
        /// What there is.
        free: u64,
    },
    /// The disk filled up.
    #[error("the disk with {} is full; nothing was published", .0.display())]
    Full(PathBuf),
    /// The caller asked to stop.
    #[error("stopped; nothing was published")]
    Stopped,
    /// Something else that the operating system refused.
    #[error("cannot {action} {}: {cause}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        cause: io::Error,
    },
}

fn unreadable(paths: &[String], count: u64) -> String {
    let mut text = format!("{count} names in the source cannot be read:\n");
    list(&mut text, paths, count.saturating_sub(paths.len() as u64));
    text + "run it as root, leave them out (--exclude PATH), or go on without them (--skip-unreadable)"
}

fn secrets(secrets: &[Secret], more: u64) -> String {
    let mut text = "whoever can boot could read these secrets in the image:\n".to_owned();
    list(&mut text, secrets, more);
    text + "remove them, leave them out (--exclude PATH), or, if everybody may have them, allow them \
            (--allow-secret PATH)"
}

/// A line for each of the first, and how many are not shown.
fn list(text: &mut String, items: &[impl std::fmt::Display], more: u64) {
    const SHOWN: usize = 50;
    for item in items.iter().take(SHOWN) {
        *text += &format!("  {item}\n");
    }
    let more = more + items.len().saturating_sub(SHOWN) as u64;
    if more > 0 {
        *text += &format!("  and {more} more\n");
    }
}

impl BuildError {
    /// For `map_err`: what was tried on which path.
    pub(super) fn io(
        action: &'static str,
        path: &Path,
    ) -> impl FnOnce(io::Error) -> BuildError + use<> {
        let path = path.to_owned();
        move |cause| Self::Io {
            action,
            path,
            cause,
        }
    }

    /// The same, or [`BuildError::Full`] when a full disk is at the bottom of it.
    pub(super) fn or_full(self, state_dir: &Path) -> Self {
        let mut cause: Option<&(dyn Error + 'static)> = Some(&self);
        while let Some(error) = cause {
            let full = error.downcast_ref::<io::Error>().is_some_and(|error| {
                matches!(
                    error.kind(),
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
                )
            });
            if full {
                return Self::Full(state_dir.to_owned());
            }
            cause = error.source();
        }
        self
    }
}
