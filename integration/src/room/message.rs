//! DHCP messages by hand, as few as a room of machines needs (RFC 2131 sections 2 and 4.3).

use std::net::Ipv4Addr;

use super::Relay;
use crate::lab::Lab;

/// Option 53 of an answer: an offer.
pub const OFFER: u8 = 2;
/// An acknowledgement.
pub const ACK: u8 = 5;
/// A refusal.
pub const NAK: u8 = 6;

/// What a machine asks.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// For any address.
    Discover,
    /// For the one that it was offered: SELECTING.
    Select(Ipv4Addr),
    /// For the one that it remembers: INIT-REBOOT.
    Remember(Ipv4Addr),
}

/// The machine's hardware address: locally administered, its number in the last four bytes.
pub fn mac(machine: u32) -> [u8; 6] {
    let [a, b, c, d] = machine.to_be_bytes();
    [2, 0x67, a, b, c, d]
}

/// The message, through the relay.
pub fn ask(machine: u32, transaction: u32, kind: Kind) -> Vec<u8> {
    let mut message = vec![1, 1, 6, 1];
    message.extend(transaction.to_be_bytes());
    message.resize(24, 0);
    message.extend(Relay::ADDRESS.octets());
    message.extend(mac(machine));
    message.resize(236, 0);
    message.extend([99, 130, 83, 99]);
    let code = if matches!(kind, Kind::Discover) { 1 } else { 3 };
    message.extend([53, 1, code]);
    if let Kind::Select(address) | Kind::Remember(address) = kind {
        message.extend([50, 4]);
        message.extend(address.octets());
    }
    if let Kind::Select(_) = kind {
        message.extend([54, 4]);
        message.extend(Lab::SERVER.octets());
    }
    message.push(255);
    message.resize(300, 0);
    message
}

/// What an answer says.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Option 53.
    pub kind: u8,
    /// Which machine's it is.
    pub machine: u32,
    /// The transaction that the machine chose.
    pub transaction: u32,
    /// The address that is the machine's (`yiaddr`).
    pub address: Ipv4Addr,
}

impl Seen {
    /// Reads an answer to one of our machines. The server says its option 53 first of all.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let four = |at: usize| {
            bytes
                .get(at..at + 4)?
                .try_into()
                .ok()
                .map(u32::from_be_bytes)
        };
        let options = bytes.get(240..)?;
        let is_ours = bytes[0] == 2 && bytes[28..30] == [2, 0x67];
        (is_ours && options.starts_with(&[53, 1])).then_some(Self {
            kind: *options.get(2)?,
            machine: four(30)?,
            transaction: four(4)?,
            address: four(16)?.into(),
        })
    }
}
