//! A client's packet written by hand, and a server's read by hand: neither knows the code it tests.

use std::net::Ipv4Addr;

use dhcp::{Destination, Transmit};
use model::MacAddr;

/// What a client sends.
#[derive(Clone, Debug, PartialEq)]
pub struct Packet {
    pub op: u8,
    pub htype: u8,
    pub hlen: u8,
    pub xid: u32,
    pub flags: u16,
    pub ciaddr: Ipv4Addr,
    pub giaddr: Ipv4Addr,
    pub chaddr: [u8; 16],
    pub sname: [u8; 64],
    pub file: [u8; 128],
    pub options: Vec<(u8, Vec<u8>)>,
}

impl Packet {
    pub fn new(mac: MacAddr) -> Self {
        let mut chaddr = [0; 16];
        chaddr[..6].copy_from_slice(&mac.0);
        Self {
            op: 1,
            htype: 1,
            hlen: 6,
            xid: 0x1234_5678,
            flags: 0,
            ciaddr: Ipv4Addr::UNSPECIFIED,
            giaddr: Ipv4Addr::UNSPECIFIED,
            chaddr,
            sname: [0; 64],
            file: [0; 128],
            options: Vec::new(),
        }
    }

    /// Option 53: 1 DISCOVER, 3 REQUEST, 4 DECLINE, 7 RELEASE, 8 INFORM.
    pub fn kind(mut self, kind: u8) -> Self {
        self.options.retain(|(code, _)| *code != 53);
        self.options.insert(0, (53, vec![kind]));
        self
    }

    pub fn option(mut self, code: u8, bytes: &[u8]) -> Self {
        self.options.push((code, bytes.to_vec()));
        self
    }

    pub fn requested(self, address: Ipv4Addr) -> Self {
        self.option(50, &address.octets())
    }

    pub fn server(self, address: Ipv4Addr) -> Self {
        self.option(54, &address.octets())
    }

    pub fn named(self, name: &str) -> Self {
        self.option(12, name.as_bytes())
    }

    pub fn holding(mut self, address: Ipv4Addr) -> Self {
        self.ciaddr = address;
        self
    }

    pub fn through(mut self, relay: Ipv4Addr) -> Self {
        self.giaddr = relay;
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![self.op, self.htype, self.hlen, 0];
        bytes.extend(self.xid.to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend(self.flags.to_be_bytes());
        bytes.extend(self.ciaddr.octets());
        bytes.extend([0; 8]);
        bytes.extend(self.giaddr.octets());
        bytes.extend(self.chaddr);
        bytes.extend(self.sname);
        bytes.extend(self.file);
        bytes.extend([99, 130, 83, 99]);
        for (code, value) in &self.options {
            bytes.extend([*code, value.len() as u8]);
            bytes.extend(value);
        }
        bytes.push(255);
        bytes
    }
}

/// What the server sent, as a strict client reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub destination: Destination,
    pub from_port: u16,
    pub len: usize,
    pub xid: u32,
    pub flags: u16,
    pub ciaddr: Ipv4Addr,
    pub yiaddr: Ipv4Addr,
    pub siaddr: Ipv4Addr,
    pub giaddr: Ipv4Addr,
    pub chaddr: [u8; 16],
    pub sname: String,
    pub file: String,
    /// In the order of the packet.
    pub options: Vec<(u8, Vec<u8>)>,
}

impl Seen {
    #[track_caller]
    pub fn decode(transmit: &Transmit) -> Self {
        let bytes = &transmit.bytes;
        assert!((300..=1472).contains(&bytes.len()), "{} bytes", bytes.len());
        assert_eq!(bytes[0], 2, "op");
        assert_eq!(bytes[236..240], [99, 130, 83, 99]);
        let word = |at: usize| <[u8; 4]>::try_from(&bytes[at..at + 4]).expect("four bytes");
        let text = |field: &[u8]| {
            let end = field.iter().position(|byte| *byte == 0);
            let end = end.expect("a field ends with a NUL");
            String::from_utf8(field[..end].to_vec()).expect("text")
        };
        let mut options = Vec::new();
        let mut at = 240;
        while bytes[at] != 255 {
            let len = usize::from(bytes[at + 1]);
            let value = bytes[at + 2..at + 2 + len].to_vec();
            assert!(
                options.iter().all(|(code, _)| *code != bytes[at]),
                "twice: {}",
                bytes[at]
            );
            options.push((bytes[at], value));
            at += 2 + len;
        }
        assert!(bytes[at + 1..].iter().all(|byte| *byte == 0), "padding");
        let is_bootp = options.iter().all(|(code, _)| *code != 53);
        assert!(is_bootp || options[0].0 == 53, "the message type is first");
        Self {
            destination: transmit.destination,
            from_port: transmit.from_port,
            len: bytes.len(),
            xid: u32::from_be_bytes(word(4)),
            flags: u16::from_be_bytes([bytes[10], bytes[11]]),
            ciaddr: word(12).into(),
            yiaddr: word(16).into(),
            siaddr: word(20).into(),
            giaddr: word(24).into(),
            chaddr: bytes[28..44].try_into().expect("sixteen bytes"),
            sname: text(&bytes[44..108]),
            file: text(&bytes[108..236]),
            options,
        }
    }

    #[track_caller]
    pub fn kind(&self) -> u8 {
        assert_eq!(self.options[0].0, 53, "it is BOOTP");
        self.options[0].1[0]
    }

    pub fn option(&self, code: u8) -> Option<&[u8]> {
        let found = self.options.iter().find(|(found, _)| *found == code);
        found.map(|(_, value)| value.as_slice())
    }

    #[track_caller]
    pub fn seconds(&self, code: u8) -> u32 {
        let value = self.option(code).expect("a time");
        u32::from_be_bytes(value.try_into().expect("four bytes"))
    }

    pub fn codes(&self) -> Vec<u8> {
        self.options.iter().map(|(code, _)| *code).collect()
    }
}

/// Bytes from a dump a person can read: `0a1b` in hexadecimal, `'text'`, `00x64` for repetition;
/// `#` begins a remark.
pub fn wire(dump: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in dump.lines() {
        let line = line.split('#').next().unwrap_or_default();
        for word in line.split_whitespace() {
            if let Some(text) = word.strip_prefix('\'') {
                bytes.extend(text.trim_end_matches('\'').bytes());
            } else if let Some((byte, count)) = word.split_once('x') {
                let byte = u8::from_str_radix(byte, 16).expect("a byte");
                bytes.extend(vec![byte; count.parse().expect("a count")]);
            } else {
                let digits = word.as_bytes().chunks(2);
                let pairs = digits.map(|pair| std::str::from_utf8(pair).expect("ASCII"));
                bytes.extend(pairs.map(|pair| u8::from_str_radix(pair, 16).expect("hex")));
            }
        }
    }
    bytes
}
