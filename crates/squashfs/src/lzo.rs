//! LZO1X, as `mksquashfs -comp lzo` writes it. No crate that is kept decodes it; it is this short.
//!
//! The stream is a row of instructions. Each copies a match from what was written before, then up to
//! three literals; a run of more literals is an instruction of its own. What the lowest instructions
//! mean depends on how many literals the last one ended with (Linux, `Documentation/staging/lzo.rst`).

/// The last instruction was a run of literals.
const AFTER_RUN: usize = 4;
/// Where the matches that need a third byte begin.
const NEAR: usize = 2048;
const FAR: usize = 16384;

/// Decompresses one whole block of at most `limit` bytes.
pub(crate) fn decompress(stored: &[u8], limit: usize) -> Result<Vec<u8>, &'static str> {
    let mut block = Block {
        stored,
        out: Vec::with_capacity(limit),
        limit,
    };
    block.run()?;
    Ok(block.out)
}

struct Block<'a> {
    stored: &'a [u8],
    out: Vec<u8>,
    limit: usize,
}

impl Block<'_> {
    fn run(&mut self) -> Result<(), &'static str> {
        let mut state = 0;
        if let Some(&first) = self.stored.first()
            && first > 17
        {
            self.byte()?;
            let len = usize::from(first) - 17;
            self.literals(len)?;
            state = len.min(AFTER_RUN);
        }
        loop {
            let word = usize::from(self.byte()?);
            let (len, distance, literals) = match word {
                0..16 if state == 0 => {
                    let len = self.long(word, 15)? + 3;
                    self.literals(len)?;
                    state = AFTER_RUN;
                    continue;
                }
                0..16 => {
                    let distance = (word >> 2) + (usize::from(self.byte()?) << 2) + 1;
                    match state {
                        AFTER_RUN => (3, distance + NEAR, word & 3),
                        _ => (2, distance, word & 3),
                    }
                }
                16..32 => {
                    let len = self.long(word & 7, 7)? + 2;
                    let (distance, literals) = self.distance()?;
                    let distance = distance + ((word & 8) << 11);
                    if distance == 0 {
                        return self.end(len);
                    }
                    (len, distance + FAR, literals)
                }
                32..64 => {
                    let len = self.long(word & 31, 31)? + 2;
                    let (distance, literals) = self.distance()?;
                    (len, distance + 1, literals)
                }
                _ => {
                    let distance = ((word >> 2) & 7) + (usize::from(self.byte()?) << 3) + 1;
                    ((word >> 5) + 1, distance, word & 3)
                }
            };
            self.copy(len, distance)?;
            self.literals(literals)?;
            state = literals;
        }
    }

    fn end(&self, len: usize) -> Result<(), &'static str> {
        match (len, self.stored) {
            (3, []) => Ok(()),
            _ => Err("lzo block does not end where it says"),
        }
    }

    fn byte(&mut self) -> Result<u8, &'static str> {
        let (byte, rest) = self.stored.split_first().ok_or("lzo block is cut short")?;
        self.stored = rest;
        Ok(*byte)
    }

    /// A length that does not fit into its instruction goes on in further bytes.
    fn long(&mut self, short: usize, more: usize) -> Result<usize, &'static str> {
        if short != 0 {
            return Ok(short);
        }
        let mut len = more;
        loop {
            match self.byte()? {
                // No more of them than there are bytes stored, so this cannot overflow.
                0 => len += 255,
                last => return Ok(len + usize::from(last)),
            }
        }
    }

    /// Fourteen bits of distance and two of literals.
    fn distance(&mut self) -> Result<(usize, usize), &'static str> {
        let word = u16::from_le_bytes([self.byte()?, self.byte()?]);
        Ok((usize::from(word >> 2), usize::from(word & 3)))
    }

    fn has_room(&self, len: usize) -> Result<(), &'static str> {
        if len <= self.limit - self.out.len() {
            Ok(())
        } else {
            Err("lzo block is too long")
        }
    }

    fn literals(&mut self, len: usize) -> Result<(), &'static str> {
        let (literals, rest) = self
            .stored
            .split_at_checked(len)
            .ok_or("lzo block is cut short")?;
        self.has_room(len)?;
        self.out.extend_from_slice(literals);
        self.stored = rest;
        Ok(())
    }

    fn copy(&mut self, len: usize, distance: usize) -> Result<(), &'static str> {
        self.has_room(len)?;
        let from = self.out.len().checked_sub(distance);
        let from = from.ok_or("lzo match before the beginning")?;
        // A match may overlap what it writes: then what is written repeats.
        let mut left = len;
        while left > 0 {
            let now = left.min(self.out.len() - from);
            self.out.extend_from_within(from..from + now);
            left -= now;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::decompress;

    /// Five literals, a match of 3 that overlaps itself, its one literal, the end.
    const STORED: [u8; 12] = *b"\x16abcde\x41\0f\x11\0\0";

    #[test]
    fn instructions_mean_what_the_kernel_says() {
        assert_eq!(decompress(&STORED, 9).unwrap(), b"abcdeeeef"[..].to_vec());
        assert_eq!(decompress(&STORED, 8), Err("lzo block is too long"));
    }

    #[test]
    fn no_cut_or_changed_block_panics_or_grows() {
        for cut in 0..STORED.len() {
            assert!(decompress(&STORED[..cut], 100).is_err(), "{cut}");
        }
        for at in 0..STORED.len() {
            for value in 0..=255 {
                let mut changed = STORED;
                changed[at] = value;
                if let Ok(out) = decompress(&changed, 100) {
                    assert!(out.len() <= 100);
                }
            }
        }
        assert!(decompress(&[0; 100_000], 1 << 20).is_err());
    }
}
