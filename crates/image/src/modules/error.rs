//! What can be wrong with modules.

use std::io;

use thiserror::Error;

/// Why the modules of a kernel could not be used.
#[derive(Debug, Error)]
pub enum Error {
    /// A file or folder could not be read: its path in the tree.
    #[error("cannot read {0}: {1}")]
    Read(String, #[source] io::Error),
    /// A file named like a module is not one: its path in the tree.
    #[error("{0} is damaged: it is not a kernel module")]
    NotAModule(String),
    /// A module does not exist: its name.
    #[error("the kernel has no module {0}")]
    Missing(String),
    /// A module needs another one that does not exist.
    #[error("the module {module} needs {needs}, which the kernel does not have")]
    Unmet {
        /// Which needs something.
        module: String,
        /// What it needs.
        needs: String,
    },
}
