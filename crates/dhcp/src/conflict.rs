//! Addresses of the pool that somebody has without a lease: whom to ask for, and what an answer means.
//!
//! Nobody waits for this. The shell asks for what [`Server::to_probe`] names by ARP (RFC 5227 section 2.1.1), in the
//! background, and says what it heard; an address that was asked for in vain is given before one that was not.

use std::net::Ipv4Addr;

use model::MacAddr;

use crate::link::LinkId;
use crate::server::Server;

/// Ethernet and ARP headers and bodies (RFC 826).
pub const FRAME_LEN: usize = 42;

/// An ARP probe (RFC 5227 section 2.1.1): who has this address? It comes from no address, so that nobody learns one.
pub fn probe(ours: MacAddr, address: Ipv4Addr) -> [u8; FRAME_LEN] {
    let mut frame = [0; FRAME_LEN];
    frame[..6].fill(0xff);
    frame[6..12].copy_from_slice(&ours.0);
    // ARP over Ethernet, of IPv4 addresses, a request.
    frame[12..22].copy_from_slice(&[8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
    frame[22..28].copy_from_slice(&ours.0);
    frame[38..42].copy_from_slice(&address.octets());
    frame
}

/// Who says that it has which address: the sender of an ARP request or reply.
pub fn holder(frame: &[u8]) -> Option<(Ipv4Addr, MacAddr)> {
    let frame = frame.get(..FRAME_LEN)?;
    if !matches!(frame[12..22], [8, 6, 0, 1, 8, 0, 6, 4, 0, 1 | 2]) {
        return None;
    }
    let mac = MacAddr(frame[22..28].try_into().ok()?);
    let address: [u8; 4] = frame[28..32].try_into().ok()?;
    let address = Ipv4Addr::from(address);
    (!address.is_unspecified() && !mac.is_multicast()).then_some((address, mac))
}

impl Server {
    /// Free addresses of the link's subnet that nobody has asked for yet, at most `count`, the first ones first.
    pub fn to_probe(&self, link: LinkId, count: usize) -> Vec<Ipv4Addr> {
        let link = self.links.get(&link);
        let subnet = link.and_then(|link| self.book.subnet_of(link.address));
        subnet.map_or_else(Vec::new, |id| self.book.to_probe(id, count))
    }

    /// Somebody without a lease says that it has this address: nobody else gets it from now on. Whether that is news.
    /// No more than a quarter of a pool is set aside, lest one who answers for all (a router that is a proxy for ARP)
    /// leave nothing.
    pub fn has_holder(&mut self, address: Ipv4Addr, holder: MacAddr) -> bool {
        self.book.set_aside(address, holder)
    }

    /// Nobody answered for this address. Whether it had been set aside.
    pub fn has_no_holder(&mut self, address: Ipv4Addr) -> bool {
        self.book.is_nobodys(address)
    }

    /// Addresses that are set aside, and who has them.
    pub fn set_aside(&self) -> Vec<(Ipv4Addr, MacAddr)> {
        self.book.holders()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 9]);
    const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 168, 67, 20);

    #[test]
    fn a_probe_claims_nothing_and_its_answer_does() {
        let probe = probe(MAC, ADDRESS);
        assert_eq!(holder(&probe), None);
        let mut answer = probe;
        answer[21] = 2;
        answer[28..32].copy_from_slice(&ADDRESS.octets());
        assert_eq!(holder(&answer), Some((ADDRESS, MAC)));
    }

    #[test]
    fn what_is_no_arp_is_no_answer() {
        let mut answer = probe(MAC, ADDRESS);
        answer[28..32].copy_from_slice(&ADDRESS.octets());
        for length in 0..FRAME_LEN {
            assert_eq!(holder(&answer[..length]), None);
        }
        for at in 12..22 {
            let mut other = answer;
            other[at] ^= 0x40;
            assert_eq!(holder(&other), None, "byte {at}");
        }
    }
}
