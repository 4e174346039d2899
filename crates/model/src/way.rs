//! How a firmware is brought to its first loader.

/// A way to bring a firmware to a loader. Firmware reads the same specification in several ways, so what one machine
/// boots by another ignores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// The offer is all there is: option 43 with discovery control "boot the file" (PXE 2.1 table 2-1), and the file in
    /// every place where firmware looks.
    Direct,
    /// `PXEClient` without option 43 and without a file: the firmware asks on port 4011 (Microsoft's BINL).
    BootServer,
    /// The header fields `siaddr` and `file` only, as of BOOTP.
    Header,
    /// As [`Way::Direct`], with the other iPXE: one with drivers of its own.
    OtherIpxe,
    /// As [`Way::Direct`], with shim and GRUB, which Secure Boot lets start.
    Shim,
}

impl Way {
    /// Every way, in the order in which they are tried.
    pub const ALL: [Self; 5] = [
        Self::Direct,
        Self::BootServer,
        Self::Header,
        Self::OtherIpxe,
        Self::Shim,
    ];

    /// The names in the order of [`Way::ALL`].
    pub const NAMES: [&str; 5] = ["direct", "boot-server", "header", "other-ipxe", "shim"];

    /// Its name in the configuration and on the disk.
    pub fn as_str(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// The one of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        let at = Self::NAMES.iter().position(|known| *known == name)?;
        Self::ALL.get(at).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_has_a_name_of_its_own() {
        for way in Way::ALL {
            assert_eq!(Way::from_name(way.as_str()), Some(way));
        }
        assert_eq!(Way::from_name("tftp"), None);
    }
}
