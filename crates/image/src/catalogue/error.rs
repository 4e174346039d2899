//! What can be wrong with a catalogue.

use std::io;
use std::path::{Path, PathBuf};

use model::{GenerationId, ImageName};
use thiserror::Error;

/// Why the catalogue could not do what was asked.
#[derive(Debug, Error)]
pub enum CatalogueError {
    /// There is no such image, or no good generation of it.
    #[error("there is no image {0}")]
    NoImage(ImageName),
    /// The image has no such generation, or it is damaged.
    #[error("the image {0} has no generation {1}")]
    NoGeneration(ImageName, GenerationId),
    /// The image has one generation only.
    #[error("the image {0} has no other generation to go back to")]
    NothingBefore(ImageName),
    /// The generation is not to be removed.
    #[error("{0}@{generation} is not removed: {2}", generation = .1.short())]
    Needed(ImageName, GenerationId, &'static str),
    /// What was to be imported is no exported generation, or a damaged one.
    #[error("the archive cannot be imported: {0}; nothing was published")]
    Archive(String),
    /// Somebody else is building this image.
    #[error("the image {name} is being built by process {process}; wait for it or stop it")]
    Busy {
        /// The image.
        name: String,
        /// Its process id, or what is known instead.
        process: String,
    },
    /// A file or folder could not be read, written or made.
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

impl CatalogueError {
    /// For `map_err`: what was tried on which path.
    pub(crate) fn io(
        action: &'static str,
        path: &Path,
    ) -> impl FnOnce(io::Error) -> CatalogueError + use<> {
        let path = path.to_owned();
        move |cause| Self::Io {
            action,
            path,
            cause,
        }
    }
}
