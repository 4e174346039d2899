//! Further DHCP options: what the operator calls them, what is in them, and their bytes (RFC 2132).

use std::net::Ipv4Addr;
use std::str::FromStr;

use super::{address, short};
use crate::diagnostic::{Code, Fault};
use crate::meaning::DhcpOption;

/// What an option holds.
#[derive(Clone, Copy)]
enum Kind {
    Addresses,
    Text,
    U8,
    U16,
    U32,
    /// A signed number of seconds.
    Offset,
    /// DNS names (RFC 3397), not compressed.
    Names,
    /// Networks and who leads to them (RFC 3442).
    Routes,
    /// Bytes in hexadecimal.
    Hex,
}
use Kind::{Addresses, Hex, Names, Offset, Routes, Text, U8, U16, U32};

/// Options with a name, from the registry of BOOTP and DHCP options.
const KNOWN: &[(&str, u8, Kind)] = &[
    ("time-offset", 2, Offset),
    ("time-servers", 4, Addresses),
    ("log-servers", 7, Addresses),
    ("print-servers", 9, Addresses),
    ("root-path", 17, Text),
    ("mtu", 26, U16),
    ("nis-domain", 40, Text),
    ("nis-servers", 41, Addresses),
    ("ntp-servers", 42, Addresses),
    ("netbios-name-servers", 44, Addresses),
    ("netbios-node-type", 46, U8),
    ("smtp-servers", 69, Addresses),
    ("posix-timezone", 100, Text),
    ("tzdb-timezone", 101, Text),
    ("captive-portal", 114, Text),
    ("domain-search", 119, Names),
    ("routes", ROUTES, Routes),
    ("tftp-servers", 150, Addresses),
    ("wpad", 252, Text),
];

/// The number of `routes`: clients that are told of them are told of the router in the same option.
const ROUTES: u8 = 121;

/// How a value says what it holds, where the number of the option does not.
const PREFIXES: &[(&str, Kind)] = &[
    ("ip:", Addresses),
    ("text:", Text),
    ("u8:", U8),
    ("u16:", U16),
    ("u32:", U32),
    ("hex:", Hex),
];

/// Options that netbootd says by itself, and where the operator has a say.
const OURS: &[(&[u8], &str)] = &[
    (&[1, 28], "the network of the card says it"),
    (
        &[3],
        "write `router` in the table of the card or the subnet instead",
    ),
    (
        &[6],
        "write `dns` in the table of the card or the subnet instead",
    ),
    (&[12], "write `hostname` in a table of the client instead"),
    (&[15], "write `domain` in [dns] instead"),
    (
        &[51, 58, 59],
        "write `lease_time` in the table of the card or the subnet instead",
    ),
    (
        &[66, 67],
        "what a machine boots is said in [boot], its first program in [loaders]",
    ),
    (
        &[43, 60, 93, 94, 97, 175],
        "leave it out: every firmware gets what it needs",
    ),
    (
        &[0, 50, 52, 53, 54, 55, 56, 57, 61, 82, 118, 255],
        "leave it out: it is part of the protocol itself",
    ),
];

/// The number of an option, and what it holds if that is known, by its name or number.
pub(crate) fn code(name: &str) -> Result<u8, Fault> {
    let known = KNOWN.iter().find(|(known, ..)| *known == name);
    let Some(code) = known
        .map(|(_, code, _)| *code)
        .or_else(|| name.parse().ok())
    else {
        let names: Vec<_> = KNOWN.iter().map(|(name, ..)| *name).collect();
        let fault = Fault::new(
            Code::BadOption,
            format!("`{}` is not a DHCP option", short(name)),
            "an option goes by its name or by its number, 1 to 254",
        );
        return Err(match crate::unknown::nearest(name, names.iter().copied()) {
            Some(near) => fault.help(format!("did you mean \"{near}\"?")),
            None => fault.help(format!("write a number, or one of {}", names.join(", "))),
        });
    };
    match OURS.iter().find(|(codes, _)| codes.contains(&code)) {
        Some((_, instead)) => Err(Fault::new(
            Code::BadOption,
            format!("option {code} cannot be set here"),
            "netbootd decides it for each client",
        )
        .help(*instead)),
        None => Ok(code),
    }
}

/// The option with this number and what the text says.
pub(crate) fn option(code: u8, text: &str) -> Result<DhcpOption, Fault> {
    let text = text.trim();
    let said = PREFIXES
        .iter()
        .find_map(|(prefix, kind)| Some((text.strip_prefix(prefix)?, *kind)));
    let known = KNOWN.iter().find(|(_, known, _)| *known == code);
    let Some((text, kind)) = said.or(known.map(|(.., kind)| (text, *kind))) else {
        return Err(Fault::new(
            Code::BadOption,
            format!("what is in option {code}?"),
            "netbootd does not know this option, so the value has to say what it is",
        )
        .help("begin it with ip:, text:, u8:, u16:, u32: or hex:, like \"text:hello\""));
    };
    let bytes = bytes(kind, text.trim())?;
    let most = if code == ROUTES { 250 } else { 255 };
    if bytes.is_empty() || bytes.len() > most {
        return Err(Fault::new(
            Code::BadOption,
            format!("option {code} would have {} bytes", bytes.len()),
            match code {
                ROUTES => "it holds 1 to 250 bytes, and five for the way to the router",
                _ => "an option holds 1 to 255 bytes",
            },
        )
        .help("write less, or leave it out"));
    }
    Ok(DhcpOption { code, bytes })
}

fn bytes(kind: Kind, text: &str) -> Result<Vec<u8>, Fault> {
    let parts = || text.split(',').map(str::trim);
    Ok(match kind {
        Text => text.as_bytes().to_vec(),
        U8 => vec![number(text, "a number from 0 to 255")?],
        U16 => number::<u16>(text, "a number from 0 to 65535")?
            .to_be_bytes()
            .into(),
        U32 => number::<u32>(text, "a number of 32 bits")?
            .to_be_bytes()
            .into(),
        Offset => number::<i32>(text, "a number of seconds")?
            .to_be_bytes()
            .into(),
        Addresses => {
            let all = parts().map(|part| Ok(address(part)?.octets()));
            all.collect::<Result<Vec<_>, Fault>>()?.concat()
        }
        Names => {
            let mut bytes = Vec::new();
            for name in parts() {
                for label in super::domain(name)?.split('.') {
                    bytes.push(label.len() as u8); // at most 63: `domain` has looked
                    bytes.extend_from_slice(label.as_bytes());
                }
                bytes.push(0);
            }
            bytes
        }
        Routes => {
            let all = parts().map(|part| route(part).ok_or_else(|| wrong(part, ROUTE)));
            all.collect::<Result<Vec<_>, Fault>>()?.concat()
        }
        Hex => {
            let digits: Vec<u8> = text.bytes().filter(|byte| !b": ".contains(byte)).collect();
            let pairs = digits.chunks(2).map(|pair| {
                let pair = std::str::from_utf8(pair)
                    .ok()
                    .filter(|pair| pair.len() == 2);
                pair.and_then(|pair| u8::from_str_radix(pair, 16).ok())
            });
            pairs
                .collect::<Option<_>>()
                .ok_or_else(|| wrong(text, "pairs of hexadecimal digits, like \"hex:01 a0\""))?
        }
    })
}

const ROUTE: &str = "a network and who leads there, like \"10.0.0.0/8 via 192.168.67.2\"";

/// `10.0.0.0/8 via 192.168.67.2`: the prefix's length, those of its bytes that count, the router.
fn route(text: &str) -> Option<Vec<u8>> {
    let (network, router) = text.split_once(" via ")?;
    let (network, length) = network.trim().split_once('/')?;
    let length: u8 = length.parse().ok().filter(|length| *length <= 32)?;
    let network: Ipv4Addr = network.parse().ok()?;
    let host_bits = u32::MAX.checked_shr(length.into()).unwrap_or(0);
    if u32::from(network) & host_bits != 0 {
        return None;
    }
    let router: Ipv4Addr = router.trim().parse().ok()?;
    let mut bytes = vec![length];
    bytes.extend_from_slice(&network.octets()[..usize::from(length.div_ceil(8))]);
    bytes.extend_from_slice(&router.octets());
    Some(bytes)
}

fn number<T: FromStr>(text: &str, wanted: &str) -> Result<T, Fault> {
    text.parse().map_err(|_| wrong(text, wanted))
}

fn wrong(text: &str, wanted: &str) -> Fault {
    Fault::new(
        Code::BadOption,
        format!("`{}` is not what this option holds", short(text)),
        format!("it holds {wanted}"),
    )
    .help("write that instead")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(name: &str, text: &str) -> Vec<u8> {
        option(code(name).unwrap(), text).unwrap().bytes
    }

    #[test]
    fn options_have_the_bytes_of_their_rfcs() {
        assert_eq!(
            encoded("ntp-servers", "10.0.0.1, 10.0.0.2"),
            [10, 0, 0, 1, 10, 0, 0, 2]
        );
        assert_eq!(encoded("42", "10.0.0.1"), [10, 0, 0, 1]);
        assert_eq!(encoded("mtu", "9000"), [0x23, 0x28]);
        assert_eq!(encoded("time-offset", "-3600"), (-3600_i32).to_be_bytes());
        assert_eq!(
            encoded("domain-search", "a.bc, d"),
            *b"\x01a\x02bc\0\x01d\0"
        );
        // The examples of RFC 3442.
        assert_eq!(
            encoded("routes", "10.17.0.0/16 via 10.0.0.1"),
            [16, 10, 17, 10, 0, 0, 1]
        );
        assert_eq!(
            encoded("routes", "10.229.0.128/25 via 1.2.3.4"),
            [25, 10, 229, 0, 128, 1, 2, 3, 4]
        );
        assert_eq!(encoded("routes", "0.0.0.0/0 via 1.2.3.4"), [0, 1, 2, 3, 4]);
        assert_eq!(encoded("224", "text:hello"), *b"hello");
        assert_eq!(encoded("225", "hex:01a0 ff"), [1, 0xa0, 0xff]);
        assert_eq!(encoded("42", "hex:01"), [1]);
    }

    #[test]
    fn an_option_is_no_longer_than_it_can_be() {
        let routes = |count: usize| {
            let all = vec!["10.0.0.0/8 via 10.0.0.1"; count].join(", ");
            option(121, &all).is_ok()
        };
        assert!(routes(41) && !routes(42));
        let text = |length: usize| option(224, &format!("text:{}", "x".repeat(length))).is_ok();
        assert!(text(255) && !text(256) && !text(0));
    }

    #[test]
    fn no_text_makes_it_panic() {
        for kind in ["", "ip:", "text:", "u8:", "u16:", "u32:", "hex:"] {
            for text in [
                "",
                ",",
                "ä",
                "1/2 via 3",
                "0.0.0.0/33 via 1.2.3.4",
                "10.0.0.1/8 via 1.2.3.4",
                "x".repeat(300).as_str(),
            ] {
                for code in 0..=255 {
                    let _ = option(code, &format!("{kind}{text}"));
                }
            }
        }
    }
}
