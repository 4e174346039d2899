//! A datagram in an Ethernet frame: to a card that has no address yet, and so answers no ARP.

use std::net::SocketAddrV4;

use model::MacAddr;

const ETHERNET: usize = 14;
const IP: usize = 20;
const UDP: usize = 8;

/// The Ethernet frame that brings `payload` from our card to `card` (RFC 894, RFC 791, RFC 768). The payload has at most 1472
/// bytes, as [`crate::Transmit`] has: nothing is cut into fragments.
pub fn frame(
    ours: MacAddr,
    from: SocketAddrV4,
    card: MacAddr,
    to: SocketAddrV4,
    payload: &[u8],
) -> Vec<u8> {
    let udp_len = UDP + payload.len();
    let mut frame = vec![0; ETHERNET + IP + udp_len];
    let (ethernet, packet) = frame.split_at_mut(ETHERNET);
    ethernet[..6].copy_from_slice(&card.0);
    ethernet[6..12].copy_from_slice(&ours.0);
    ethernet[12..].copy_from_slice(&[8, 0]);

    let (ip, udp) = packet.split_at_mut(IP);
    ip[0] = 0x45;
    ip[2..4].copy_from_slice(&((IP + udp_len) as u16).to_be_bytes());
    // Not to be cut; 64 hops; UDP.
    ip[6..10].copy_from_slice(&[0x40, 0, 64, 17]);
    ip[12..16].copy_from_slice(&from.ip().octets());
    ip[16..20].copy_from_slice(&to.ip().octets());
    let sum = checksum(words(ip));
    ip[10..12].copy_from_slice(&sum.to_be_bytes());

    udp[..2].copy_from_slice(&from.port().to_be_bytes());
    udp[2..4].copy_from_slice(&to.port().to_be_bytes());
    udp[4..6].copy_from_slice(&(udp_len as u16).to_be_bytes());
    udp[UDP..].copy_from_slice(payload);
    // The pseudo header: both addresses, the protocol, the length.
    let sum = checksum(words(&ip[12..]) + words(udp) + 17 + udp_len as u32);
    // 0 would mean that there is none.
    udp[6..8].copy_from_slice(&if sum == 0 { u16::MAX } else { sum }.to_be_bytes());
    frame
}

/// The sum of a header's 16-bit words, of which there are too few here for it to overflow.
fn words(bytes: &[u8]) -> u32 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    bytes.chunks(2).map(word).sum()
}

/// The complement of the sum with its carries added (RFC 1071).
fn checksum(mut sum: u32) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_checksums_are_right_for_an_odd_length() {
        let (ours, card) = (MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2]));
        let (from, to) = ("192.168.67.1:67", "192.168.67.20:68");
        let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
        let frame = frame(ours, from, card, to, b"abc");
        assert_eq!(frame[..14], [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0]);
        // By another implementation.
        let ip = [
            0x45, 0, 0, 0x1f, 0, 0, 0x40, 0, 0x40, 0x11, 0x33, 0x68, 192, 168, 67, 1, 192, 168, 67,
            20,
        ];
        assert_eq!(frame[14..34], ip);
        let udp = [0, 67, 0, 68, 0, 11, 0x33, 0x88, b'a', b'b', b'c'];
        assert_eq!(frame[34..], udp);
    }
}
