//! The digest of a long file, of which several parts can be computed at once.
//!
//! `root.squashfs` is written from its second MiB on before its beginning is known, so a plain SHA-256 would
//! have to read it all again; this one is finished when the file is. Whoever fetches the file can check each
//! piece as it comes.
//!
//! ```
//! use image::digest::{Digester, PIECE};
//! use sha2::{Digest, Sha256};
//!
//! let file = vec![7; PIECE + 1];
//! let mut digester = Digester::new(PIECE as u32);
//! digester.update(&file);
//! let pieces = [Sha256::digest(&file[..PIECE]), Sha256::digest(&file[PIECE..])];
//! assert_eq!(digester.finish(), <[u8; 32]>::from(Sha256::digest(pieces.concat())));
//! ```

use sha2::{Digest, Sha256};

/// Bytes of a piece.
pub const PIECE: usize = 1 << 20;

/// Computes a digest as the bytes pass.
pub struct Digester {
    /// 0: the whole is one piece.
    piece: u64,
    /// Bytes in the piece that is passing.
    length: u64,
    hash: Sha256,
    pieces: Sha256,
}

impl Digester {
    /// The SHA-256 of the SHA-256 of every `piece` bytes (the last piece may be shorter), or with 0 the plain
    /// SHA-256 of everything.
    pub fn new(piece: u32) -> Self {
        Self {
            piece: piece.into(),
            length: 0,
            hash: Sha256::new(),
            pieces: Sha256::new(),
        }
    }

    /// The next bytes, as many as there are.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while self.piece > 0 && self.length + bytes.len() as u64 >= self.piece {
            let (front, rest) = bytes.split_at((self.piece - self.length) as usize);
            self.hash.update(front);
            self.pieces.update(self.hash.finalize_reset());
            (self.length, bytes) = (0, rest);
        }
        self.length += bytes.len() as u64;
        self.hash.update(bytes);
    }

    /// What it is.
    pub fn finish(mut self) -> [u8; 32] {
        if self.piece == 0 {
            return self.hash.finalize().into();
        }
        if self.length > 0 {
            self.pieces.update(self.hash.finalize());
        }
        self.pieces.finalize().into()
    }
}
