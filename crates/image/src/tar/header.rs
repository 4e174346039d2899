//! The 512 bytes in front of each member.
//!
//! ```text
//!   0 name 100 │ 100 mode 8 │ 108 uid 8 │ 116 gid 8 │ 124 size 12 │ 136 mtime 12 │ 148 checksum 8 │ 156 kind
//! 157 link 100 │ 257 magic 8 │ 329 major 8 │ 337 minor 8 │ 345 prefix 155 (ustar)
//! 386 four lines of a sparse map │ 482 more of them │ 483 real size 12 (GNU)
//! ```

use crate::entry::DeviceNumber;

/// Headers and content come in blocks of so many bytes.
pub(super) const BLOCK: usize = 512;

/// A header whose checksum is right.
pub(super) struct Header([u8; BLOCK]);

impl Header {
    /// `None` when the checksum is wrong.
    pub(super) fn new(block: [u8; BLOCK]) -> Option<Self> {
        let header = Self(block);
        let told = header.number(148, 8)?;
        let sum = |value: fn(u8) -> i64| -> i64 {
            let bytes = block.iter().enumerate();
            bytes
                .map(|(at, byte)| {
                    value(if (148..156).contains(&at) {
                        b' '
                    } else {
                        *byte
                    })
                })
                .sum()
        };
        // Some old tars summed signed bytes.
        let right = told == sum(|byte| byte.into()) || told == sum(|byte| (byte as i8).into());
        right.then_some(header)
    }

    pub(super) fn kind(&self) -> u8 {
        self.0[156]
    }

    pub(super) fn path(&self) -> Vec<u8> {
        let name = self.text(0, 100);
        let prefix = match &self.0[257..265] {
            b"ustar\x0000" => self.text(345, 155),
            _ => &[],
        };
        match prefix {
            [] => name.to_vec(),
            prefix => [prefix, b"/", name].concat(),
        }
    }

    pub(super) fn link(&self) -> Vec<u8> {
        self.text(157, 100).to_vec()
    }

    pub(super) fn mode(&self) -> Option<u16> {
        self.number(100, 8).map(|mode| (mode & 0o7777) as u16)
    }

    pub(super) fn uid(&self) -> Option<i64> {
        self.number(108, 8)
    }

    pub(super) fn gid(&self) -> Option<i64> {
        self.number(116, 8)
    }

    pub(super) fn size(&self) -> Option<u64> {
        self.number(124, 12)
            .and_then(|size| u64::try_from(size).ok())
    }

    pub(super) fn mtime(&self) -> Option<i64> {
        self.number(136, 12)
    }

    pub(super) fn device(&self) -> Option<DeviceNumber> {
        let half = |at| self.number(at, 8).and_then(|half| u32::try_from(half).ok());
        Some(DeviceNumber {
            major: half(329)?,
            minor: half(337)?,
        })
    }

    /// Of GNU's sparse files: the length with holes.
    pub(super) fn real_size(&self) -> Option<u64> {
        self.number(483, 12)
            .and_then(|size| u64::try_from(size).ok())
    }

    /// Of GNU's sparse files: the lines of the map that stand in the header, and whether more follow.
    pub(super) fn sparse(&self) -> (&[u8], bool) {
        (&self.0[386..482], self.0[482] != 0)
    }

    fn text(&self, at: usize, length: usize) -> &[u8] {
        let field = &self.0[at..at + length];
        let end = field.iter().position(|byte| *byte == 0);
        &field[..end.unwrap_or(length)]
    }

    fn number(&self, at: usize, length: usize) -> Option<i64> {
        number(&self.0[at..at + length])
    }
}

/// A number: octal digits between blanks, or in base 256 when the first bit is set. Nothing is 0.
pub(super) fn number(field: &[u8]) -> Option<i64> {
    let (&first, rest) = field.split_first()?;
    if first & 0x80 != 0 {
        // Two's complement of all bits but the first.
        let negative = first & 0x40 != 0;
        let mut value = i128::from(first & 0x3f) - if negative { 0x40 } else { 0 };
        for byte in rest {
            value = value.checked_mul(256)?.checked_add((*byte).into())?;
        }
        return i64::try_from(value).ok();
    }
    let blank = |byte: &u8| matches!(byte, b' ' | 0);
    let begin = field.iter().position(|byte| !blank(byte));
    let digits = &field[begin.unwrap_or(field.len())..];
    let end = digits.iter().position(blank).unwrap_or(digits.len());
    digits[..end].iter().try_fold(0_i64, |value, digit| {
        let digit = matches!(digit, b'0'..=b'7').then(|| i64::from(digit - b'0'))?;
        value.checked_mul(8)?.checked_add(digit)
    })
}
