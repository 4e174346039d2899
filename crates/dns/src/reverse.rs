//! Reverse names (`in-addr.arpa`, `ip6.arpa`): what they stand for, and which of them are private.

use std::net::Ipv4Addr;

use hickory_proto::rr::Name;
use hickory_proto::rr::domain::LabelIter;

use crate::Policy;
use crate::policy::contains;

/// IPv4 zones that are answered here and never forwarded: RFC 6303 section 4.1 and 4.2, RFC 7793.
/// The prefix is a whole number of labels, or of several zones beside each other.
const PRIVATE: &[(Ipv4Addr, u8)] = &[
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(255, 255, 255, 255), 32),
];

/// IPv6 zones of RFC 6303 sections 4.3 to 4.6, as nibbles from the left of the name's reversed order.
const PRIVATE_V6: &[&str] = &["fd", "fe8", "fe9", "fea", "feb", "20010db8"];

/// What a name under `arpa` stands for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reverse {
    /// One IPv4 address; the length of its local zone's prefix in labels (octets), if it is local.
    Address(Ipv4Addr, Option<u8>),
    /// A part of the tree above local addresses, such as `168.192.in-addr.arpa`: it exists, and has
    /// no records of its own; the length as above.
    Above(u8),
    /// A name in a local zone that stands for nothing.
    Nothing(u8),
    /// Not ours.
    Foreign,
}

/// Looks at a name under `in-addr.arpa` or `ip6.arpa`.
pub(crate) fn reverse(name: &Name, policy: &Policy) -> Reverse {
    let mut labels = name.iter();
    let mut next_is = |words: [&str; 2]| {
        let label = labels.next_back()?;
        words
            .into_iter()
            .position(|word| label.eq_ignore_ascii_case(word.as_bytes()))
    };
    match (next_is(["arpa", "arpa"]), next_is(["in-addr", "ip6"])) {
        (Some(_), Some(0)) => v4(labels, policy),
        (Some(_), Some(_)) => v6(labels),
        _ => Reverse::Foreign,
    }
}

/// Owner of the SOA record for a reverse name: its last `labels` labels and the two of `in-addr.arpa`.
pub(crate) fn apex(name: &Name, labels: u8) -> Name {
    name.trim_to(usize::from(labels) + 2)
}

fn v4(mut labels: LabelIter<'_>, policy: &Policy) -> Reverse {
    // The labels nearest to the root come last; a network's first octet is the last label.
    let mut octets = [0_u8; 4];
    let mut known = 0_u8;
    let mut whole = true;
    while let Some(label) = labels.next_back() {
        let (Some(place), Some(octet)) = (octets.get_mut(usize::from(known)), octet(label)) else {
            whole = false;
            break;
        };
        *place = octet;
        known += 1;
    }
    let address = Ipv4Addr::from(octets);
    // Local if a local network holds all addresses that start with these octets. 172.in-addr.arpa has
    // private and public parts: the upstream knows about the public one.
    let zone = policy
        .networks
        .iter()
        .chain(PRIVATE)
        .filter(|(network, prefix_len)| {
            known * 8 >= *prefix_len && contains(*network, *prefix_len, address)
        })
        .map(|(_, prefix_len)| prefix_len.div_ceil(8))
        .min();
    match (whole, zone) {
        (true, zone) if known == 4 => Reverse::Address(address, zone),
        (true, Some(zone)) => Reverse::Above(zone),
        (false, Some(zone)) => Reverse::Nothing(zone),
        (_, None) => Reverse::Foreign,
    }
}

/// A decimal number without leading zeros.
fn octet(label: &[u8]) -> Option<u8> {
    let plain = matches!(
        label,
        [b'0'] | [b'1'..=b'9'] | [b'1'..=b'9', _] | [b'1'..=b'9', _, _]
    );
    plain
        .then(|| std::str::from_utf8(label).ok()?.parse().ok())
        .flatten()
}

fn v6(labels: LabelIter<'_>) -> Reverse {
    let nibble = |label: &[u8]| match label {
        [nibble] if nibble.is_ascii_hexdigit() => Some(char::from(nibble.to_ascii_lowercase())),
        _ => None,
    };
    let Some(nibbles) = labels.rev().map(nibble).collect::<Option<String>>() else {
        return Reverse::Foreign;
    };
    let zone = PRIVATE_V6
        .iter()
        .find(|prefix| nibbles.starts_with(**prefix));
    // ::1 and :: are zones of one address each.
    let single = nibbles.len() == 32
        && nibbles.starts_with(&"0".repeat(31))
        && matches!(nibbles.as_bytes().last(), Some(b'0' | b'1'));
    match zone {
        Some(prefix) if nibbles.len() == 32 => Reverse::Nothing(prefix.len() as u8),
        Some(prefix) => Reverse::Above(prefix.len() as u8),
        None if single => Reverse::Nothing(32),
        None => Reverse::Foreign,
    }
}
