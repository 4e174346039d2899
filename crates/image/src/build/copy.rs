//! The kernel as a file of its own, and files whose digest is known when they are written.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use super::BuildError;
use crate::KERNEL_FILE;
use crate::catalogue::Draft;
use crate::kernel::Kernel;
use crate::progress::{Progress, Stage};
use crate::tree::{Kind, Tree};

/// Copies the kernel into the draft: its length and SHA-256.
pub(super) fn copy_kernel(
    tree: &dyn Tree,
    kernel: &Kernel,
    draft: &Draft,
    progress: &dyn Progress,
) -> Result<(u64, [u8; 32]), BuildError> {
    let from = PathBuf::from(&kernel.path);
    let failed = |error| BuildError::io("read the kernel", &from)(error);
    let mut source = tree.reader(&kernel.path).map_err(failed)?;
    let total = match tree.kind(&kernel.path).map_err(failed)? {
        Some(Kind::File(size)) => Some(size),
        _ => None,
    };
    progress.stage(Stage::Kernel, total);
    let mut copy = Hashed::new(draft.create(KERNEL_FILE)?);
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let len = source
            .read(&mut buffer)
            .map_err(BuildError::io("read the kernel", &from))?;
        if len == 0 {
            return Ok(copy.finish());
        }
        copy.write_all(&buffer[..len])
            .map_err(BuildError::io("write", &draft.folder().join(KERNEL_FILE)))?;
        progress.advance(len as u64);
    }
}

/// A file of which the SHA-256 is known when it is written.
pub(super) struct Hashed {
    file: File,
    hash: Sha256,
    bytes: u64,
}

impl Hashed {
    pub(super) fn new(file: File) -> Self {
        Self {
            file,
            hash: Sha256::new(),
            bytes: 0,
        }
    }

    pub(super) fn finish(self) -> (u64, [u8; 32]) {
        (self.bytes, self.hash.finalize().into())
    }
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = self.file.write(bytes)?;
        self.hash.update(&bytes[..len]);
        self.bytes += len as u64;
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
