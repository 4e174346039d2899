//! What a machine says of itself.

use std::net::Ipv4Addr;

use model::{ClientArch, MacAddr};

/// Whose rules a machine follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// UEFI's PXE and HTTP Boot as in EDK2, which most firmware is made from.
    Edk2,
    /// A PXE ROM as in PXE 2.1.
    Rom,
    /// iPXE; without HTTP it is one as some cards carry in their ROM.
    Ipxe {
        /// Whether it fetches over HTTP.
        http: bool,
    },
}

/// A machine that boots from the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// The address of its card.
    pub mac: MacAddr,
    /// Its mainboard's UUID, if it has one.
    pub uuid: Option<[u8; 16]>,
    /// Its architecture (option 93).
    pub arch: ClientArch,
    /// Whose rules it follows.
    pub rules: Rules,
}

/// DHCP's message types (RFC 2132 section 9.6).
pub(crate) const DISCOVER: u8 = 1;
pub(crate) const OFFER: u8 = 2;
pub(crate) const REQUEST: u8 = 3;
pub(crate) const ACK: u8 = 5;

impl Machine {
    /// Option 60.
    pub(crate) fn class(&self) -> String {
        let name = match self.arch.is_http() {
            true => "HTTPClient",
            false => "PXEClient",
        };
        let undi = match self.rules {
            Rules::Edk2 => "003000",
            Rules::Rom => "002001",
            Rules::Ipxe { .. } => "003010",
        };
        format!("{name}:Arch:{:05}:UNDI:{undi}", self.arch.code())
    }

    /// A message of this type. `wanted` is an address to ask for, and of whom; `own` the one that it has.
    pub(crate) fn message(
        &self,
        kind: u8,
        wanted: Option<(Ipv4Addr, Ipv4Addr)>,
        own: Option<Ipv4Addr>,
    ) -> Vec<u8> {
        let mut bytes = vec![1, 1, 6, 0];
        bytes.extend([0x6e, 0x65, 0x74, 0x62, 0, 0, 0, 0]);
        bytes.extend(own.unwrap_or(Ipv4Addr::UNSPECIFIED).octets());
        bytes.extend([0; 12]);
        bytes.extend(self.mac.0);
        bytes.extend([0; 10 + 64 + 128]);
        bytes.extend([99, 130, 83, 99]);
        let mut option = |code: u8, value: &[u8]| {
            // Every value here is shorter than 64 bytes.
            bytes.extend([code, value.len() as u8]);
            bytes.extend(value);
        };
        option(53, &[kind]);
        if let Some((address, server)) = wanted {
            option(50, &address.octets());
            option(54, &server.octets());
        }
        option(57, &1472u16.to_be_bytes());
        option(55, &[1, 3, 6, 12, 15, 43, 54, 60, 66, 67, 175]);
        option(60, self.class().as_bytes());
        option(93, &self.arch.code().to_be_bytes());
        option(94, &[1, 3, 0]);
        if let Some(uuid) = self.uuid {
            let mut id = vec![0];
            id.extend(uuid);
            option(97, &id);
        }
        if let Rules::Ipxe { http } = self.rules {
            option(77, b"iPXE");
            // What it can do: TFTP, and HTTP.
            option(175, &[0x15, 1, 1, 0x13, 1, u8::from(http)]);
        }
        bytes.push(255);
        bytes
    }
}
