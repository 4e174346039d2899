//! The interfaces that are served: from the operator's names to addresses and modes.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use anyhow::Context;
use config::{Interface, Mode};
use dhcp::LinkId;
use dhcp::probe::ServerReply;
use model::MacAddr;
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};
use tracing::info;

/// When DISCOVERs are sent that another DHCP server would answer, and at the end how long its answer is waited for.
/// dnsmasq pings an address for 3 seconds before it offers it; a switch port that has just come up may swallow the first.
const THOROUGHLY: [Duration; 4] = [
    Duration::ZERO,
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(6),
];
/// The same where the operator says that there is no other.
pub const BRIEFLY: [Duration; 3] = [
    Duration::ZERO,
    Duration::from_secs(1),
    Duration::from_secs(4),
];

/// An interface that is up and has an address: what the services bind to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The interface's name.
    pub name: String,
    /// The kernel's number for it.
    pub id: LinkId,
    /// Its hardware address.
    pub mac: MacAddr,
    /// The address that is served.
    pub address: Ipv4Addr,
    /// Length of its prefix in bits.
    pub prefix_len: u8,
}

impl Link {
    /// Whether what is bound for this link can stay for the other. (A bridge takes another hardware
    /// address with each port; nothing is bound to that.)
    pub fn is_still(&self, other: &Self) -> bool {
        (self.id, self.address, self.prefix_len) == (other.id, other.address, other.prefix_len)
    }

    /// Whether it may come back as it was, for what is bound to wait for that: its interface is there,
    /// and its address has not gone to another one.
    pub fn may_return(&self, system: &BTreeMap<String, net::Interface>) -> bool {
        let is_there = |interface: &net::Interface| LinkId(interface.index) == self.id;
        let others = system
            .values()
            .filter(|interface| interface.name != self.name);
        system.get(&self.name).is_some_and(is_there)
            && !others
                .flat_map(|interface| &interface.addresses)
                .any(|(address, _)| *address == self.address)
    }

    /// The network of its address, with the length of its prefix.
    pub fn network(&self) -> (Ipv4Addr, u8) {
        let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix_len.min(32)));
        let network = u32::from(self.address) & mask.unwrap_or(0);
        (Ipv4Addr::from(network), self.prefix_len)
    }
}

impl Link {
    /// Whether an address belongs to its network.
    pub fn holds(&self, address: Ipv4Addr) -> bool {
        let host_bits = 32 - u32::from(self.prefix_len.min(32));
        let differ = u32::from(self.address) ^ u32::from(address);
        differ.checked_shr(host_bits).unwrap_or(0) == 0
    }
}

/// Why an interface cannot be served now. It may become possible later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotYet {
    /// There is no interface of that name; the names that there are.
    Absent(Vec<String>),
    /// It is set down.
    Down,
    /// It has no IPv4 address.
    NoAddress,
    /// It does not have the configured address; those that it has.
    OtherAddress(Ipv4Addr, Vec<Ipv4Addr>),
    /// What we are on its network is being found out.
    Asking,
}

impl std::fmt::Display for NotYet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Absent(names) => {
                write!(
                    f,
                    "there is no such interface (there are: {})",
                    names.join(", ")
                )
            }
            Self::Down => f.write_str("it is down (ip link set NAME up)"),
            Self::Asking => write!(
                f,
                "looking whether another DHCP server answers, up to {} s; nothing is served until then",
                THOROUGHLY[3].as_secs()
            ),
            Self::NoAddress => {
                f.write_str("it has no IPv4 address (ip address add 192.168.67.1/24 dev NAME)")
            }
            Self::OtherAddress(wanted, found) => {
                let found: Vec<String> = found.iter().map(Ipv4Addr::to_string).collect();
                write!(
                    f,
                    "it does not have the address {wanted} (it has: {})",
                    found.join(", ")
                )
            }
        }
    }
}

/// An interface of the system that is up.
pub fn look_up<'a>(
    name: &str,
    system: &'a BTreeMap<String, net::Interface>,
) -> Result<&'a net::Interface, NotYet> {
    match system.get(name) {
        Some(found) if found.up => Ok(found),
        Some(_) => Err(NotYet::Down),
        None => {
            let names = system.keys().filter(|name| *name != "lo").cloned();
            Err(NotYet::Absent(names.collect()))
        }
    }
}

/// Looks up a configured interface among those of the system.
pub fn resolve(
    wanted: &Interface,
    system: &BTreeMap<String, net::Interface>,
) -> Result<Link, NotYet> {
    let found = look_up(&wanted.name, system)?;
    let chosen = match wanted.address {
        Some(address) => found
            .addresses
            .iter()
            .find(|(a, _)| *a == address)
            .ok_or_else(|| {
                NotYet::OtherAddress(address, found.addresses.iter().map(|(a, _)| *a).collect())
            })?,
        None => found.addresses.first().ok_or(NotYet::NoAddress)?,
    };
    Ok(Link {
        name: wanted.name.clone(),
        id: LinkId(found.index),
        mac: found.mac,
        address: chosen.0,
        prefix_len: chosen.1,
    })
}

/// The part that we play on a link, and why, in words for the log.
pub async fn decide_mode(wanted: &Interface, link: &Link) -> anyhow::Result<(dhcp::Mode, String)> {
    match wanted.mode {
        Mode::Full => Ok((dhcp::Mode::Full, "the configuration says so".into())),
        Mode::Proxy => Ok((dhcp::Mode::Proxy, "the configuration says so".into())),
        Mode::Off => anyhow::bail!("an interface with mode \"off\" is not served"),
        Mode::Auto => {
            info!(
                interface = link.name,
                "looking for another DHCP server (up to {} s)",
                THOROUGHLY[3].as_secs()
            );
            let found = probe(link, &THOROUGHLY).await.with_context(|| {
                format!(
                    "cannot look for another DHCP server on {}; set interfaces.{}.mode to \"full\" or \"proxy\"",
                    link.name, link.name
                )
            })?;
            Ok(match found {
                Some((server, _)) => (
                    dhcp::Mode::Proxy,
                    format!("the DHCP server {server} answers on this link"),
                ),
                None => (
                    dhcp::Mode::Full,
                    "no other DHCP server answered on this link".into(),
                ),
            })
        }
    }
}

/// Asks for an address at these times, the last of which is the end, and sees who offers one.
pub async fn probe(
    link: &Link,
    at: &[Duration],
) -> anyhow::Result<Option<(Ipv4Addr, ServerReply)>> {
    let socket = UdpSocket::from_std(net::bind_device_udp(&link.name, 68).context("UDP port 68")?)?;
    let mut xid = [0; 4];
    // It need only differ from one time to the next.
    let _ = getrandom::fill(&mut xid);
    let xid = u32::from_le_bytes(xid);
    let discover = dhcp::probe::discover(xid, link.mac);
    let began = Instant::now();
    let mut buffer = [0; 1500];
    for until in &at[1..] {
        socket.send_to(&discover, (Ipv4Addr::BROADCAST, 67)).await?;
        while let Ok(received) = timeout_at(began + *until, socket.recv_from(&mut buffer)).await {
            let (length, SocketAddr::V4(from)) = received? else {
                continue;
            };
            let reply = ServerReply::decode(&buffer[..length]);
            let foreign = reply.filter(|reply| reply.transaction == xid && reply.gives_addresses());
            if let Some(reply) = foreign.filter(|_| *from.ip() != link.address) {
                greet(&socket, *from.ip()).await;
                return Ok(Some((*from.ip(), reply)));
            }
        }
    }
    Ok(None)
}

/// Has the kernel learn who is behind an address of the link: it asks before it can send anything there. What is
/// sent is an empty datagram to the port that discards.
pub async fn greet(socket: &UdpSocket, address: Ipv4Addr) {
    if net::neighbour(address).is_none() {
        let _ = socket.send_to(&[], (address, 9)).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// The addresses that a full server hands out when the operator named none: the upper part of the
/// link's own subnet, without the link's address.
pub fn default_pool(link: &Link) -> Vec<(Ipv4Addr, Ipv4Addr)> {
    let bits = 32 - u32::from(link.prefix_len.min(32));
    if bits < 2 {
        return Vec::new();
    }
    let size = 1u64 << bits;
    let network = u64::from(u32::from(link.address)) & !(size - 1);
    // .20 to .250 of a /24, as LTSP has it; the same proportion of any other size, at most 4096.
    let first = network + (size * 20 / 256).max(1);
    let last = (network + (size * 250 / 256).min(size - 2))
        .min(first + 4095)
        .max(first);
    let address = |number: u64| Ipv4Addr::from(number as u32);
    vec![(address(first), address(last))]
}

/// Where a service of this link is bound.
pub fn at(link: &Link, port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(link.address, port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(address: [u8; 4], prefix_len: u8) -> Link {
        Link {
            name: "br0".into(),
            id: LinkId(1),
            mac: MacAddr::default(),
            address: address.into(),
            prefix_len,
        }
    }

    #[test]
    fn the_default_pool_is_inside_the_subnet() {
        let pool = |address, prefix_len| default_pool(&link(address, prefix_len)).pop();
        let ends = |a: [u8; 4], b: [u8; 4]| Some((Ipv4Addr::from(a), Ipv4Addr::from(b)));
        assert_eq!(
            pool([192, 168, 67, 1], 24),
            ends([192, 168, 67, 20], [192, 168, 67, 250])
        );
        assert_eq!(
            pool([10, 1, 2, 3], 16),
            ends([10, 1, 20, 0], [10, 1, 35, 255])
        );
        assert_eq!(pool([10, 0, 0, 1], 30), ends([10, 0, 0, 1], [10, 0, 0, 2]));
        assert_eq!(pool([10, 0, 0, 1], 32), None);
    }

    #[test]
    fn what_is_missing_is_said() {
        let wanted = config::load_text(
            "lab.toml",
            "[interfaces.br0]\naddress = \"192.168.67.9\"\n",
            &config::LoadOptions::default(),
        )
        .unwrap()
        .config
        .interfaces
        .remove(0);
        let mut system = BTreeMap::new();
        assert_eq!(resolve(&wanted, &system), Err(NotYet::Absent(vec![])));
        let mut interface = net::Interface {
            name: "br0".into(),
            index: 3,
            mac: MacAddr::default(),
            up: false,
            addresses: vec![(Ipv4Addr::new(192, 168, 67, 1), 24)],
            link_local: None,
        };
        system.insert("br0".into(), interface.clone());
        assert_eq!(resolve(&wanted, &system), Err(NotYet::Down));
        interface.up = true;
        system.insert("br0".into(), interface.clone());
        assert!(matches!(
            resolve(&wanted, &system),
            Err(NotYet::OtherAddress(..))
        ));
        interface
            .addresses
            .push((Ipv4Addr::new(192, 168, 67, 9), 24));
        system.insert("br0".into(), interface);
        assert_eq!(
            resolve(&wanted, &system).unwrap().address,
            Ipv4Addr::new(192, 168, 67, 9)
        );
    }
}
