//! Looking at one file's bytes as they pass.

use super::{files, markers};

/// Bytes that are looked at again together with what follows: a secret's beginning is shorter.
const SEAM: usize = 1024;
/// How much of a file that has a name for secrets is looked at as a whole.
const HEAD: usize = 64 << 10;
/// A file with a NUL among these first bytes is not text.
const TEXT: usize = 4096;

/// What is known of one file so far.
pub(super) struct Look {
    /// What its name says about it.
    named: Option<&'static files::Named>,
    size: u64,
    /// How far it has been looked at.
    at: u64,
    text: bool,
    seam: Vec<u8>,
    head: Vec<u8>,
    found: Option<&'static str>,
}

impl Look {
    pub(super) fn new(path: &[u8], size: u64) -> Self {
        Self {
            named: files::named(path),
            size,
            at: 0,
            text: false,
            seam: Vec::new(),
            head: Vec::new(),
            found: None,
        }
    }

    /// Looks at the bytes at `offset`, those that it has seen before excepted.
    pub(super) fn at(&mut self, bytes: &[u8], offset: u64) {
        let end = offset + bytes.len() as u64;
        if end <= self.at || self.found.is_some() {
            return;
        }
        let fresh = &bytes[self.at.saturating_sub(offset) as usize..];
        if offset > self.at {
            self.seam.clear(); // behind a hole
        }
        if self.at == 0 {
            self.text = !fresh[..fresh.len().min(TEXT)].contains(&0);
            self.found = markers::binary_key(fresh, self.size);
        }
        self.at = end;
        if self.named.is_some() && self.head.len() < HEAD {
            let room = (HEAD - self.head.len()).min(fresh.len());
            self.head.extend_from_slice(&fresh[..room]);
        }
        if !self.seam.is_empty() {
            self.seam.extend_from_slice(&fresh[..fresh.len().min(SEAM)]);
            self.found = self.found.or_else(|| markers::find(&self.seam, self.text));
        }
        self.found = self.found.or_else(|| markers::find(fresh, self.text));
        self.seam.clear();
        if end < self.size {
            self.seam
                .extend_from_slice(&fresh[fresh.len().saturating_sub(SEAM)..]);
        }
    }

    /// What is in the file, when all of it has passed.
    pub(super) fn finish(&self) -> Option<&'static str> {
        let by_name = || self.named.and_then(|named| named.holds(&self.head));
        self.found.or_else(by_name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEIC5pIGFtIG5vdCBhIHJlYWwga2V5IGF0IGFsbCAhIQ==\n-----END PRIVATE KEY-----\n";

    #[test]
    fn a_key_is_found_wherever_the_file_is_cut() {
        let text = format!("{}{KEY}{}", "filler\n".repeat(300), "more\n".repeat(300));
        for cut in (1..text.len()).step_by(7) {
            let mut look = Look::new(b"a", text.len() as u64);
            let (first, second) = text.as_bytes().split_at(cut);
            look.at(first, 0);
            look.at(second, cut as u64);
            assert_eq!(look.finish(), Some("a private key (PEM)"), "cut at {cut}");
        }
    }

    #[test]
    fn bytes_that_come_twice_and_holes_do_no_harm() {
        let mut look = Look::new(b"a", 10_000);
        look.at(&[b'x'; 100], 0);
        look.at(&[b'x'; 100], 0);
        look.at(KEY.as_bytes(), 8000);
        assert!(look.finish().is_some());
    }
}
