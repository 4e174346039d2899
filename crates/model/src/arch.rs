//! What kind of machine asks: option 93's registry, and the firmware behind it.

/// Client system architecture, DHCP option 93 (RFC 4578 section 2.1 with its erratum, RFC 5970
/// section 3.3, and the IANA registry "Processor Architecture Types").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ClientArch {
    /// 0: a PC with a BIOS.
    BiosX86,
    /// 6: 32-bit x86 UEFI.
    UefiX86,
    /// 7: x86-64 UEFI (the erratum; the RFC's table says EBC).
    UefiX64,
    /// 9: EBC by the erratum, but old firmware uses it for x86-64; treated as that.
    UefiEbc,
    /// 10: 32-bit ARM UEFI.
    UefiArm32,
    /// 11: 64-bit ARM UEFI.
    UefiArm64,
    /// 15: 32-bit x86 UEFI, booting over HTTP.
    HttpX86,
    /// 16: x86-64 UEFI, booting over HTTP.
    HttpX64,
    /// 19: 64-bit ARM UEFI, booting over HTTP.
    HttpArm64,
    /// 20: a PC with a BIOS, booting over HTTP.
    HttpBios,
    /// Any other number of the registry, kept as it was.
    Other(u16),
}

impl ClientArch {
    /// From the number in option 93.
    pub fn from_code(code: u16) -> Self {
        match code {
            0 => Self::BiosX86,
            6 => Self::UefiX86,
            7 => Self::UefiX64,
            9 => Self::UefiEbc,
            10 => Self::UefiArm32,
            11 => Self::UefiArm64,
            15 => Self::HttpX86,
            16 => Self::HttpX64,
            19 => Self::HttpArm64,
            20 => Self::HttpBios,
            other => Self::Other(other),
        }
    }

    /// The number in option 93.
    pub fn code(self) -> u16 {
        match self {
            Self::BiosX86 => 0,
            Self::UefiX86 => 6,
            Self::UefiX64 => 7,
            Self::UefiEbc => 9,
            Self::UefiArm32 => 10,
            Self::UefiArm64 => 11,
            Self::HttpX86 => 15,
            Self::HttpX64 => 16,
            Self::HttpArm64 => 19,
            Self::HttpBios => 20,
            Self::Other(code) => code,
        }
    }

    /// Whether the firmware asked for HTTP Boot (UEFI 2.10 section 24.7), not for PXE.
    pub fn is_http(self) -> bool {
        matches!(
            self,
            Self::HttpX86 | Self::HttpX64 | Self::HttpArm64 | Self::HttpBios
        )
    }
}

/// Which program is asking at this step of a boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Firmware {
    /// A PXE ROM of a BIOS machine (vendor class `PXEClient`, architecture 0).
    BiosPxe,
    /// UEFI's own PXE stack (vendor class `PXEClient`, a UEFI architecture).
    UefiPxe,
    /// HTTP Boot (vendor class `HTTPClient`).
    HttpBoot,
    /// iPXE, told by option 175 or user class `iPXE`, never by the vendor class, which it shares
    /// with the ROM it replaced. Ours or one in a ROM; able to fetch over HTTP.
    Ipxe,
}
