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
    /// The caller asked to stop.
    #[error("stopped")]
    Stopped,
}
