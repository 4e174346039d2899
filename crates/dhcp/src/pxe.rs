//! Telling booting clients apart: PXE firmware, HTTP Boot, iPXE, or none of them.

use model::{ClientArch, Firmware, MacAddr};

use crate::link::LinkId;
use crate::option_code;
use crate::options::Options;
use crate::policy::{ClientInfo, IpxeFeatures};

/// Sub-option 71 of option 43, the boot item asked of a boot server (PXE 2.1 table 2-1).
pub(crate) const BOOT_ITEM: u8 = 71;

/// A client that boots from the network, as far as its options tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BootClient {
    pub(crate) firmware: Firmware,
    pub(crate) arch: ClientArch,
    pub(crate) uuid: Option<[u8; 16]>,
    /// Option 97 to echo: 17 bytes with the type 0 first (RFC 4578 section 2.3).
    pub(crate) machine_id: Option<[u8; 17]>,
    pub(crate) vendor_class: String,
    pub(crate) ipxe: IpxeFeatures,
    /// Sub-option 71 of the client's option 43.
    pub(crate) boot_item: Option<[u8; 4]>,
}

impl BootClient {
    /// `None` for everything that is not PXE, HTTP Boot or iPXE, and so gets no boot options.
    pub(crate) fn recognise(options: &Options) -> Option<Self> {
        let class = options.bytes(option_code::VENDOR_CLASS).unwrap_or_default();
        let arch = architecture(options, class);
        let firmware = if is_ipxe(options) {
            Firmware::Ipxe
        } else if class.starts_with(b"HTTPClient") {
            Firmware::HttpBoot
        } else if class.starts_with(b"PXEClient") && arch == ClientArch::BiosX86 {
            Firmware::BiosPxe
        } else if class.starts_with(b"PXEClient") {
            Firmware::UefiPxe
        } else {
            return None;
        };
        let machine_id: Option<[u8; 17]> = options.array(option_code::MACHINE_ID);
        let machine_id = machine_id.filter(|id| id[0] == 0);
        let vendor_options = options
            .bytes(option_code::VENDOR_OPTIONS)
            .unwrap_or_default();
        Some(Self {
            firmware,
            arch,
            uuid: uuid(options),
            machine_id,
            vendor_class: class
                .iter()
                .filter(|byte| byte.is_ascii_graphic() || **byte == b' ')
                .map(|byte| char::from(*byte))
                .collect(),
            ipxe: features(options),
            boot_item: boot_item(vendor_options),
        })
    }

    /// Whether we have anything to boot for this architecture (RFC 4578, RFC 5970, IANA), asked for
    /// in the way this firmware boots.
    pub(crate) fn is_bootable(&self) -> bool {
        match (self.firmware, self.arch) {
            (_, ClientArch::Other(_)) => false,
            (Firmware::HttpBoot, arch) => arch.is_http(),
            (Firmware::BiosPxe | Firmware::UefiPxe, arch) => !arch.is_http(),
            (Firmware::Ipxe, _) => true,
        }
    }

    pub(crate) fn info(
        &self,
        mac: MacAddr,
        link: LinkId,
        address: Option<std::net::Ipv4Addr>,
        discovers: bool,
    ) -> ClientInfo {
        ClientInfo {
            mac,
            link,
            address,
            arch: self.arch,
            firmware: self.firmware,
            uuid: self.uuid,
            vendor_class: self.vendor_class.clone(),
            ipxe: self.ipxe,
            discovers,
        }
    }

    /// Whether it is a PXE ROM or UEFI's own PXE.
    pub(crate) fn is_pxe(&self) -> bool {
        matches!(self.firmware, Firmware::BiosPxe | Firmware::UefiPxe)
    }
}

/// iPXE shares its vendor class with the ROM it replaced; its own marks are option 175 and the user
/// class, which it sends as the bare string, while RFC 3004 section 4 wants a length before it.
fn is_ipxe(options: &Options) -> bool {
    let class = options.bytes(option_code::USER_CLASS).unwrap_or_default();
    options.bytes(option_code::IPXE).is_some()
        || class == b"iPXE"
        || user_classes(class).any(|class| class == b"iPXE")
}

/// The instances of a user class in the encoding of RFC 3004, up to the first lying length.
fn user_classes(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (len, tail) = rest.split_first()?;
        let (class, next) = tail.split_at_checked(usize::from(*len))?;
        rest = next;
        Some(class)
    })
}

/// Option 93 may list several codes: the first that we know counts. Without the option the vendor
/// class says it, `PXEClient:Arch:00007:UNDI:003000`. A malformed option is an unknown architecture.
fn architecture(options: &Options, class: &[u8]) -> ClientArch {
    const UNKNOWN: ClientArch = ClientArch::Other(u16::MAX);
    let Some(list) = options.bytes(option_code::CLIENT_ARCH) else {
        return class_architecture(class).unwrap_or(UNKNOWN);
    };
    if list.len() % 2 != 0 {
        return UNKNOWN;
    }
    let codes = || {
        let pairs = list.chunks_exact(2);
        pairs.map(|pair| ClientArch::from_code(u16::from_be_bytes([pair[0], pair[1]])))
    };
    let known = codes().find(|arch| !matches!(arch, ClientArch::Other(_)));
    known.or_else(|| codes().next()).unwrap_or(UNKNOWN)
}

fn class_architecture(class: &[u8]) -> Option<ClientArch> {
    let text = std::str::from_utf8(class).ok()?;
    let (_, tail) = text.split_once(":Arch:")?;
    let digits = tail.split(':').next()?;
    let is_code = digits.len() == 5 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let code = is_code.then(|| digits.parse().ok()).flatten()?;
    Some(ClientArch::from_code(code))
}

/// Option 97, unless it is malformed, all zeros or all ones (mainboards without a number).
pub(crate) fn uuid(options: &Options) -> Option<[u8; 16]> {
    let machine_id: [u8; 17] = options.array(option_code::MACHINE_ID)?;
    let (kind, uuid) = machine_id.split_first()?;
    let uuid: [u8; 16] = uuid.try_into().ok().filter(|_| *kind == 0)?;
    (uuid != [0; 16] && uuid != [0xff; 16]).then_some(uuid)
}

fn features(options: &Options) -> IpxeFeatures {
    let list = options.bytes(option_code::IPXE).unwrap_or_default();
    let has = |code: u8| sub_options(list).any(|(found, value)| found == code && value != [0]);
    IpxeFeatures {
        http: has(0x13),
        https: has(0x14),
        tftp: has(0x15),
        dns: has(0x17),
        bzimage: has(0x18),
        pxe: has(0x21),
        efi: has(0x24),
        menu: has(0x27),
    }
}

/// Anything in option 43 that is no list of sub-options, such as a Raspberry Pi's plain text, holds
/// no boot item.
fn boot_item(vendor_options: &[u8]) -> Option<[u8; 4]> {
    let (_, item) = sub_options(vendor_options).find(|(code, _)| *code == BOOT_ITEM)?;
    item.try_into().ok()
}

/// Sub-options of options 43 and 175: written like options, pads and end included (PXE 2.1 section
/// 2.2.1), up to the first lying length.
fn sub_options(bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        while let [0, tail @ ..] = rest {
            rest = tail;
        }
        let [code @ 1..=254, len, tail @ ..] = rest else {
            return None;
        };
        let (value, next) = tail.split_at_checked(usize::from(*len))?;
        rest = next;
        Some((*code, value))
    })
}
