//! A guest's serial console: what it printed, and when.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Reads the file that a guest's serial port writes to.
#[derive(Debug)]
pub struct Console {
    file: PathBuf,
    start: Instant,
    /// What was said up to the last look, and the bytes of the file that it was made of.
    said: String,
    read: u64,
    /// How much of the plain text was shown.
    shown: usize,
    show: bool,
}

impl Console {
    pub(crate) fn new(file: &Path) -> Self {
        Self {
            file: file.to_owned(),
            start: Instant::now(),
            said: String::new(),
            read: 0,
            shown: 0,
            show: std::env::var_os("LAB_SHOW").is_some(),
        }
    }

    /// Shows every line from now on as it comes, with the seconds since power-on.
    pub fn show(&mut self) {
        self.show = true;
    }

    /// Everything printed so far, without the escape sequences of firmware.
    pub fn text(&self) -> String {
        plain(&std::fs::read(&self.file).unwrap_or_default())
    }

    /// Time since the machine was switched on.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Looks once: the first of `texts` that was printed. Shows what is new if it is asked to.
    pub(crate) fn look<'a>(&mut self, texts: &[&'a str]) -> Option<&'a str> {
        // Looked at fifty times a second, so not read again where nothing was said.
        let length = std::fs::metadata(&self.file).map_or(0, |file| file.len());
        if length != self.read {
            self.said = self.text();
            self.read = length;
        }
        let text = &self.said;
        if self.show {
            // Whole lines only, so that lines of two guests do not mix.
            let end = text.rfind('\n').map_or(0, |at| at + 1);
            if end > self.shown {
                for line in text[self.shown..end].lines() {
                    eprintln!("{:6.1} │ {line}", self.elapsed().as_secs_f32());
                }
                self.shown = end;
            }
        }
        texts.iter().copied().find(|wanted| text.contains(wanted))
    }

    /// Fails if `text` was printed.
    pub fn must_not_say(&self, text: &str) -> Result<()> {
        if let Some(line) = self.text().lines().find(|line| line.contains(text)) {
            bail!("the console says: {line}");
        }
        Ok(())
    }
}

/// Terminal output as text: escape sequences, carriage returns and other control bytes removed.
pub(crate) fn plain(bytes: &[u8]) -> String {
    let mut text = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        match byte {
            0x1b => {
                if rest.next_if_eq(&b'[').is_some() {
                    // A control sequence ends with a byte from @ to ~.
                    for byte in rest.by_ref() {
                        if (0x40..=0x7e).contains(&byte) {
                            break;
                        }
                    }
                } else {
                    rest.next();
                }
            }
            b'\n' | b'\t' | 0x20.. => text.push(byte),
            _ => {}
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn firmware_output_becomes_plain_text() {
        let bytes = b"\x1b[2J\x1b[01;01H>>Start PXE\r\n\x1b[0m  ok\x07\n";
        assert_eq!(plain(bytes), ">>Start PXE\n  ok\n");
        assert_eq!(plain(b"cut \x1b["), "cut ");
    }
}
