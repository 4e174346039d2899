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
}

/// A PC's BIOS: iPXE that drives the network card through the ROM's own UNDI interface.
pub const BIOS: Loader = Loader {
    key: "bios",
    file: "undionly.kpxe",
    package: "ipxe",
    path: "/usr/lib/ipxe/undionly.kpxe",
};

/// x86-64 UEFI: iPXE over the firmware's own network driver, which works wherever PXE itself did.
pub const UEFI_X64: Loader = Loader {
    key: "uefi_x64",
    file: "snponly.efi",
    package: "ipxe",
    path: "/usr/lib/ipxe/snponly.efi",
};

/// 32-bit x86 UEFI. Debian 12 packages no loader for it; the operator's folder may hold one.
pub const UEFI_X86: Loader = Loader {
    key: "uefi_x86",
    file: "snponly-i386.efi",
    package: "",
    path: "",
};

/// 64-bit ARM UEFI. Debian 12's ipxe package has none; the operator's folder may hold one.
pub const UEFI_ARM64: Loader = Loader {
    key: "uefi_arm64",
    file: "snponly-arm64.efi",
    package: "",
    path: "",
};

/// 32-bit ARM UEFI, likewise.
pub const UEFI_ARM32: Loader = Loader {
    key: "uefi_arm32",
    file: "snponly-arm32.efi",
    package: "",
    path: "",
};

/// Every kind, for `netbootd check`.
pub const ALL: [Loader; 5] = [BIOS, UEFI_X64, UEFI_X86, UEFI_ARM64, UEFI_ARM32];

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
    fn every_architecture_we_answer_has_a_loader() {
        for code in [0, 6, 7, 9, 10, 11, 15, 16, 19, 20] {
            assert!(for_arch(ClientArch::from_code(code)).is_some(), "{code}");
        }
        assert_eq!(for_arch(ClientArch::Other(41)), None);
        assert_eq!(for_arch(ClientArch::UefiEbc), Some(UEFI_X64));
    }
}
