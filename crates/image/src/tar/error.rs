//! Why an archive cannot be read.

use std::fmt;
use std::io;

/// What is wrong, and where.
#[derive(Debug)]
pub struct Error {
    /// Bytes from the archive's beginning: of the header that is wrong, or of the byte that is missing.
    pub offset: u64,
    /// The member, when its name is known.
    pub path: Option<Vec<u8>>,
    /// What is wrong.
    pub what: What,
}

/// What is wrong with an archive.
#[derive(Debug)]
pub enum What {
    /// It breaks the format's rules, or goes beyond what is read.
    Broken(&'static str),
    /// It could not be read.
    Io(io::Error),
}

impl Error {
    pub(super) fn at(offset: u64, what: &'static str) -> Self {
        Self {
            offset,
            path: None,
            what: What::Broken(what),
        }
    }

    pub(super) fn named(offset: u64, path: &[u8], what: &'static str) -> Self {
        Self {
            path: Some(path.to_vec()),
            ..Self::at(offset, what)
        }
    }

    pub(super) fn io(offset: u64, cause: io::Error) -> Self {
        Self {
            offset,
            path: None,
            what: What::Io(cause),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            write!(f, "{}: ", String::from_utf8_lossy(path))?;
        }
        match &self.what {
            What::Broken(what) => f.write_str(what)?,
            What::Io(error) => write!(f, "{error}")?,
        }
        write!(f, " (tar archive, byte {})", self.offset)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.what {
            What::Broken(_) => None,
            What::Io(error) => Some(error),
        }
    }
}
