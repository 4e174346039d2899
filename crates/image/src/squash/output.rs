//! The file that is being written, and how far it is.
//!
//! ```text
//! write ──► piece of 1 MiB ──► a thread: hash, write      the first piece is kept: its beginning comes last
//! ```

use std::io::{self, Seek, SeekFrom, Write};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::{self, JoinHandle};

use sha2::{Digest, Sha256};

use super::compressor::Compressor;
use super::metadata::Table;
use super::workers::gone;
use crate::digest::PIECE;

/// Images are padded to this many bytes, so that a loop device shows all of them.
const PADDING: u64 = 4096;
/// Bytes written at once: they stay in a processor's cache.
const WRITE: usize = 128 << 10;
/// Pieces that wait for the thread.
const DEPTH: usize = 2;

pub(super) struct Output<W: Write> {
    position: u64,
    /// What was written and not yet handed over.
    piece: Vec<u8>,
    /// The first piece, when it is full.
    first: Option<Vec<u8>>,
    pieces: Option<SyncSender<Vec<u8>>>,
    /// Buffers that come back.
    spares: Receiver<Vec<u8>>,
    thread: Option<JoinHandle<io::Result<Written<W>>>>,
}

/// All pieces but the first.
struct Written<W> {
    inner: W,
    digests: Vec<u8>,
}

impl<W: Write + Seek + Send + 'static> Output<W> {
    pub(super) fn new(inner: W) -> io::Result<Self> {
        let (pieces, queue) = mpsc::sync_channel(DEPTH);
        let (back, spares) = mpsc::channel();
        let thread = thread::Builder::new().name("squash-out".into());
        Ok(Self {
            position: 0,
            piece: Vec::with_capacity(PIECE),
            first: None,
            pieces: Some(pieces),
            spares,
            thread: Some(thread.spawn(move || write(inner, &queue, &back))?),
        })
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Errors may come later than the bytes that they are about, at the latest from [`Output::finish`].
    pub(super) fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        self.position += bytes.len() as u64;
        while self.piece.len() + bytes.len() >= PIECE {
            let (front, rest) = bytes.split_at(PIECE - self.piece.len());
            self.piece.extend_from_slice(front);
            self.hand_over()?;
            bytes = rest;
        }
        self.piece.extend_from_slice(bytes);
        Ok(())
    }

    fn hand_over(&mut self) -> io::Result<()> {
        let next = self.spares.try_recv().unwrap_or_default();
        let piece = std::mem::replace(&mut self.piece, next);
        self.piece.clear();
        self.piece.reserve_exact(PIECE);
        if self.first.is_none() {
            self.first = Some(piece);
            return Ok(());
        }
        let sent = self.pieces.as_ref().map(|pieces| pieces.send(piece));
        match sent {
            Some(Ok(())) => Ok(()),
            _ => Err(self.join().err().unwrap_or_else(gone)),
        }
    }

    /// Waits until the thread has written what it has.
    fn join(&mut self) -> io::Result<Written<W>> {
        self.pieces = None;
        let ended = self.thread.take().map(JoinHandle::join);
        ended.and_then(Result::ok).unwrap_or_else(|| Err(gone()))
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
    /// answers its length and its digest in pieces.
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
        if !self.piece.is_empty() {
            self.hand_over()?;
        }
        let mut first = self.first.take().unwrap_or_default();
        first[..superblock.len()].copy_from_slice(superblock);
        let mut hash = Sha256::new();
        hash.update(Sha256::digest(&first));
        let Written { mut inner, digests } = self.join()?;
        inner.rewind()?;
        inner.write_all(&first)?;
        inner.flush()?;
        hash.update(digests);
        Ok((padded, hash.finalize().into()))
    }
}

impl<W: Write> Drop for Output<W> {
    fn drop(&mut self) {
        self.pieces = None;
        if let Some(thread) = self.thread.take() {
            // The writer has failed already; the file shall not change any more behind its back.
            let _ = thread.join();
        }
    }
}

/// Writes the pieces from the second on.
fn write<W: Write + Seek>(
    mut inner: W,
    pieces: &Receiver<Vec<u8>>,
    back: &mpsc::Sender<Vec<u8>>,
) -> io::Result<Written<W>> {
    let mut digests = Vec::new();
    for piece in pieces {
        if digests.is_empty() {
            inner.seek(SeekFrom::Start(PIECE as u64))?;
        }
        for part in piece.chunks(WRITE) {
            inner.write_all(part)?;
        }
        digests.extend_from_slice(&Sha256::digest(&piece));
        let _ = back.send(piece); // nobody wants it any more after the last one
    }
    Ok(Written { inner, digests })
}
