//! A machine's own disk, with a system on it that does nothing but say so.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::lab::Lab;

/// What the system on the disk says on the serial console.
pub const SAYS: &str = "the system on the local disk has started";

/// The file behind a machine's disk.
#[derive(Debug)]
pub struct Disk {
    file: PathBuf,
    before: Vec<u8>,
}

/// Bytes of the disk.
const SIZE: usize = 1 << 20;

/// Real-mode code for 0000:7C00: sends the text behind it to the first serial port, and halts.
const CODE: [u8; 26] = [
    0xfa, // cli
    0x31, 0xc0, 0x8e, 0xd8, // xor ax, ax; mov ds, ax
    0xfc, // cld
    0xbe, 0x1a, 0x7c, // mov si, 7C1A: what follows this code
    0xba, 0xf8, 0x03, // mov dx, 3F8: COM1
    0xac, // next: lodsb
    0x84, 0xc0, 0x74, 0x03, // test al, al; jz halt
    0xee, // out dx, al
    0xeb, 0xf8, // jmp next
    0xf4, 0xeb, 0xfd, // halt: hlt; jmp halt
    0x90, 0x90, 0x90,
];

impl Disk {
    /// A disk whose boot sector says [`SAYS`]. The rest of it is a pattern.
    pub fn new(lab: &Lab) -> Result<Self> {
        let mut bytes: Vec<u8> = (0..SIZE).map(|at| (at / 512 + at) as u8).collect();
        bytes[..512].fill(0);
        bytes[..CODE.len()].copy_from_slice(&CODE);
        let text = format!("\r\n{SAYS}\r\n");
        bytes[CODE.len()..][..text.len()].copy_from_slice(text.as_bytes());
        bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
        let file = lab.folder().join("disk.img");
        std::fs::write(&file, &bytes)?;
        Ok(Self {
            file,
            before: bytes,
        })
    }

    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// Fails if a single byte of it has changed.
    pub fn must_be_untouched(&self) -> Result<()> {
        let now = std::fs::read(&self.file)
            .with_context(|| format!("cannot read {}", self.file.display()))?;
        ensure!(now == self.before, "the machine's disk was written to");
        Ok(())
    }
}
