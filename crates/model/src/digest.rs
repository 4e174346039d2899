//! The digest of a long file, of which several parts can be computed at once.
//!
//! `root.squashfs` is written from its second MiB on before its beginning is known, so a plain SHA-256 would
//! have to read it all again; this one is finished when the file is. Whoever fetches the file can check each
//! piece as it comes.
//!
//! ```
//! use model::digest::{Digester, PIECE};
//! use sha2::{Digest, Sha256};
//!
//! let file = vec![7; PIECE + 1];
//! let mut digester = Digester::new(PIECE as u32);
//! digester.update(&file);
//! let pieces = [Sha256::digest(&file[..PIECE]), Sha256::digest(&file[PIECE..])];
//! assert_eq!(digester.finish(), <[u8; 32]>::from(Sha256::digest(pieces.concat())));
//! ```

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::text::{bytes_from_hex, hex};

/// Bytes of a piece.
pub const PIECE: usize = 1 << 20;

/// What a file must be, for whoever fetches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileDigest {
    /// As for [`Digester::new`].
    pub piece: u32,
    /// As [`Digester::finish`] says it.
    pub sha256: [u8; 32],
}

/// Writes `PIECE:DIGITS`, lower-case hexadecimal.
impl fmt::Display for FileDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.piece)?;
        f.write_str(&hex(&self.sha256))
    }
}

/// Not a number, a colon and 64 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseFileDigestError;

impl FromStr for FileDigest {
    type Err = ParseFileDigestError;

    fn from_str(text: &str) -> Result<Self, ParseFileDigestError> {
        let read = || {
            let (piece, digits) = text.split_once(':')?;
            Some(Self {
                piece: piece.parse().ok()?,
                sha256: bytes_from_hex(digits)?,
            })
        };
        read().ok_or(ParseFileDigestError)
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_travels_as_text() {
        let digest = FileDigest {
            piece: 1 << 20,
            sha256: [0xa5; 32],
        };
        assert_eq!(digest.to_string().parse(), Ok(digest));
        for bad in [
            "",
            "7",
            "7:",
            "x:00",
            "7:0g",
            &format!("7:{}", "é".repeat(32)),
        ] {
            assert_eq!(
                bad.parse::<FileDigest>(),
                Err(ParseFileDigestError),
                "{bad}"
            );
        }
    }
}
