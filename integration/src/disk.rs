//! A machine's own disk, with a system on it that does nothing but say so.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::lab::Lab;
use crate::place;
use crate::process::succeed;

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

/// Bytes of the disk for UEFI.
const UEFI_SIZE: u64 = 16 << 20;
/// Of package grub-efi-amd64-signed; looks for its configuration beside a file `.disk/info`.
const GRUB: &str = "/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed";

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

    /// A GPT disk whose EFI system partition holds a GRUB that says [`SAYS`], as an installed system's
    /// does where nobody has told the firmware of it.
    pub fn uefi(lab: &Lab) -> Result<Self> {
        let file = lab.folder().join("disk.img");
        std::fs::File::create(&file)?.set_len(UEFI_SIZE)?;
        let tool = |name: &str| anyhow::Ok(Command::new(place::tool(name)?));
        let table = lab.folder().join("disk.sfdisk");
        std::fs::write(&table, "label: gpt\nstart=2048, size=28672, type=uefi\n")?;
        let mut sfdisk = tool("sh")?;
        succeed(
            sfdisk
                .args(["-c", "sfdisk -q \"$1\" < \"$2\"", "sfdisk"])
                .args([&file, &table]),
        )?;
        let mut mkfs = tool("mkfs.vfat")?;
        succeed(
            mkfs.args(["-F", "16", "--offset", "2048"])
                .arg(&file)
                .arg("14336"),
        )?;
        let grub = lab.folder().join("disk-grub.cfg");
        std::fs::write(&grub, format!("echo '{SAYS}'\nsleep 3600\n"))?;
        let partition = format!("{}@@1M", file.display());
        let mut mmd = tool("mmd")?;
        let folders =
            ["EFI", "EFI/BOOT", ".disk", "boot", "boot/grub"].map(|folder| format!("::{folder}"));
        succeed(mmd.args(["-i", &partition]).args(folders))?;
        for (from, to) in [
            (Path::new(GRUB), "EFI/BOOT/BOOTX64.EFI"),
            (&grub, ".disk/info"),
            (&grub, "boot/grub/grub.cfg"),
        ] {
            let mut mcopy = tool("mcopy")?;
            succeed(
                mcopy
                    .args(["-i", &partition])
                    .arg(from)
                    .arg(format!("::{to}")),
            )?;
        }
        let before = std::fs::read(&file)?;
        Ok(Self { file, before })
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
