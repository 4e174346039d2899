//! A block device that checks every block of another one as it is read (dm-verity): a block that is not what it must
//! be is a read error.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use model::Verity;
use rustix::ioctl::{Opcode, opcode};

use crate::loop_device::open_node;
use crate::sys::{DM_HEADER, device_mapper};

const CREATE: Opcode = command(3);
const REMOVE: Opcode = command(4);
const SUSPEND: Opcode = command(6);
const LOAD: Opcode = command(9);

/// `DM_READONLY_FLAG`: a device that checks is never written to.
const READ_ONLY: u32 = 1;
/// `DM_DEFERRED_REMOVE`: when its last user is gone.
const DEFERRED: u32 = 1 << 17;

/// As people see it (`dmsetup table`).
const NAME: &str = "netbootd-root";
/// Bytes of a sector, by which the device mapper counts.
const SECTOR: u64 = 512;

/// A device that checks. The kernel lets it go when its mount is gone and this is dropped.
pub(crate) struct Checked {
    /// Its path under `/dev`.
    pub(crate) path: PathBuf,
    control: File,
}

impl Checked {
    /// Over a device that holds a root with its hash tree.
    pub(crate) fn over(device: &Path, verity: &Verity) -> io::Result<Self> {
        let control = open_node(Path::new("/dev/mapper/control"), true)?;
        let mut message = header(0);
        device_mapper::<CREATE>(&control, &mut message)?;
        let minor = rustix::fs::minor(number(&message));
        let checked = Self {
            path: PathBuf::from(format!("/dev/dm-{minor}")),
            control,
        };
        device_mapper::<LOAD>(&checked.control, &mut table(device, verity))?;
        // Without its flag the command that suspends resumes.
        device_mapper::<SUSPEND>(&checked.control, &mut header(0))?;
        open_node(&checked.path, false)?;
        Ok(checked)
    }
}

impl Drop for Checked {
    fn drop(&mut self) {
        // What cannot be removed stays until the machine is switched off, and is in nobody's way.
        let _ = device_mapper::<REMOVE>(&self.control, &mut header(DEFERRED));
    }
}

/// `_IOWR(0xfd, number, struct dm_ioctl)`
const fn command(number: u8) -> Opcode {
    opcode::read_write::<[u8; DM_HEADER]>(0xfd, number)
}

/// `struct dm_ioctl`: version, size (which the call fills in), begin of the data, how many targets, …
fn header(flags: u32) -> Vec<u8> {
    let mut bytes = vec![0; DM_HEADER];
    let mut word = |at: usize, value: u32| {
        bytes[at..at + 4].copy_from_slice(&value.to_ne_bytes());
    };
    word(0, 4); // the interface's first version; later ones of 4 understand it
    word(16, DM_HEADER as u32);
    word(28, flags);
    bytes[48..48 + NAME.len()].copy_from_slice(NAME.as_bytes());
    bytes
}

/// The device's number, from the kernel's answer.
fn number(answer: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&answer[40..48]);
    u64::from_ne_bytes(bytes)
}

/// The message that loads a table of one target: `struct dm_target_spec` and its words
/// (Documentation/admin-guide/device-mapper/verity.rst).
fn table(device: &Path, verity: &Verity) -> Vec<u8> {
    let (block, device) = (Verity::BLOCK, device.display());
    let words = format!(
        "1 {device} {device} {block} {block} {} {} sha256 {} -",
        verity.blocks,
        verity.tree_block(),
        verity.digits()
    );
    let sectors = verity.blocks * (block as u64 / SECTOR);
    let mut target = Vec::new();
    target.extend(0u64.to_ne_bytes()); // from its first sector on
    target.extend(sectors.to_ne_bytes());
    target.extend(0i32.to_ne_bytes());
    let length = (40 + words.len() + 1).next_multiple_of(8);
    target.extend((length as u32).to_ne_bytes()); // where the next one is
    target.extend(b"verity\0\0\0\0\0\0\0\0\0\0");
    target.extend(words.as_bytes());
    target.resize(length, 0);
    let mut message = header(READ_ONLY);
    message[20..24].copy_from_slice(&1u32.to_ne_bytes());
    message.extend(target);
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_says_what_is_checked_by_what() {
        let verity = Verity {
            blocks: 200,
            root_hash: [0xa5; 32],
        };
        let message = table(Path::new("/dev/loop0"), &verity);
        let word = |at: usize| u32::from_ne_bytes(message[at..at + 4].try_into().unwrap());
        assert_eq!((word(0), word(16), word(20), word(28)), (4, 312, 1, 1));
        assert_eq!(&message[48..62], b"netbootd-root\0");
        let (spec, words) = message[DM_HEADER..].split_at(40);
        assert_eq!(spec[8..16], 1600u64.to_ne_bytes());
        assert_eq!(word(DM_HEADER + 20) as usize, message.len() - DM_HEADER);
        assert_eq!(&spec[24..], b"verity\0\0\0\0\0\0\0\0\0\0");
        let words = std::str::from_utf8(words).unwrap().trim_end_matches('\0');
        let hash = "a5".repeat(32);
        let expected = format!("1 /dev/loop0 /dev/loop0 4096 4096 200 201 sha256 {hash} -");
        assert_eq!(words, expected);
        assert_eq!(LOAD, 0xc138_fd09);
    }
}
