//! Network interfaces.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};

use model::MacAddr;

use crate::sys::{Listed, list_interfaces};

/// A network interface as it is at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The kernel's name for it.
    pub name: String,
    /// The kernel's number for it.
    pub index: u32,
    /// Its hardware address; zeros for the loopback interface.
    pub mac: MacAddr,
    /// Whether it is set up (`IFF_UP`), with or without a cable.
    pub up: bool,
    /// Its IPv4 addresses with the lengths of their prefixes, in the kernel's order.
    pub addresses: Vec<(Ipv4Addr, u8)>,
    /// Its IPv6 link-local address.
    pub link_local: Option<Ipv6Addr>,
}

impl Interface {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            index: 0,
            mac: MacAddr::default(),
            up: false,
            addresses: Vec::new(),
            link_local: None,
        }
    }
}

/// All interfaces of this network namespace, by name.
pub fn interfaces() -> io::Result<BTreeMap<String, Interface>> {
    let mut found: BTreeMap<String, Interface> = BTreeMap::new();
    for listed in list_interfaces()? {
        let (Listed::Link { name, .. } | Listed::V4 { name, .. } | Listed::V6 { name, .. }) =
            &listed;
        // An address label like "eth0:1" belongs to eth0.
        let name = name.split(':').next().unwrap_or_default();
        let interface = found
            .entry(name.to_owned())
            .or_insert_with(|| Interface::new(name));
        match listed {
            Listed::Link { index, mac, up, .. } => {
                (interface.index, interface.mac, interface.up) = (index, mac, up);
            }
            Listed::V4 {
                address,
                prefix_len,
                ..
            } => interface.addresses.push((address, prefix_len)),
            Listed::V6 { address, .. } if address.segments()[0] & 0xffc0 == 0xfe80 => {
                interface.link_local = Some(address);
            }
            Listed::V6 { .. } => {}
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_interface_is_found() {
        let found = interfaces().unwrap();
        let loopback = &found["lo"];
        assert!(loopback.index > 0);
        assert_eq!(loopback.mac, MacAddr::default());
        assert!(loopback.addresses.is_empty() || loopback.addresses[0] == (Ipv4Addr::LOCALHOST, 8));
    }
}
