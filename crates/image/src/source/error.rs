//! Why a source could not be read.

use std::io;

/// Why a source could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused.
    #[error("cannot {action} {path}: {cause}")]
    Io {
        /// What was tried: `open`, `list`, `look at`, …
        action: &'static str,
        /// The name, below the source's root.
        path: String,
        /// What the operating system said.
        #[source]
        cause: io::Error,
    },
    /// A secret was found that may not be in an image, see [`crate::secrets::Scan`].
    #[error("a secret was found")]
    Secret,
    /// Something in it cannot be taken: it breaks its format's rules, or would lead out of the image.
    #[error("{path}: {why}")]
    Entry {
        /// The name, below the source's root.
        path: String,
        /// Why not.
        why: String,
    },
    /// It is not what it should be, or is broken.
    #[error("{name}: {what}")]
    Broken {
        /// The source, or the part of it.
        name: String,
        /// What is wrong, with its place.
        what: String,
    },
    /// The caller asked to stop.
    #[error("stopped")]
    Stopped,
}
