//! Reading extended attributes.

use rustix::fd::BorrowedFd;
use rustix::fs;
use rustix::io::{Errno, Result};
use std::ffi::CStr;
use std::path::Path;

use crate::entry::Xattr;

/// The kernel's limits for a list of names and for a value (`XATTR_LIST_MAX`, `XATTR_SIZE_MAX`).
const LIMIT: usize = 64 << 10;

/// Whose attributes: an open file's, or those of a name that is not to be opened or followed.
#[derive(Clone, Copy)]
pub(super) enum Of<'a> {
    Open(BorrowedFd<'a>),
    Name(&'a Path),
}

impl Of<'_> {
    fn list(self, buf: &mut [u8]) -> Result<usize> {
        match self {
            Self::Open(fd) => fs::flistxattr(fd, buf),
            Self::Name(path) => fs::llistxattr(path, buf),
        }
    }

    fn value(self, name: &CStr, buf: &mut [u8]) -> Result<usize> {
        match self {
            Self::Open(fd) => fs::fgetxattr(fd, name, buf),
            Self::Name(path) => fs::lgetxattr(path, name, buf),
        }
    }
}

/// Reads attributes with one buffer for all files.
pub(super) struct Reader {
    names: Vec<u8>,
    value: Vec<u8>,
}

impl Reader {
    pub(super) fn new() -> Self {
        Self {
            names: vec![0; LIMIT],
            value: vec![0; LIMIT],
        }
    }

    /// All attributes, sorted by name; none where the file system knows none.
    pub(super) fn read(&mut self, of: Of<'_>) -> Result<Vec<Xattr>> {
        let length = match of.list(&mut self.names) {
            Err(Errno::NOTSUP | Errno::NOSYS) => 0,
            length => length?,
        };
        let mut xattrs = Vec::new();
        for name in self.names[..length].split_inclusive(|byte| *byte == 0) {
            let Ok(name) = CStr::from_bytes_with_nul(name) else {
                continue;
            };
            match of.value(name, &mut self.value) {
                // It was removed since, or is listed without having a value (some network file systems).
                Err(Errno::NODATA | Errno::NOTSUP) => {}
                Err(errno) => return Err(errno),
                Ok(length) => xattrs.push(Xattr {
                    name: name.to_bytes().to_vec(),
                    value: self.value[..length].to_vec(),
                }),
            }
        }
        xattrs.sort();
        Ok(xattrs)
    }
}
