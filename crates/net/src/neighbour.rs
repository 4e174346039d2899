//! The kernel's table of neighbours.

use std::net::Ipv4Addr;

use model::MacAddr;

/// The hardware address behind an IPv4 address on one of our links, if the kernel has talked to it
/// lately. In proxy mode another server gives out the addresses, and this is how a TFTP request is
/// known for the client that sent it.
pub fn neighbour(address: Ipv4Addr) -> Option<MacAddr> {
    find(
        &std::fs::read_to_string("/proc/self/net/arp").ok()?,
        address,
    )
}

fn find(table: &str, address: Ipv4Addr) -> Option<MacAddr> {
    table.lines().skip(1).find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let matches = fields.next()?.parse() == Ok(address);
        let mac: MacAddr = fields.nth(2)?.parse().ok()?;
        (matches && mac != MacAddr::default()).then_some(mac)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_found_and_an_incomplete_one_is_not() {
        let table = "IP address       HW type     Flags       HW address            Mask     Device\n\
             192.168.67.20    0x1         0x2         52:54:00:12:34:56     *        br0\n\
             192.168.67.21    0x1         0x0         00:00:00:00:00:00     *        br0\n";
        let mac = find(table, Ipv4Addr::new(192, 168, 67, 20));
        assert_eq!(mac.unwrap().to_string(), "52:54:00:12:34:56");
        assert_eq!(find(table, Ipv4Addr::new(192, 168, 67, 21)), None);
        assert_eq!(find(table, Ipv4Addr::new(192, 168, 67, 2)), None);
    }
}
