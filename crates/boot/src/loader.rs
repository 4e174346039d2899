//! The first loader of each firmware.
//!
//! Loaders are read from where Debian's packages put them or from folders that the operator names;
//! none lies in this repository.

use model::ClientArch;

/// What to hand to one kind of firmware.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loader {
    /// The setting that replaces [`Loader::file`], and the name of this kind in messages.
    pub key: &'static str,
    /// The file that the firmware is told to fetch.
    pub file: &'static str,
    /// The Debian package that holds the file.
    pub package: &'static str,
    /// Where that package puts it.
    pub path: &'static str,
    /// The iPXE that has drivers of its own for network cards, instead of the firmware's; empty: none is known.
    pub other: &'static str,
    /// What Secure Boot lets start, and what that asks for; empty where there is no Secure Boot, or nothing known.
    pub signed: &'static [&'static str],
}

/// A PC's BIOS: iPXE that drives the network card through the ROM's own UNDI interface.
pub const BIOS: Loader = Loader {
    key: "bios",
    file: "undionly.kpxe",
    package: "ipxe",
    path: "/usr/lib/ipxe/undionly.kpxe",
    other: "ipxe.pxe",
    signed: &[],
};

/// x86-64 UEFI: iPXE over the firmware's own network driver, which works wherever PXE itself did.
pub const UEFI_X64: Loader = Loader {
    key: "uefi_x64",
    file: "snponly.efi",
    package: "ipxe",
    path: "/usr/lib/ipxe/snponly.efi",
    other: "ipxe.efi",
    signed: &["shimx64.efi", "grubx64.efi"],
};

/// 32-bit x86 UEFI. Debian 12 packages no loader for it; the operator's folder may hold one.
pub const UEFI_X86: Loader = Loader {
    key: "uefi_x86",
    file: "snponly-i386.efi",
    package: "",
    path: "",
    other: "ipxe-i386.efi",
    signed: &[],
};

/// 64-bit ARM UEFI. Debian 12's ipxe package has none; the operator's folder may hold one.
pub const UEFI_ARM64: Loader = Loader {
    key: "uefi_arm64",
    file: "snponly-arm64.efi",
    package: "",
    path: "",
    other: "ipxe-arm64.efi",
    signed: &["shimaa64.efi", "grubaa64.efi"],
};

/// 32-bit ARM UEFI, likewise.
pub const UEFI_ARM32: Loader = Loader {
    key: "uefi_arm32",
    file: "snponly-arm32.efi",
    package: "",
    path: "",
    other: "",
    signed: &[],
};

/// Every kind, for `netbootd check`.
pub const ALL: [Loader; 5] = [BIOS, UEFI_X64, UEFI_X86, UEFI_ARM64, UEFI_ARM32];

/// A file that is served beside the loaders, and where Debian's package puts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packaged {
    /// The name that clients ask for.
    pub file: &'static str,
    /// The package.
    pub package: &'static str,
    /// Its place.
    pub path: &'static str,
}

const fn packaged(file: &'static str, package: &'static str, path: &'static str) -> Packaged {
    Packaged {
        file,
        package,
        path,
    }
}

/// The memory test for machines with a BIOS, and for UEFI.
pub const MEMTEST: [&str; 2] = ["memtest86+x64.bin", "memtest86+x64.efi"];

/// Other loaders that an operator can name instead, and what those ask for. shim is signed by
/// Microsoft, Debian's GRUB by what shim trusts: with Secure Boot on, these and nothing else start.
/// shim and GRUB ask for the names below at the root of TFTP, wherever they came from.
pub const PACKAGED: [Packaged; 11] = [
    packaged("ipxe.efi", "ipxe", "/usr/lib/ipxe/ipxe.efi"),
    packaged("ipxe.pxe", "ipxe", "/usr/lib/ipxe/ipxe.pxe"),
    packaged("undionly.kkpxe", "ipxe", "/usr/lib/ipxe/undionly.kkpxe"),
    packaged(
        "shimx64.efi",
        "shim-signed",
        "/usr/lib/shim/shimx64.efi.signed",
    ),
    packaged(
        "mmx64.efi",
        "shim-helpers-amd64-signed",
        "/usr/lib/shim/mmx64.efi.signed",
    ),
    packaged(
        "grubx64.efi",
        "grub-efi-amd64-signed",
        "/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed",
    ),
    packaged(
        "shimaa64.efi",
        "shim-signed",
        "/usr/lib/shim/shimaa64.efi.signed",
    ),
    packaged(
        "mmaa64.efi",
        "shim-helpers-arm64-signed",
        "/usr/lib/shim/mmaa64.efi.signed",
    ),
    packaged(
        "grubaa64.efi",
        "grub-efi-arm64-signed",
        "/usr/lib/grub/arm64-efi-signed/grubnetaa64.efi.signed",
    ),
    packaged(MEMTEST[0], "memtest86+", "/boot/memtest86+x64.bin"),
    packaged(MEMTEST[1], "memtest86+", "/boot/memtest86+x64.efi"),
];

/// Where Debian's packages have a file that clients ask for, by its name.
pub fn packaged_path(name: &str) -> Option<&'static str> {
    let kinds = ALL.iter().map(|kind| (kind.file, kind.path));
    let others = PACKAGED.iter().map(|other| (other.file, other.path));
    let mut all = kinds.chain(others).filter(|(_, path)| !path.is_empty());
    all.find(|(file, _)| *file == name).map(|(_, path)| path)
}

/// The Debian package that brings a file beside the loaders.
pub fn package(name: &str) -> Option<&'static str> {
    let found = PACKAGED.iter().find(|packaged| packaged.file == name);
    found.map(|packaged| packaged.package)
}

/// What a loader runs in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chain {
    /// iPXE, which asks for its script over HTTP.
    Ipxe,
    /// GRUB, which asks for its configuration over TFTP. Debian's makes no request at all when it came
    /// over HTTP, so machines are not sent that way.
    Grub,
}

/// What this first loader runs in the end, by its name.
pub fn chain(file: &str) -> Chain {
    let name = file.rsplit('/').next().unwrap_or(file);
    match name.starts_with("shim") || name.starts_with("grub") {
        true => Chain::Grub,
        false => Chain::Ipxe,
    }
}

/// The loader for an architecture, or `None` for those that netbootd does not boot.
///
/// Architecture 9 is EBC by the registry and x86-64 in old firmware (RFC 4578's erratum); nobody
/// has met real EBC firmware, so it gets the x86-64 loader.
pub fn for_arch(arch: ClientArch) -> Option<Loader> {
    match arch {
        ClientArch::BiosX86 | ClientArch::HttpBios => Some(BIOS),
        ClientArch::UefiX64 | ClientArch::UefiEbc | ClientArch::HttpX64 => Some(UEFI_X64),
        ClientArch::UefiX86 | ClientArch::HttpX86 => Some(UEFI_X86),
        ClientArch::UefiArm64 | ClientArch::HttpArm64 => Some(UEFI_ARM64),
        ClientArch::UefiArm32 => Some(UEFI_ARM32),
        ClientArch::Other(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signed_loaders_are_found_by_the_names_that_they_ask_for() {
        let grub = packaged_path("grubx64.efi").unwrap();
        assert!(grub.ends_with("grubnetx64.efi.signed"), "{grub}");
        assert_eq!(packaged_path(BIOS.file), Some(BIOS.path));
        assert_eq!(packaged_path(UEFI_ARM32.file), None);
        assert_eq!(chain("shimx64.efi"), Chain::Grub);
        assert_eq!(chain("signed/grubaa64.efi"), Chain::Grub);
        assert_eq!(chain(UEFI_X64.file), Chain::Ipxe);
    }

    #[test]
    fn every_architecture_we_answer_has_a_loader() {
        for code in [0, 6, 7, 9, 10, 11, 15, 16, 19, 20] {
            assert!(for_arch(ClientArch::from_code(code)).is_some(), "{code}");
        }
        assert_eq!(for_arch(ClientArch::Other(41)), None);
        assert_eq!(for_arch(ClientArch::UefiEbc), Some(UEFI_X64));
    }
}
