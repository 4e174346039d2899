//! What boots whom: the question we ask, and the trait through which the upper layers answer it.

use std::net::Ipv4Addr;

use model::{ClientArch, Firmware, KnownBy, MacAddr};

use crate::link::LinkId;

/// What a booting client says about itself. Everything here is a claim of the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientInfo {
    /// Its hardware address.
    pub mac: MacAddr,
    /// The link that it was heard on.
    pub link: LinkId,
    /// The address it has or is about to get; `None` in proxy mode's offers.
    pub address: Option<Ipv4Addr>,
    /// Option 93, the first code that we know; else the architecture in the vendor class.
    pub arch: ClientArch,
    /// The program that asks.
    pub firmware: Firmware,
    /// Option 97, unless it is malformed, all zeros or all ones (mainboards without one).
    pub uuid: Option<[u8; 16]>,
    /// Option 60 with everything but printable ASCII left out.
    pub vendor_class: String,
    /// What iPXE can do; all false for other firmware.
    pub ipxe: IpxeFeatures,
    /// Whether it looks for servers (DHCPDISCOVER), with which an attempt to boot begins.
    pub discovers: bool,
}

/// iPXE's feature list, option 175: what this build can fetch and start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct IpxeFeatures {
    /// 0x13: fetches over HTTP.
    pub http: bool,
    /// 0x14: fetches over HTTPS.
    pub https: bool,
    /// 0x15: fetches over TFTP.
    pub tftp: bool,
    /// 0x17: resolves names.
    pub dns: bool,
    /// 0x18: starts Linux kernels.
    pub bzimage: bool,
    /// 0x21: has a PXE stack for what it starts.
    pub pxe: bool,
    /// 0x24: starts EFI images.
    pub efi: bool,
    /// 0x27: shows menus.
    pub menu: bool,
}

/// The next file for a client, and where from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootFile {
    /// `siaddr`: the TFTP server.
    pub next_server: Ipv4Addr,
    /// A path for TFTP (PXE firmware) or an absolute URL (HTTP Boot and iPXE), at most 255 bytes;
    /// a longer one is as good as none.
    pub file: String,
    /// How PXE firmware is told; others are told whole.
    pub telling: Telling,
}

/// How PXE firmware is told of its boot file on port 67. On port 4011 it is told whole in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Telling {
    /// Option 43 says to boot the file, and the file is in every place where firmware looks.
    #[default]
    Whole,
    /// Only that there is a boot server, `siaddr`: the firmware asks it on port 4011 (BINL).
    AtBootServer,
    /// In the header only, without the options of PXE; beside another server with option 60, without
    /// which nobody listens to a proxy.
    Header,
}

/// The upper layers' say in who boots what. Asked on each offer and each acknowledgement.
pub trait BootPolicy {
    /// The next file for this firmware at this stage, or nothing: then the client is not held up
    /// (no boot options in full mode, silence in proxy mode) and goes on to its disk. `server` is
    /// our address on the client's link.
    fn boot_file(&self, client: &ClientInfo, server: Ipv4Addr) -> Option<BootFile>;

    /// A URL with nothing behind it, if this client, which has no boot file, is to go on to its own
    /// disk: in full mode UEFI is told so, since without a word it asks on for a minute.
    fn own_disk(&self, _client: &ClientInfo, _server: Ipv4Addr) -> Option<String> {
        None
    }

    /// What the operator has this client told besides: number and content of options that are not ours to decide.
    /// They win over those of the subnet. Asked in full mode.
    fn options(&self, _client: MacAddr) -> Vec<(u8, Vec<u8>)> {
        Vec::new()
    }

    /// Which cards belong to clients that are known by something else, all of them. Told before anything is asked
    /// about a client whose card is new among them, or is none of them any more.
    fn recognised(&self, _cards: &[(MacAddr, KnownBy)]) {}

    /// Whether to talk to this client at all; asked in full mode for every message.
    fn may_answer(&self, _mac: MacAddr) -> bool {
        true
    }
}
