//! Where an answer goes.

use std::net::{Ipv4Addr, SocketAddrV4};

use model::MacAddr;

use crate::request::Request;

/// The servers' port.
pub(crate) const SERVER_PORT: u16 = 67;
/// The clients' port.
pub(crate) const CLIENT_PORT: u16 = 68;
/// The flag of who hears nothing else before it has an address (RFC 2131 figure 2).
const BROADCAST: u16 = 0x8000;
/// The PXE boot server's port (PXE 2.1 section 2.2.3).
pub(crate) const BOOT_SERVER_PORT: u16 = 4011;

/// Where an answer goes (RFC 2131 section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Destination {
    /// `giaddr` was set: to the relay agent, on the servers' port. It delivers to the client.
    Relay(SocketAddrV4),
    /// The client has an address and answers for it (`ciaddr`), or asked the boot server, which
    /// answers to the source address and port.
    Unicast(SocketAddrV4),
    /// To the card of a client that has no address yet, and said that it hears so. It answers no ARP for the address. Where
    /// that is not to be done, a broadcast reaches it too.
    Card(MacAddr, SocketAddrV4),
    /// To 255.255.255.255 at this port, out of the link that the packet came from.
    Broadcast(u16),
}

impl Destination {
    /// The socket address to send to.
    pub fn address(self) -> SocketAddrV4 {
        match self {
            Self::Relay(to) | Self::Unicast(to) | Self::Card(_, to) => to,
            Self::Broadcast(port) => SocketAddrV4::new(Ipv4Addr::BROADCAST, port),
        }
    }

    pub(crate) fn relay(giaddr: Ipv4Addr) -> Self {
        Self::Relay(SocketAddrV4::new(giaddr, SERVER_PORT))
    }

    /// To a client that is given `address`. Firmware hears a broadcast: some ROMs hear nothing else, whatever flag
    /// they set.
    pub(crate) fn newcomer(request: &Request, address: Ipv4Addr) -> Self {
        let hears_its_card = request.flags & BROADCAST == 0 && request.boot.is_none();
        match hears_its_card {
            true => Self::Card(request.mac, SocketAddrV4::new(address, CLIENT_PORT)),
            false => Self::Broadcast(CLIENT_PORT),
        }
    }

    pub(crate) fn client(ciaddr: Ipv4Addr) -> Self {
        Self::Unicast(SocketAddrV4::new(ciaddr, CLIENT_PORT))
    }
}

/// Whether an address can belong to one host: what we are willing to send a unicast to.
pub(crate) fn is_host(address: Ipv4Addr) -> bool {
    !(address.is_unspecified()
        || address.is_loopback()
        || address.is_broadcast()
        || address.is_multicast()
        || address.octets()[0] == 0
        || address.octets()[0] >= 240)
}
