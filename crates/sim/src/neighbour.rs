//! Somebody else's DHCP server, which gives addresses and knows nothing of booting.

use std::net::Ipv4Addr;

use crate::machine::{ACK, DISCOVER, OFFER, REQUEST};

/// What the server at `server` answers to a client's packet: it offers and acknowledges `address`. `None`: the packet
/// is none that it answers.
pub fn neighbour(server: Ipv4Addr, address: Ipv4Addr, packet: &[u8]) -> Option<Vec<u8>> {
    // The message type is the first option of a machine's packets.
    let kind = match packet.get(240..243)? {
        [53, 1, DISCOVER] => OFFER,
        [53, 1, REQUEST] => ACK,
        _ => return None,
    };
    let mut bytes = vec![2, 1, 6, 0];
    bytes.extend(packet.get(4..12)?);
    bytes.extend([0; 4]);
    bytes.extend(address.octets());
    bytes.extend([0; 8]);
    bytes.extend(packet.get(28..44)?);
    bytes.extend([0; 64 + 128]);
    bytes.extend([99, 130, 83, 99, 53, 1, kind, 54, 4]);
    bytes.extend(server.octets());
    bytes.extend([51, 4, 0, 0, 14, 16, 255]);
    Some(bytes)
}
