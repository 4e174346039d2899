//! The file that is being written, and how far it is.
//!
//! ```text
//! write ──► piece of 1 MiB ──► a thread: hash, write      the first piece is kept: its beginning comes last
//!
//! squashfs, to 4 KiB │ hash tree, if it is wanted │ list of blocks │ zeros, footer, to 4 KiB
//! ```

use std::io::{self, Seek, SeekFrom, Write};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::{self, JoinHandle};

use model::Verity;
use sha2::{Digest, Sha256};

use super::compressor::Compressor;
use super::metadata::Table;
use super::workers::gone;
use crate::digest::PIECE;
use crate::verity::{self, Hashes};

/// Images are padded to this many bytes, so that a loop device shows all of them.
const PADDING: u64 = Verity::BLOCK as u64;
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
    thread: Option<JoinHandle<io::Result<Sink<W>>>>,
    verity: bool,
}

/// Where pieces go, and what they come to.
struct Sink<W> {
    inner: W,
    digests: Vec<u8>,
    /// Of all blocks, where a hash tree is wanted.
    hashes: Option<Hashes>,
}

/// What was written.
pub(super) struct Finished {
    /// Bytes.
    pub(super) length: u64,
    /// Its digest in pieces.
    pub(super) digest: [u8; 32],
    /// What its hash tree comes to.
    pub(super) verity: Option<Verity>,
}

impl<W: Write + Seek + Send + 'static> Output<W> {
    /// With `verity` the image gets a hash tree.
    pub(super) fn new(mut inner: W, verity: bool) -> io::Result<Self> {
        let (pieces, queue) = mpsc::sync_channel(DEPTH);
        let (back, spares) = mpsc::channel();
        let thread = thread::Builder::new().name("squash-out".into());
        inner.seek(SeekFrom::Start(PIECE as u64))?; // the thread's first one is the second
        let sink = Sink {
            inner,
            digests: Vec::new(),
            hashes: verity.then(Hashes::default),
        };
        Ok(Self {
            position: 0,
            piece: Vec::with_capacity(PIECE),
            first: None,
            pieces: Some(pieces),
            spares,
            thread: Some(thread.spawn(move || write(sink, &queue, &back))?),
            verity,
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
    fn join(&mut self) -> io::Result<Sink<W>> {
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

    /// Where the list of blocks will begin: all that is to be read is written.
    pub(super) fn list_begin(&self) -> u64 {
        if !self.verity {
            return self.position;
        }
        let data = self.position.next_multiple_of(PADDING);
        data + verity::length(data / PADDING)
    }

    /// Puts `superblock` at the beginning, appends the hash tree of all that and `list`, and pads the image so that
    /// it ends with `footer`.
    pub(super) fn finish(
        mut self,
        list: &[u8],
        footer: &[u8],
        superblock: &[u8],
    ) -> io::Result<Finished> {
        let list_end = self.list_begin() + list.len() as u64;
        let length = (list_end + footer.len() as u64).next_multiple_of(PADDING);
        let padding = vec![0; (length - list_end) as usize - footer.len()];
        if self.verity {
            let data = self.position.next_multiple_of(PADDING);
            self.write(&vec![0; (data - self.position) as usize])?;
        }
        let mut rest = std::mem::take(&mut self.piece);
        let mut first = self.first.take();
        first.as_mut().unwrap_or(&mut rest)[..superblock.len()].copy_from_slice(superblock);

        let mut sink = self.join()?;
        let tree = sink.hashes.take().map(|mut hashes| {
            hashes.prepend(first.as_deref().unwrap_or_default());
            hashes.extend(&rest);
            verity::Tree::of(hashes)
        });
        if first.is_none() {
            sink.inner.rewind()?;
        }
        let parts = tree.iter().flat_map(verity::Tree::parts);
        for mut part in parts.chain([list, &padding, footer]) {
            while rest.len() + part.len() >= PIECE {
                let (front, behind) = part.split_at(PIECE - rest.len());
                rest.extend_from_slice(front);
                sink.put(&rest)?;
                rest.clear();
                part = behind;
            }
            rest.extend_from_slice(part);
        }
        if !rest.is_empty() {
            sink.put(&rest)?;
        }
        let mut hash = Sha256::new();
        if let Some(first) = first {
            hash.update(Sha256::digest(&first));
            sink.inner.rewind()?;
            sink.inner.write_all(&first)?;
        }
        sink.inner.flush()?;
        hash.update(sink.digests);
        Ok(Finished {
            length,
            digest: hash.finalize().into(),
            verity: tree.map(|tree| tree.verity),
        })
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
    mut sink: Sink<W>,
    pieces: &Receiver<Vec<u8>>,
    back: &mpsc::Sender<Vec<u8>>,
) -> io::Result<Sink<W>> {
    for piece in pieces {
        sink.put(&piece)?;
        if let Some(hashes) = &mut sink.hashes {
            hashes.extend(&piece);
        }
        let _ = back.send(piece); // nobody wants it any more after the last one
    }
    Ok(sink)
}

impl<W: Write> Sink<W> {
    /// Writes the next piece.
    fn put(&mut self, piece: &[u8]) -> io::Result<()> {
        for part in piece.chunks(WRITE) {
            self.inner.write_all(part)?;
        }
        self.digests.extend_from_slice(&Sha256::digest(piece));
        Ok(())
    }
}
