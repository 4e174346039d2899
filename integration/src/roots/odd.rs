//! Files that servers and clients of file systems trip over, in one folder of the small root.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

use anyhow::Result;
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

/// Where they are, seen from the root.
pub const FOLDER: &str = "opt/odd";
/// How many names the largest directory has.
pub const MANY: usize = 100_000;

/// A program that ends with the number of the user that it runs as (ELF, x86-64: header, one segment,
/// `geteuid`, `exit`).
#[rustfmt::skip]
const EUID: [u8; 136] = [
    0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0x3e, 0, 1, 0, 0, 0,
    0x78, 0, 0x40, 0, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0x40, 0, 0x38, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0,
    0x88, 0, 0, 0, 0, 0, 0, 0, 0x88, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0,
    0xb8, 0x6b, 0, 0, 0, 0xf, 5, 0x89, 0xc7, 0xb8, 0x3c, 0, 0, 0, 0xf, 5,
];

/// Makes them.
pub(super) fn make(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let at = |name: &str| folder.join(name);
    fs::write(at("two words"), "spaces\n")?;
    let strange = OsStr::from_bytes(b"not utf-8 \xff\xfe");
    fs::write(folder.join(strange), "other bytes\n")?;
    fs::write(at(&"n".repeat(255)), "a long name\n")?;
    fs::write(at("one name"), "a file with two names\n")?;
    fs::hard_link(at("one name"), at("other name"))?;
    for len in [1, 255, 1023, 4095] {
        symlink("t".repeat(len), at(&format!("link of {len}")))?;
    }
    fs::create_dir(at("empty"))?;
    // For a test to mount something on.
    fs::create_dir(at("bind"))?;
    let deep = folder.join("a name of thirty two characters/".repeat(90));
    fs::create_dir_all(&deep)?;
    fs::write(deep.join("bottom"), "deep\n")?;

    for (name, mode) in [
        ("euid", 0o755),
        ("euid-setuid", 0o4755),
        ("euid-root", 0o700),
    ] {
        fs::write(at(name), EUID)?;
        fs::set_permissions(at(name), Permissions::from_mode(mode))?;
    }
    fs::write(at("of another"), "mine\n")?;
    chown(at("of another"), Some(1000), Some(4_000_000_000))?;
    fs::set_permissions(at("of another"), Permissions::from_mode(0o640))?;
    fs::set_permissions(at("empty"), Permissions::from_mode(0o1777))?;

    let mode = Mode::from_raw_mode(0o666);
    for (name, kind, device) in [
        ("null", FileType::CharacterDevice, makedev(1, 3)),
        ("zero", FileType::CharacterDevice, makedev(1, 5)),
        ("block", FileType::BlockDevice, makedev(259, 70_000)),
        ("pipe", FileType::Fifo, 0),
        ("socket", FileType::Socket, 0),
    ] {
        mknodat(CWD, at(name), kind, mode, device)?;
        // Whatever the umask.
        fs::set_permissions(at(name), Permissions::from_mode(0o666))?;
    }

    let hole = File::create(at("hole"))?;
    hole.set_len(5_000_000)?;
    fs::create_dir(at("many"))?;
    for number in 0..MANY {
        File::create(folder.join(format!("many/{number:06}")))?;
    }
    Ok(())
}
