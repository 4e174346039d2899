//! Where the firmware's first loader comes from: the operator's folders, then Debian's packages.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use boot::loader::{self, Chain, Loader};
use model::{ClientArch, Way};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;

/// The loaders that can be served.
#[derive(Clone, Debug)]
pub struct Loaders {
    folders: Vec<PathBuf>,
    /// The operator's choice of file for a kind of firmware.
    chosen: Vec<(&'static str, String)>,
}

impl Loaders {
    /// From the configuration.
    pub fn new(config: &config::Loaders) -> Self {
        let settings = [
            ("bios", &config.bios),
            ("uefi_x64", &config.uefi_x64),
            ("uefi_x86", &config.uefi_x86),
            ("uefi_arm64", &config.uefi_arm64),
        ];
        let chosen = settings
            .into_iter()
            .filter_map(|(key, file)| Some((key, file.clone()?)));
        Self {
            folders: config.folders.clone(),
            chosen: chosen.collect(),
        }
    }

    /// The file for a kind of firmware. Where no package has an iPXE for it and nobody has brought one, it is shim, as
    /// far as that and its GRUB are there.
    pub fn file_of(&self, kind: &Loader) -> &str {
        if let Some((_, file)) = self.chosen.iter().find(|(key, _)| *key == kind.key) {
            return file;
        }
        match kind.signed.first() {
            Some(shim)
                if kind.package.is_empty()
                    && self.find(kind.file).is_none()
                    && self.has_signed(kind) =>
            {
                shim
            }
            _ => kind.file,
        }
    }

    /// Whether all is there that Secure Boot lets start.
    fn has_signed(&self, kind: &Loader) -> bool {
        !kind.signed.is_empty() && kind.signed.iter().all(|file| self.find(file).is_some())
    }

    /// The file that a firmware of this architecture is told to fetch in this way; `None`: there is none.
    pub fn file_in(&self, way: Way, arch: ClientArch) -> Option<&str> {
        let kind = loader::for_arch(arch)?;
        let first = self.file_of(&kind);
        match way {
            Way::Direct => Some(first),
            Way::BootServer | Way::Header if arch.is_http() => None,
            Way::BootServer | Way::Header => Some(first),
            Way::OtherIpxe => [kind.other, kind.file]
                .into_iter()
                .find(|file| !file.is_empty() && *file != first),
            Way::Shim => kind.signed.first().copied(),
        }
    }

    /// The ways that a firmware of this architecture can be told, the first one first: those for which all files are
    /// there. Where the operator has chosen GRUB, nobody is sent an iPXE.
    pub fn ways(&self, arch: ClientArch) -> Vec<Way> {
        let Some(kind) = loader::for_arch(arch) else {
            return Vec::new();
        };
        let chose_grub = loader::chain(self.file_of(&kind)) == Chain::Grub;
        let is_there = |way: Way| match way {
            Way::OtherIpxe if chose_grub => false,
            Way::OtherIpxe => self
                .file_in(way, arch)
                .is_some_and(|file| self.find(file).is_some()),
            Way::Shim if chose_grub => false,
            Way::Shim => self.has_signed(&kind),
            _ => self.file_in(way, arch).is_some(),
        };
        Way::ALL.into_iter().filter(|way| is_there(*way)).collect()
    }

    /// Opens a loader by the name that a client asked for. Only regular files beneath the operator's
    /// folders, and the files that Debian's packages bring, can be had.
    pub fn open(&self, name: &str) -> io::Result<Option<(File, Metadata)>> {
        let Some(name) = tftp::path::confined(name) else {
            return Ok(None);
        };
        for folder in &self.folders {
            if let Some(file) = open_beneath(folder, &name)? {
                return Ok(Some(file));
            }
        }
        match packaged(&name) {
            Some(path) => open_regular(&path),
            None => Ok(None),
        }
    }

    /// Where the loader of a kind of firmware would be read from.
    pub fn locate(&self, kind: &Loader) -> Option<PathBuf> {
        self.find(self.file_of(kind))
    }

    /// Where a file would be read from.
    pub fn find(&self, name: &str) -> Option<PathBuf> {
        let in_folder = self
            .folders
            .iter()
            .map(|folder| folder.join(name))
            .find(|path| path.is_file());
        in_folder.or_else(|| packaged(name).filter(|path| path.is_file()))
    }
}

fn packaged(name: &str) -> Option<PathBuf> {
    loader::packaged_path(name).map(PathBuf::from)
}

/// Opens `name`, which is confined, beneath `folder` without following a link out of it. `None` if there
/// is no such regular file: a FIFO or a device must not make anybody wait.
fn open_beneath(folder: &Path, name: &str) -> io::Result<Option<(File, Metadata)>> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let open = |at, name: &Path, resolve| openat2(at, name, flags, Mode::empty(), resolve);
    // Where no link is on the way it cannot lead anywhere else, and the folder need not be opened.
    let opened = open(CWD, &folder.join(name), ResolveFlags::NO_SYMLINKS);
    let opened = match opened {
        Err(Errno::LOOP) => {
            let Ok(folder) = File::open(folder) else {
                return Ok(None);
            };
            let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
            open(folder.as_fd(), Path::new(name), resolve)
        }
        opened => opened,
    };
    match opened {
        Ok(file) => regular(file.into()),
        Err(Errno::MFILE | Errno::NFILE) => Err(io::Error::other("out of file descriptors")),
        Err(_) => Ok(None),
    }
}

fn open_regular(path: &Path) -> io::Result<Option<(File, Metadata)>> {
    match File::open(path) {
        Ok(file) => regular(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn regular(file: File) -> io::Result<Option<(File, Metadata)>> {
    let metadata = file.metadata()?;
    Ok(metadata.is_file().then_some((file, metadata)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaders(folder: &Path) -> Loaders {
        Loaders {
            folders: vec![folder.to_owned()],
            chosen: vec![("uefi_x64", "my.efi".into())],
        }
    }

    #[test]
    fn only_regular_files_beneath_the_folder_are_served() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        std::fs::write(path.join("my.efi"), b"loader").unwrap();
        std::os::unix::fs::symlink("my.efi", path.join("inside")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", path.join("outside")).unwrap();
        rustix::fs::mknodat(
            CWD,
            path.join("fifo"),
            rustix::fs::FileType::Fifo,
            Mode::from_raw_mode(0o644),
            0,
        )
        .unwrap();
        let loaders = loaders(path);
        for (name, served) in [
            ("my.efi", true),
            ("/my.efi", true),
            ("inside", true),
            ("outside", false),
            ("fifo", false),
            ("../my.efi", false),
            ("absent", false),
            (".", false),
        ] {
            assert_eq!(loaders.open(name).unwrap().is_some(), served, "{name}");
        }
    }

    #[test]
    fn the_other_ipxe_is_the_one_that_was_not_chosen() {
        let other = |chosen: &str| {
            let loaders = Loaders {
                folders: Vec::new(),
                chosen: vec![("uefi_x64", chosen.into())],
            };
            let file = loaders.file_in(Way::OtherIpxe, ClientArch::UefiX64);
            (file.map(str::to_owned), loaders.ways(ClientArch::UefiX64))
        };
        assert_eq!(other("snponly.efi").0.as_deref(), Some("ipxe.efi"));
        assert_eq!(other("ipxe.efi").0.as_deref(), Some("snponly.efi"));
        let (_, ways) = other("shimx64.efi");
        assert_eq!(ways, [Way::Direct, Way::BootServer, Way::Header]);
    }

    #[test]
    fn nobody_is_sent_to_half_a_chain() {
        let folder = tempfile::tempdir().unwrap();
        let loaders = loaders(folder.path());
        let arm = || {
            let first = loaders.file_in(Way::Direct, ClientArch::UefiArm64);
            (
                first,
                loaders.ways(ClientArch::UefiArm64).contains(&Way::Shim),
            )
        };
        std::fs::write(folder.path().join("shimaa64.efi"), b"shim").unwrap();
        assert_eq!(arm(), (Some("snponly-arm64.efi"), false));
        // No package has an iPXE for it, so the chain is what it gets first.
        std::fs::write(folder.path().join("grubaa64.efi"), b"grub").unwrap();
        assert_eq!(arm(), (Some("shimaa64.efi"), false));
        std::fs::write(folder.path().join("snponly-arm64.efi"), b"iPXE").unwrap();
        assert_eq!(arm(), (Some("snponly-arm64.efi"), true));
    }

    #[test]
    fn the_operator_can_choose_another_loader() {
        let loaders = loaders(Path::new("/nowhere"));
        assert_eq!(
            loaders.file_in(Way::Direct, ClientArch::UefiX64),
            Some("my.efi")
        );
        assert_eq!(
            loaders.file_in(Way::Direct, ClientArch::BiosX86),
            Some("undionly.kpxe")
        );
        assert_eq!(loaders.file_in(Way::Direct, ClientArch::Other(31)), None);
    }
}
