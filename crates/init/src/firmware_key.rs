//! The machine's ssh host key in a variable of its UEFI: it stays over boots, touches no disk and never crosses the network.
//!
//! The variables' files can be read by anybody on the machine unless somebody forbids it, and their modes are the
//! kernel's memory: the mount stays, and the image's system finds it there.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use model::SshHostKey;
use rustix::fs::IFlags;

use crate::modules::Modules;
use crate::unpack::small_text;
use crate::{mount, say};

/// What the overlay says of the key.
const CHOICE: &str = "etc/netbootd/ssh_host_key";
/// Its name, and the namespace that makes it ours (UEFI specification 2.10, section 8.2).
const NAME: &str = "NetbootdSshHostKey-3bb6ab5a-5e6c-4f0a-9a51-7d2a46d3a0c7";
/// Non-volatile, for programs before and after the firmware's hand-over: what each variable's file begins with.
const ATTRIBUTES: [u8; 4] = [7, 0, 0, 0];

/// Where the key is kept.
pub(crate) struct FirmwareKey(PathBuf);

/// The place for this client's key, if its overlay says that it is kept and the machine has one.
pub(crate) fn of(root: &Path, modules: &Modules) -> Option<FirmwareKey> {
    let choice = small_text(root, CHOICE)?;
    SshHostKey::from_name(choice.trim()).filter(|kept| *kept == SshHostKey::Firmware)?;
    mount::firmware_variables(modules)
        .map(|folder| FirmwareKey(folder.join(NAME)))
        .inspect_err(|reason| say!("the ssh host key is for this boot alone: {reason}"))
        .ok()
}

impl FirmwareKey {
    /// The key that was kept at an earlier boot; from now on for root alone.
    pub(crate) fn read(&self) -> Option<String> {
        let read = || {
            let bytes = fs::read(&self.0)?;
            self.close()?;
            let key = bytes.get(ATTRIBUTES.len()..).unwrap_or_default();
            io::Result::Ok(String::from_utf8_lossy(key).into_owned())
        };
        read()
            .inspect_err(|error| {
                if error.kind() != io::ErrorKind::NotFound {
                    say!("the ssh host key in the firmware: {error}");
                }
            })
            .ok()
    }

    /// Keeps a key in place of the one before. Where the firmware takes none, this boot has it alone.
    pub(crate) fn write(&self, key: &str) {
        match self.replace(key) {
            Ok(()) => say!("the ssh host key is kept in the firmware"),
            Err(error) => say!("the firmware does not keep the ssh host key: {error}"),
        }
    }

    fn replace(&self, key: &str) -> io::Result<()> {
        self.close()?;
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&self.0)?;
        // One call: it is the whole variable.
        let length = file.write(&[&ATTRIBUTES, key.as_bytes()].concat())?;
        if length != ATTRIBUTES.len() + key.len() {
            return Err(io::Error::other("it takes a part of it only"));
        }
        Ok(())
    }

    /// Takes the file that is there, if any, away from everybody but root; and the kernel's guard against accidents from
    /// it, with which its mode cannot be set.
    fn close(&self) -> io::Result<()> {
        let file = match fs::File::open(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            opened => opened?,
        };
        let flags = rustix::fs::ioctl_getflags(&file)?;
        rustix::fs::ioctl_setflags(&file, flags - IFlags::IMMUTABLE)?;
        file.set_permissions(Permissions::from_mode(0o600))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_again_and_is_roots_alone() {
        let folder = tempfile::tempdir().unwrap();
        let kept = FirmwareKey(folder.path().join(NAME));
        assert_eq!(kept.read(), None);
        kept.write("one");
        assert_eq!(kept.read().as_deref(), Some("one"));
        // As the kernel shows what the firmware has from an earlier boot.
        fs::set_permissions(&kept.0, Permissions::from_mode(0o644)).unwrap();
        assert_eq!(kept.read().as_deref(), Some("one"));
        let mode = fs::metadata(&kept.0).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        kept.write("another");
        assert_eq!(fs::read(&kept.0).unwrap(), b"\x07\0\0\0another");
    }
}
