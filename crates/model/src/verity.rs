//! What the blocks of an image's root must hash to, as the kernel's dm-verity checks it.
//!
//! ```text
//! root.squashfs:   squashfs, `blocks` blocks │ superblock, 1 block │ hash tree, its top first │ list of blocks
//! ```

use std::fmt;
use std::str::FromStr;

use crate::text::{bytes_from_hex, hex, travels_as_text};

/// All that a client needs to check each block of the root that it reads: whatever else is in the file is
/// judged by this. Written `BLOCKS:DIGITS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verity {
    /// How many blocks of [`Verity::BLOCK`] bytes there are, 1 to [`Verity::MAX_BLOCKS`].
    pub blocks: u64,
    /// The SHA-256 at the top of the hash tree.
    pub root_hash: [u8; 32],
}

impl Verity {
    /// Bytes of a block, of the root as of the hash tree.
    pub const BLOCK: usize = 4096;
    /// More than a squashfs can have: four petabytes.
    pub const MAX_BLOCKS: u64 = 1 << 40;

    /// Number of the block with which the hash tree begins, behind the one that describes it.
    pub fn tree_block(&self) -> u64 {
        self.blocks + 1
    }

    /// The root hash as the kernel and `veritysetup` take it: 64 hexadecimal digits.
    pub fn digits(&self) -> String {
        hex(&self.root_hash)
    }
}

impl fmt::Display for Verity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.blocks, self.digits())
    }
}

/// Not a number of blocks, a colon and 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseVerityError;

impl fmt::Display for ParseVerityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a number of blocks, a colon and 64 hexadecimal digits")
    }
}

impl std::error::Error for ParseVerityError {}

impl FromStr for Verity {
    type Err = ParseVerityError;

    fn from_str(text: &str) -> Result<Self, ParseVerityError> {
        let read = || {
            let (blocks, digits) = text.split_once(':')?;
            let digits_only = blocks.bytes().all(|byte| byte.is_ascii_digit());
            let blocks = blocks.parse().ok().filter(|_| digits_only)?;
            (1..=Self::MAX_BLOCKS).contains(&blocks).then_some(())?;
            let root_hash = bytes_from_hex(digits)?;
            Some(Self { blocks, root_hash })
        };
        read().ok_or(ParseVerityError)
    }
}

travels_as_text!(Verity);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_travels_as_text_and_nothing_else_is_taken_for_it() {
        let verity = Verity {
            blocks: 53_700,
            root_hash: [0xa5; 32],
        };
        let text = verity.to_string();
        assert_eq!(text, format!("53700:{}", "a5".repeat(32)));
        assert_eq!(text.parse(), Ok(verity));
        let digits = "a5".repeat(32);
        for bad in [
            String::new(),
            digits.clone(),
            format!("0:{digits}"),
            format!("-1:{digits}"),
            format!("+1:{digits}"),
            format!("{}:{digits}", u64::MAX),
            format!("7:{digits}00"),
            format!("7:{}", &digits[2..]),
            format!("7:{}", "é".repeat(32)),
            format!("7:{}+1", &digits[2..]),
        ] {
            assert_eq!(bad.parse::<Verity>(), Err(ParseVerityError), "{bad}");
        }
    }
}
