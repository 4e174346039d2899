//! Leases as other DHCP servers keep them: dnsmasq's leases file and ISC's dhcpd.leases, as pure
//! functions from text.

mod dnsmasq;
mod isc;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use model::MacAddr;
use serde::{Deserialize, Serialize};

/// One lease of another server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignLease {
    /// The address.
    pub address: Ipv4Addr,
    /// The client's hardware address.
    pub mac: MacAddr,
    /// DHCP option 61 as the client sent it.
    pub client_id: Option<Vec<u8>>,
    /// What the client calls itself.
    pub hostname: Option<String>,
    /// When it ends, in seconds of Unix time; the greatest number for never.
    pub expires: u64,
}

/// What a file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// What the last entry of each address says; `None` where it says that nobody has it.
    pub leases: BTreeMap<Ipv4Addr, Option<ForeignLease>>,
    /// Entries that were not understood: the number of the line, and why.
    pub unreadable: Vec<(usize, String)>,
}

/// Reads either kind of file. dnsmasq's lines begin with a number, or `duid` before IPv6.
pub fn parse(text: &str) -> Parsed {
    let mut words = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .filter_map(|line| line.split_whitespace().next());
    let is_dnsmasq = words
        .next()
        .is_some_and(|word| word == "duid" || word.parse::<u64>().is_ok());
    if is_dnsmasq {
        dnsmasq::parse(text)
    } else {
        isc::parse(text)
    }
}

/// `01:aa:bb` as bytes.
fn from_colons(text: &str) -> Option<Vec<u8>> {
    let byte = |digits: &str| {
        let fits = (1..=2).contains(&digits.len());
        u8::from_str_radix(digits, 16).ok().filter(|_| fits)
    };
    text.split(':').map(byte).collect()
}
