//! The last packets of each client that boots, and a capture file of them: when a boot has failed, what was on
//! the wire can still be looked at.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddrV4;

use model::MacAddr;

/// Packets kept of one client, and bytes of each: a reply with all of PXE's options has 600.
const MAX_PACKETS: usize = 32;
const MAX_BYTES: usize = 640;
/// Clients that packets are kept of; the one that was silent for longest is forgotten.
const MAX_CLIENTS: usize = 128;
/// Ethernet and IPv4 headers, in bytes.
const HEADERS: usize = 14 + 20;

/// What carried a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// DHCP, TFTP.
    Udp,
    /// HTTP.
    Tcp,
}

impl Carrier {
    /// Its header's length in bytes, without options.
    fn header(self) -> usize {
        match self {
            Self::Udp => 8,
            Self::Tcp => 20,
        }
    }

    /// Its protocol number in IPv4.
    fn number(self) -> u8 {
        match self {
            Self::Udp => 17,
            Self::Tcp => 6,
        }
    }
}

/// A packet between a client and us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// When, in milliseconds of Unix time.
    pub at: u64,
    /// What carried it.
    pub carrier: Carrier,
    /// Whether the client sent it.
    pub from_client: bool,
    /// The sender's address.
    pub source: SocketAddrV4,
    /// Where it went.
    pub destination: SocketAddrV4,
    /// What was in it.
    pub payload: Vec<u8>,
}

/// The last packets of each client.
#[derive(Clone, Debug, Default)]
pub struct Packets(HashMap<MacAddr, VecDeque<(usize, Packet)>>);

impl Packets {
    /// Whether packets of this client are kept.
    pub fn has(&self, client: MacAddr) -> bool {
        self.0.contains_key(&client)
    }

    /// Keeps a packet of this client, in the place of its oldest.
    pub fn saw(&mut self, client: MacAddr, mut packet: Packet) {
        if self.0.len() >= MAX_CLIENTS && !self.0.contains_key(&client) {
            let last = |packets: &VecDeque<(usize, Packet)>| packets.back().map(|(_, it)| it.at);
            let silent = self.0.iter().min_by_key(|(_, packets)| last(packets));
            let silent = silent.map(|(client, _)| *client);
            silent.and_then(|client| self.0.remove(&client));
        }
        let packets = self.0.entry(client).or_default();
        if packets.len() >= MAX_PACKETS {
            packets.pop_front();
        }
        let len = packet.payload.len();
        packet.payload.truncate(MAX_BYTES);
        packet.payload.shrink_to_fit();
        packets.push_back((len, packet));
    }

    /// The packets of a client as a capture (draft-ietf-opsawg-pcap: little endian, microseconds, Ethernet), as
    /// tcpdump and Wireshark read it. What was below UDP and TCP is made up: our card's address is zero, checksums
    /// of UDP are absent, sequence numbers of TCP are the time, since most of its packets are not kept. None if
    /// nothing is kept.
    pub fn capture(&self, client: MacAddr) -> Option<Vec<u8>> {
        let packets = self.0.get(&client)?;
        let mut file = Vec::new();
        file.extend(0xa1b2_c3d4_u32.to_le_bytes());
        file.extend(2_u16.to_le_bytes());
        file.extend(4_u16.to_le_bytes());
        file.extend([0; 8]);
        file.extend(65_535_u32.to_le_bytes());
        file.extend(1_u32.to_le_bytes());
        for (len, packet) in packets {
            let seconds = (packet.at / 1000) as u32;
            let micros = (packet.at % 1000 * 1000) as u32;
            let headers = headers(client, packet, *len);
            let kept = (headers.len() + packet.payload.len()) as u32;
            for word in [seconds, micros, kept, (headers.len() + len) as u32] {
                file.extend(word.to_le_bytes());
            }
            file.extend(headers);
            file.extend(&packet.payload);
        }
        Some(file)
    }
}

fn headers(client: MacAddr, packet: &Packet, len: usize) -> Vec<u8> {
    let carrier = packet.carrier;
    let mut bytes = Vec::with_capacity(HEADERS + carrier.header());
    let ours = [0; 6];
    let to = match packet.destination.ip().is_broadcast() {
        true => [0xff; 6],
        false if packet.from_client => ours,
        false => client.0,
    };
    bytes.extend(to);
    bytes.extend(if packet.from_client { client.0 } else { ours });
    bytes.extend([8, 0]);

    let ip = bytes.len();
    let carried = carrier.header() + len;
    bytes.extend([0x45, 0]);
    bytes.extend(((20 + carried) as u16).to_be_bytes());
    bytes.extend([0, 0, 0x40, 0, 64, carrier.number(), 0, 0]);
    bytes.extend(packet.source.ip().octets());
    bytes.extend(packet.destination.ip().octets());
    let sum = checksum(&bytes[ip..]);
    bytes[ip + 10..ip + 12].copy_from_slice(&sum.to_be_bytes());

    bytes.extend(packet.source.port().to_be_bytes());
    bytes.extend(packet.destination.port().to_be_bytes());
    match carrier {
        Carrier::Udp => {
            bytes.extend((carried as u16).to_be_bytes());
            bytes.extend([0, 0]); // no checksum (RFC 768)
        }
        Carrier::Tcp => {
            bytes.extend((packet.at as u32).to_be_bytes());
            bytes.extend([0; 4]);
            bytes.extend([5 << 4, 0x18]); // no options; PSH, ACK
            bytes.extend([0xff, 0xff]);
            // The sum of the pseudo header, this header and the text (RFC 9293 section 3.1).
            bytes.extend([0; 4]);
            let sum = tcp_checksum(&bytes[ip..], &packet.payload, carried);
            let at = bytes.len() - 4;
            bytes[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        }
    }
    bytes
}

fn tcp_checksum(headers: &[u8], payload: &[u8], carried: usize) -> u16 {
    let mut words = headers[12..20].to_vec();
    words.extend([0, Carrier::Tcp.number()]);
    words.extend((carried as u16).to_be_bytes());
    words.extend(&headers[20..]);
    words.extend(payload);
    words.resize(words.len().next_multiple_of(2), 0);
    checksum(&words)
}

/// RFC 1071.
fn checksum(header: &[u8]) -> u16 {
    let words = header.chunks(2);
    let sum: u32 = words
        .map(|two| u32::from(u16::from_be_bytes([two[0], two[1]])))
        .sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded & 0xffff) + (folded >> 16)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    const PC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

    fn packet(at: u64, payload: usize) -> Packet {
        Packet {
            at,
            carrier: Carrier::Udp,
            from_client: true,
            source: "0.0.0.0:68".parse().unwrap(),
            destination: "255.255.255.255:67".parse().unwrap(),
            payload: vec![7; payload],
        }
    }

    #[test]
    fn a_capture_has_the_last_packets_with_headers() {
        let mut packets = Packets::default();
        assert_eq!(packets.capture(PC), None);
        (0..40).for_each(|at| packets.saw(PC, packet(1500 + at, 300)));
        let file = packets.capture(PC).unwrap();
        assert_eq!(file.len(), 24 + 32 * (16 + HEADERS + 8 + 300));
        let first = &file[24..];
        assert_eq!(first[..8], [1, 0, 0, 0, 0x60, 0xc0, 0x07, 0]); // 1.508 s
        let ip = &first[16 + 14..][..20];
        assert_eq!(checksum(ip), 0, "of a header with its own checksum");
        assert_eq!(ip[2..4], 328_u16.to_be_bytes());
    }

    #[test]
    fn http_has_a_header_of_tcp_with_a_good_sum() {
        let mut packets = Packets::default();
        let packet = Packet {
            carrier: Carrier::Tcp,
            ..packet(0, 7)
        };
        packets.saw(PC, packet);
        let file = packets.capture(PC).unwrap();
        let ip = &file[24 + 16 + 14..];
        assert_eq!((ip[9], ip.len()), (6, 20 + 20 + 7));
        let pseudo = [&ip[12..20], &[0, 6, 0, 27], &ip[20..], &[0]].concat();
        assert_eq!(checksum(&pseudo), 0);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut packets = Packets::default();
        for client in 0..200 {
            packets.saw(
                MacAddr([2, 0, 0, 0, 0, client]),
                packet(client.into(), 9000),
            );
        }
        assert_eq!(packets.0.len(), MAX_CLIENTS);
        let old = MacAddr([2, 0, 0, 0, 0, 0]);
        assert_eq!(packets.capture(old), None);
        let new = packets.capture(MacAddr([2, 0, 0, 0, 0, 199])).unwrap();
        assert_eq!(new.len(), 24 + 16 + HEADERS + 8 + MAX_BYTES);
    }
}
