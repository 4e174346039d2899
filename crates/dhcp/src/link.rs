//! The layer-2 networks we listen on, and the subnets we serve on them or behind relays.

use std::net::Ipv4Addr;
use std::time::Duration;

use model::KnownBy;

/// The shell's number for a link (usually the interface index).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u32);

/// What we are on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// The DHCP server: addresses and boot files, and authoritative (RFC 2131 section 4.3.2).
    Full,
    /// Beside another DHCP server: boot files only, no addresses (PXE 2.1 section 2.2).
    Proxy,
}

/// One interface that we answer on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its name between us and the shell.
    pub id: LinkId,
    /// Our address on it: server identifier, and next server unless the policy says otherwise.
    pub address: Ipv4Addr,
    /// Length of its prefix in bits.
    pub prefix_len: u8,
    /// What we are on it.
    pub mode: Mode,
}

/// A prefix with its pools and options. Needed for each link in full mode and for each network
/// behind a relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subnet {
    /// Any address of the prefix; host bits are ignored.
    pub network: Ipv4Addr,
    /// Length of the prefix in bits, at most 32.
    pub prefix_len: u8,
    /// Inclusive ranges to hand out. What lies outside the prefix, or belongs to us, the router or
    /// a DNS server, is left out; so are reserved addresses.
    pub pool: Vec<(Ipv4Addr, Ipv4Addr)>,
    /// Option 3.
    pub router: Option<Ipv4Addr>,
    /// Option 6.
    pub dns: Vec<Ipv4Addr>,
    /// Option 15.
    pub domain: Option<String>,
    /// Option 51; clients may ask for less.
    pub lease_time: Duration,
    /// What else those are told who ask for it: number and content of options that are not ours to decide.
    pub options: Vec<(u8, Vec<u8>)>,
}

impl Subnet {
    /// The netmask, option 1.
    pub fn netmask(&self) -> Ipv4Addr {
        let bits = u32::from(self.prefix_len.min(32));
        Ipv4Addr::from(u32::MAX.checked_shl(32 - bits).unwrap_or(0))
    }

    /// The directed broadcast address, option 28.
    pub fn broadcast(&self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.network) | !u32::from(self.netmask()))
    }

    /// The address with all host bits zero.
    pub fn first(&self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.network) & u32::from(self.netmask()))
    }

    /// Whether the prefix holds `address`.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        let mask = u32::from(self.netmask());
        u32::from(address) & mask == u32::from(self.network) & mask
    }

    /// Whether `address` can belong to a host: inside the prefix and, below /31, neither all zeros
    /// nor all ones.
    pub fn is_host(&self, address: Ipv4Addr) -> bool {
        let ends = self.prefix_len < 31 && (address == self.first() || address == self.broadcast());
        self.contains(address) && !ends
    }
}

/// What the operator set aside for one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// By what the client is known. Its hardware address counts first, then the UUID (option 97), then the client
    /// identifier (option 61).
    pub client: KnownBy,
    /// Its address, given to nobody else; without one it draws from the pool.
    pub address: Option<Ipv4Addr>,
    /// Its name, option 12 and DNS; wins over what the client calls itself.
    pub hostname: Option<String>,
}

/// Everything an operator decides; see [`crate::Server::reconfigure`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The interfaces.
    pub links: Vec<Link>,
    /// The subnets; the longest prefix that holds an address wins.
    pub subnets: Vec<Subnet>,
    /// The reservations; of two for one client, or for one address, the later wins.
    pub reservations: Vec<Reservation>,
}
