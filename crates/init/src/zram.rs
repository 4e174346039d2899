//! Swap in compressed memory. What is in a tmpfs and rarely used goes there when memory is short, so
//! changes to the root may be larger than the memory that is left for them. No file system is made on
//! it: the initrd would need a program for each.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;

use crate::sys;

/// The first device, which the module makes when it is loaded.
const DEVICE: &str = "/dev/zram0";
const SIZE: &str = "/sys/block/zram0/disksize";

/// Starts it, for this many bytes before compression. On failure says why there is none.
pub(crate) fn start(bytes: u64) -> Result<(), String> {
    let page = rustix::param::page_size() as u64;
    let bytes = bytes / page * page;
    let step = |what: &str| {
        let what = what.to_owned();
        move |error: io::Error| format!("no zram: {what}: {error}")
    };
    match fs::write(SIZE, bytes.to_string()) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err("no zram: the kernel has no module zram".to_owned());
        }
        other => other.map_err(step(SIZE))?,
    }
    let device = OpenOptions::new().write(true).open(DEVICE);
    let device = device.map_err(step(DEVICE))?;
    let header =
        header(page as usize, bytes / page).ok_or("no zram: it is too large or too small")?;
    device.write_all_at(&header, 0).map_err(step(DEVICE))?;
    drop(device);
    sys::swap_on(c"/dev/zram0").map_err(step("swapon"))
}

/// The first page of a swap area of `pages` pages (`union swap_header` of `<linux/swap.h>`).
fn header(page: usize, pages: u64) -> Option<Vec<u8>> {
    const MAGIC: &[u8] = b"SWAPSPACE2";
    let last = u32::try_from(pages)
        .ok()?
        .checked_sub(1)
        .filter(|last| *last > 0)?;
    let mut header = vec![0; page];
    header[1024..1028].copy_from_slice(&1u32.to_ne_bytes());
    header[1028..1032].copy_from_slice(&last.to_ne_bytes());
    header[page - MAGIC.len()..].copy_from_slice(MAGIC);
    Some(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_what_other_programs_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(4096 * 100).unwrap();
        file.as_file()
            .write_all_at(&header(4096, 100).unwrap(), 0)
            .unwrap();
        let said = std::process::Command::new("blkid")
            .args(["-p", "-o", "value", "-s", "TYPE"])
            .arg(file.path())
            .output()
            .expect("blkid(8) of package util-linux is needed");
        assert_eq!(String::from_utf8_lossy(&said.stdout).trim(), "swap");
        assert_eq!(header(4096, 1), None);
        assert_eq!(header(4096, 1 << 33), None);
    }
}
