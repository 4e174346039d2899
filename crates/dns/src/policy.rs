//! Who may ask, and whether questions may leave.

use std::net::{IpAddr, Ipv4Addr};

/// What the daemon's configuration says about DNS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Networks that are served: address and length of the prefix in bits. Sources outside of them get
    /// no answer, and the reverse names of their addresses are ours.
    pub networks: Vec<(Ipv4Addr, u8)>,
    /// Whether there are upstreams to forward to.
    pub forward: bool,
}

impl Policy {
    /// Whether the address lies in a network that is served.
    pub fn serves(&self, address: IpAddr) -> bool {
        let IpAddr::V4(address) = address.to_canonical() else {
            return false;
        };
        self.networks
            .iter()
            .any(|(network, prefix_len)| contains(*network, *prefix_len, address))
    }
}

/// Whether a network holds an address.
pub(crate) fn contains(network: Ipv4Addr, prefix_len: u8, address: Ipv4Addr) -> bool {
    let host_bits = 32_u32.saturating_sub(u32::from(prefix_len));
    let mask = u32::MAX.checked_shl(host_bits).unwrap_or(0);
    u32::from(network) & mask == u32::from(address) & mask
}

/// How a query came, which decides how long its reply may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// One datagram; the asker's EDNS size and [`crate::MAX_UDP`] bound the reply.
    Udp,
    /// A stream of messages with two bytes of length (RFC 1035 section 4.2.2); up to 65535 bytes.
    Tcp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sources_in_a_served_network_are_served() {
        let policy = Policy {
            networks: vec![
                ("192.168.67.1".parse().unwrap(), 24),
                ("10.0.0.0".parse().unwrap(), 8),
            ],
            forward: false,
        };
        for inside in ["192.168.67.250", "10.9.8.7", "::ffff:10.0.0.1"] {
            assert!(policy.serves(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["192.168.68.1", "8.8.8.8", "127.0.0.1", "fe80::1"] {
            assert!(!policy.serves(outside.parse().unwrap()), "{outside}");
        }
    }
}
