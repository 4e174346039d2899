//! Why an image could not be written.

use std::io;

use crate::source;

/// Why an image could not be written. Whatever was written until then is not an image.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The source could not be read.
    #[error(transparent)]
    Source(#[from] source::Error),
    /// A file's content could not be read.
    #[error("cannot read {path}: {cause}")]
    Read {
        /// The file, below the source's root.
        path: String,
        /// What the operating system said.
        #[source]
        cause: io::Error,
    },
    /// The image could not be written; most often the disk is full.
    #[error("cannot write the image: {0}")]
    Write(#[source] io::Error),
    /// A compressor refused its settings or ran out of memory.
    #[error("cannot compress: {0}")]
    Compress(#[source] io::Error),
    /// The source breaks the order of the stream (see [`crate::entry`]): a defect of the source.
    #[error("{path} is out of order: {why}")]
    Order {
        /// The entry, below the source's root.
        path: String,
        /// Which promise it breaks.
        why: &'static str,
    },
    /// The entry cannot be held by a squashfs image.
    #[error("{path} does not fit into a squashfs image: {why}")]
    Unfit {
        /// The entry, below the source's root.
        path: String,
        /// Which limit it exceeds.
        why: &'static str,
    },
    /// The image as a whole exceeds a limit of the format.
    #[error("the source does not fit into one squashfs image: {0}")]
    Full(&'static str),
    /// The caller asked to stop.
    #[error("stopped")]
    Stopped,
}

/// A path as it is shown to a person.
pub(crate) fn shown(path: &[u8]) -> String {
    if path.is_empty() {
        "/".to_owned()
    } else {
        String::from_utf8_lossy(path).into_owned()
    }
}
