//! Writes cpio archives in the "newc" format (SVR4 without a checksum): what the kernel unpacks
//! as an initramfs and `init` unpacks over a client's root.
//!
//! Each entry is a header of `070701` and thirteen numbers of eight hexadecimal digits, the name
//! with its NUL, padding to four bytes, the content, padding to four bytes
//! (Linux, `Documentation/driver-api/early-userspace/buffer-format.rst`).
//!
//! The same calls give the same bytes: inode numbers count up, times come from the caller.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};

/// Longest name that the kernel's unpacker accepts, in bytes, with the NUL (`PATH_MAX`).
const NAME_MAX: usize = 4096;

/// What an entry carries besides its name and content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Permission bits with set-uid, set-gid and sticky, `0o7777` at most.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time, seconds since 1970.
    pub mtime: u32,
}

impl Metadata {
    /// Root's, with these permission bits, dated 1970.
    pub const fn root(mode: u32) -> Self {
        Self {
            mode,
            uid: 0,
            gid: 0,
            mtime: 0,
        }
    }
}

/// Kind of a device node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// A character device: major and minor number.
    Char(u32, u32),
    /// A block device: major and minor number.
    Block(u32, u32),
}

/// An archive being written to `W`. Nothing is buffered; call [`Writer::finish`] at the end.
///
/// Names are relative to the root that the archive is unpacked on; a leading `/` is dropped.
/// A name with a `..` or an empty component, or longer than 4095 bytes, is `InvalidInput`.
/// Folders have to come before what is in them, see [`Writer::parents`].
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    inode: u32,
    position: u64,
    folders: BTreeSet<String>,
}

impl<W: Write> Writer<W> {
    /// Starts an archive.
    pub fn new(out: W) -> Self {
        Self {
            out,
            inode: 0,
            position: 0,
            folders: BTreeSet::new(),
        }
    }

    /// A folder. Written once: a second call with the same name does nothing.
    pub fn directory(&mut self, name: &str, metadata: Metadata) -> io::Result<()> {
        let name = checked_name(name)?;
        if !self.folders.insert(name.to_owned()) {
            return Ok(());
        }
        self.entry(name, 0o040_000, 2, metadata, (0, 0), &[])
    }

    /// The folders above `name` that were not written yet, owned by root with mode 0755.
    pub fn parents(&mut self, name: &str) -> io::Result<()> {
        let name = checked_name(name)?;
        for (end, _) in name.match_indices('/') {
            self.directory(&name[..end], Metadata::root(0o755))?;
        }
        Ok(())
    }

    /// A regular file with this content (less than 4 GiB).
    pub fn file(&mut self, name: &str, metadata: Metadata, content: &[u8]) -> io::Result<()> {
        let name = checked_name(name)?;
        self.entry(name, 0o100_000, 1, metadata, (0, 0), content)
    }

    /// A regular file of exactly `len` bytes from `content`; one that ends early is
    /// `UnexpectedEof`, and what comes after `len` is not read.
    pub fn file_from(
        &mut self,
        name: &str,
        metadata: Metadata,
        len: u32,
        content: &mut dyn Read,
    ) -> io::Result<()> {
        let name = checked_name(name)?;
        self.header(name, 0o100_000, 1, metadata, (0, 0), len)?;
        let copied = io::copy(&mut content.take(u64::from(len)), &mut self.out)?;
        self.position += copied;
        if copied != u64::from(len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.pad(4)
    }

    /// A symbolic link to `target`. Its permission bits are always 0777.
    pub fn symlink(&mut self, name: &str, target: &str, metadata: Metadata) -> io::Result<()> {
        let name = checked_name(name)?;
        if target.is_empty() || target.len() >= NAME_MAX || target.contains('\0') {
            return Err(invalid(format!(
                "{target:?} cannot be what a symbolic link names"
            )));
        }
        let metadata = Metadata {
            mode: 0o777,
            ..metadata
        };
        self.entry(name, 0o120_000, 1, metadata, (0, 0), target.as_bytes())
    }

    /// A device node.
    pub fn device(&mut self, name: &str, device: Device, metadata: Metadata) -> io::Result<()> {
        let name = checked_name(name)?;
        let (kind, numbers) = match device {
            Device::Char(major, minor) => (0o020_000, (major, minor)),
            Device::Block(major, minor) => (0o060_000, (major, minor)),
        };
        self.entry(name, kind, 1, metadata, numbers, &[])
    }

    /// Writes the trailer, pads to 512 bytes as `cpio` does, and gives `out` back unflushed.
    pub fn finish(mut self) -> io::Result<W> {
        self.inode = u32::MAX; // counts up to 0, the trailer's number
        self.header("TRAILER!!!", 0, 1, Metadata::root(0), (0, 0), 0)?;
        self.pad(512)?;
        Ok(self.out)
    }

    fn entry(
        &mut self,
        name: &str,
        kind: u32,
        links: u32,
        metadata: Metadata,
        device: (u32, u32),
        content: &[u8],
    ) -> io::Result<()> {
        let len = u32::try_from(content.len())
            .map_err(|_| invalid(format!("{name} is too big for a cpio archive (4 GiB)")))?;
        self.header(name, kind, links, metadata, device, len)?;
        self.put(content)?;
        self.pad(4)
    }

    fn header(
        &mut self,
        name: &str,
        kind: u32,
        links: u32,
        metadata: Metadata,
        device: (u32, u32),
        len: u32,
    ) -> io::Result<()> {
        self.inode = self.inode.wrapping_add(1);
        let fields = [
            self.inode,
            kind | (metadata.mode & 0o7777),
            metadata.uid,
            metadata.gid,
            links,
            metadata.mtime,
            len,
            0, // the device that holds the file
            0,
            device.0,
            device.1,
            name.len() as u32 + 1, // checked_name: below 4096
            0,                     // no checksum in this variant
        ];
        let mut header = String::with_capacity(110 + name.len() + 1);
        header.push_str("070701");
        for field in fields {
            header.push_str(&format!("{field:08x}"));
        }
        header.push_str(name);
        header.push('\0');
        self.put(header.as_bytes())?;
        self.pad(4)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.position += bytes.len() as u64;
        Ok(())
    }

    fn pad(&mut self, to: u64) -> io::Result<()> {
        let missing = self.position.next_multiple_of(to) - self.position;
        self.put(&[0; 512][..missing as usize])
    }
}

fn checked_name(name: &str) -> io::Result<&str> {
    let relative = name.trim_start_matches('/');
    let good = relative.len() < NAME_MAX
        && !relative.contains('\0')
        && relative != "TRAILER!!!"
        && relative
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..");
    if good {
        Ok(relative)
    } else {
        Err(invalid(format!("{name:?} cannot be a name in an archive")))
    }
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(write: impl FnOnce(&mut Writer<Vec<u8>>)) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new());
        write(&mut writer);
        writer.finish().unwrap()
    }

    /// What GNU cpio, which we did not write, makes of an archive.
    fn listed(archive: &[u8]) -> String {
        let mut cpio = std::process::Command::new("cpio")
            .args(["-t", "-v", "-n", "--quiet"])
            .env("TZ", "UTC")
            .env("LC_ALL", "C")
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("the package cpio is installed");
        let mut stdin = cpio.stdin.take().unwrap();
        let bytes = archive.to_vec();
        let feeder = std::thread::spawn(move || stdin.write_all(&bytes));
        let output = cpio.wait_with_output().unwrap();
        feeder.join().unwrap().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn cpio_lists_every_kind_with_its_owner_and_mode() {
        let owner = Metadata {
            mode: 0o640,
            uid: 7,
            gid: 8,
            mtime: 86_400,
        };
        let text = listed(&archive(|cpio| {
            cpio.parents("/etc/ssh/key").unwrap();
            cpio.file("/etc/ssh/key", owner, b"secret").unwrap();
            cpio.symlink("etc/link", "ssh/key", owner).unwrap();
            cpio.device("console", Device::Char(5, 1), Metadata::root(0o600))
                .unwrap();
            cpio.device("disk", Device::Block(8, 0), Metadata::root(0o660))
                .unwrap();
        }));
        let lines: Vec<String> = text
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(
            lines,
            [
                "drwxr-xr-x 2 0 0 0 Jan 1 1970 etc",
                "drwxr-xr-x 2 0 0 0 Jan 1 1970 etc/ssh",
                "-rw-r----- 1 7 8 6 Jan 2 1970 etc/ssh/key",
                "lrwxrwxrwx 1 7 8 7 Jan 2 1970 etc/link -> ssh/key",
                "crw------- 1 0 0 5, 1 Jan 1 1970 console",
                "brw-rw---- 1 0 0 8, 0 Jan 1 1970 disk",
            ]
        );
    }

    #[test]
    fn the_same_calls_give_the_same_whole_blocks() {
        let make = || {
            archive(|cpio| {
                cpio.file("a", Metadata::root(0o644), b"12345").unwrap();
            })
        };
        assert_eq!(make(), make());
        assert_eq!(make().len() % 512, 0);
    }

    #[test]
    fn a_streamed_file_is_the_same_as_a_given_one() {
        let given = archive(|cpio| cpio.file("a", Metadata::root(0o600), b"content").unwrap());
        let streamed = archive(|cpio| {
            let mut content = &b"content and more"[..];
            cpio.file_from("a", Metadata::root(0o600), 7, &mut content)
                .unwrap();
        });
        assert_eq!(given, streamed);
    }

    #[test]
    fn a_file_that_shrinks_while_it_is_read_is_an_error() {
        let mut writer = Writer::new(Vec::new());
        let result = writer.file_from("a", Metadata::root(0o600), 9, &mut &b"short"[..]);
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn names_that_would_leave_the_root_are_refused() {
        let mut writer = Writer::new(Vec::new());
        let long = "a".repeat(4096);
        for name in [
            "",
            "/",
            "..",
            "a/../b",
            "a//b",
            "./a",
            "a\0b",
            "TRAILER!!!",
            &long,
        ] {
            let result = writer.file(name, Metadata::root(0o600), b"");
            assert_eq!(
                result.unwrap_err().kind(),
                io::ErrorKind::InvalidInput,
                "{name:?}"
            );
        }
    }
}
