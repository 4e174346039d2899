//! The file that is being written, and how far it is.

use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};

use sha2::{Digest, Sha256};

use super::compressor::Compressor;
use super::metadata::Table;

/// Images are padded to this many bytes, so that a loop device shows all of them.
const PADDING: u64 = 4096;

pub(super) struct Output<W: Write> {
    inner: BufWriter<W>,
    position: u64,
}

impl<W: Read + Write + Seek> Output<W> {
    pub(super) fn new(inner: W) -> Self {
        Self {
            inner: BufWriter::with_capacity(256 << 10, inner),
            position: 0,
        }
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.inner.write_all(bytes)?;
        self.position += bytes.len() as u64;
        Ok(())
    }

    /// Writes `entries` as metadata blocks and after them the index: where each block begins. `header` comes
    /// before the index. Answers where the header begins.
    pub(super) fn write_lookup(
        &mut self,
        entries: &[u8],
        header: &[u8],
        compressor: Compressor,
    ) -> io::Result<u64> {
        let begin = self.position;
        let mut table = Table::new(compressor);
        table.write(entries)?;
        let (bytes, starts) = table.finish()?;
        self.write(&bytes)?;
        let index = self.position;
        self.write(header)?;
        for start in starts {
            self.write(&(begin + u64::from(start)).to_le_bytes())?;
        }
        Ok(index)
    }

    /// Appends `list`, pads the image so that it ends with `footer`, puts `superblock` at its beginning, and
    /// answers its length and SHA-256.
    pub(super) fn finish(
        mut self,
        list: &[u8],
        footer: &[u8],
        superblock: &[u8],
    ) -> io::Result<(u64, [u8; 32])> {
        self.write(list)?;
        let padded = (self.position + footer.len() as u64).next_multiple_of(PADDING);
        self.write(&vec![0; (padded - self.position) as usize - footer.len()])?;
        self.write(footer)?;
        let mut inner = self
            .inner
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        inner.rewind()?;
        inner.write_all(superblock)?;
        inner.seek(SeekFrom::Start(0))?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 128 << 10];
        loop {
            match inner.read(&mut buffer)? {
                0 => return Ok((padded, hash.finalize().into())),
                count => hash.update(&buffer[..count]),
            }
        }
    }
}
