//! Addresses, pools and networks.

use std::net::{IpAddr, Ipv4Addr};

use super::short;
use crate::diagnostic::{Code, Fault};

/// An IPv4 address that a machine can have.
pub(crate) fn address(text: &str) -> Result<Ipv4Addr, Fault> {
    match ip_address(text)? {
        IpAddr::V4(address) => Ok(address),
        IpAddr::V6(_) => Err(Fault::new(
            Code::BadAddress,
            format!("`{text}` is an IPv6 address"),
            "netboot clients are served over IPv4",
        )
        .help("write an IPv4 address, like \"192.168.67.1\", instead")),
    }
}

/// An address of a machine, IPv4 or IPv6.
pub(crate) fn ip_address(text: &str) -> Result<IpAddr, Fault> {
    let Ok(address) = text.trim().parse::<IpAddr>() else {
        let fault = Fault::new(
            Code::BadAddress,
            format!("`{}` is not an IP address", short(text)),
            "an IPv4 address is four numbers from 0 to 255 with dots between them",
        );
        return Err(match near_address(text) {
            Some(near) => fault.help(format!("write \"{near}\" instead")),
            None => fault.help("write an address like \"192.168.67.1\" instead"),
        });
    };
    let odd = match address {
        IpAddr::V4(v4) if v4.octets()[0] == 0 => Some("names no machine"),
        IpAddr::V4(v4) if v4.is_multicast() => Some("is a multicast address"),
        IpAddr::V4(v4) if v4.octets()[0] >= 240 => Some("is reserved or broadcast"),
        IpAddr::V6(v6) if v6.is_unspecified() => Some("names no machine"),
        IpAddr::V6(v6) if v6.is_multicast() => Some("is a multicast address"),
        _ => None,
    };
    match odd {
        None => Ok(address),
        Some(odd) => Err(Fault::new(
            Code::BadAddress,
            format!("`{address}` {odd}"),
            "the address of one machine is needed here",
        )
        .help("write an address like \"192.168.67.1\" instead")),
    }
}

/// What was probably meant: without the prefix length, the port, or leading zeros.
fn near_address(text: &str) -> Option<IpAddr> {
    let bare = text.trim().split(['/', ':']).next()?;
    let octets: Vec<String> = bare
        .split('.')
        .map(|part| part.parse::<u8>().map(|number| number.to_string()))
        .collect::<Result<_, _>>()
        .ok()?;
    octets.join(".").parse().ok()
}

/// `first-last`, or one address.
pub(crate) fn pool(text: &str) -> Result<(Ipv4Addr, Ipv4Addr), Fault> {
    let bad = |what: String, why: &str| Fault::new(Code::BadPool, what, why);
    if let Some((base, _)) = text.split_once('/') {
        let fault = bad(
            format!("`{}` is a network, not a pool", short(text)),
            "a pool leaves out the addresses of servers and routers, so it has a first and a last address",
        );
        return Err(match network(text) {
            Ok((network, prefix_len)) => {
                let (first, last) = hosts_of(network, prefix_len);
                fault.help(format!(
                    "write \"{first}-{last}\", or a part of it, instead"
                ))
            }
            Err(_) => fault.help(format!(
                "write a first and a last address, like \"{base}-…\", instead"
            )),
        });
    }
    let (first, last) = text.split_once(['-', '–']).unwrap_or((text, text));
    let first = address(first)?;
    let last = match (last.trim().parse::<u8>(), first.octets()) {
        // 192.168.67.20-250: what people write.
        (Ok(octet), [a, b, c, _]) => {
            let last = Ipv4Addr::new(a, b, c, octet);
            return Err(bad(
                format!("`{}` has no whole last address", short(text)),
                "both ends of a pool are written out",
            )
            .help(format!("write \"{first}-{last}\" instead")));
        }
        (Err(_), _) => address(last)?,
    };
    if first > last {
        return Err(bad(
            format!("`{first}-{last}` ends before it begins"),
            "the first address of a pool is its lowest",
        )
        .help(format!("write \"{last}-{first}\" instead")));
    }
    if u32::from(last) - u32::from(first) >= 1 << 20 {
        return Err(bad(
            format!("`{first}-{last}` holds more than 1048576 addresses"),
            "a pool lies inside one network; the two ends of this one are hardly in the same",
        )
        .help("check both ends"));
    }
    Ok((first, last))
}

/// `address/prefix` with zero host bits, as network and prefix length.
pub(crate) fn network(text: &str) -> Result<(Ipv4Addr, u8), Fault> {
    let bad = |why: &str| {
        Fault::new(
            Code::BadNetwork,
            format!("`{}` is not a network", short(text)),
            why,
        )
    };
    let parsed = text
        .split_once('/')
        .and_then(|(base, bits)| Some((base.parse::<Ipv4Addr>().ok()?, bits.parse::<u8>().ok()?)));
    let Some((base, prefix_len)) = parsed else {
        return Err(
            bad("a network is its first address, a slash, and the length of its prefix")
                .help("write a network like \"10.1.0.0/24\" instead"),
        );
    };
    if !(8..=30).contains(&prefix_len) {
        return Err(
            bad("a network of clients has a prefix of 8 to 30 bits").help(format!(
                "write \"{base}/24\", or what the relay's interface says, instead"
            )),
        );
    }
    let network = Ipv4Addr::from(u32::from(base) & mask(prefix_len));
    if network != base {
        return Err(bad("the bits after the prefix are not zero")
            .help(format!("write \"{network}/{prefix_len}\" instead")));
    }
    Ok((network, prefix_len))
}

/// The network mask of a prefix of 1 to 32 bits.
pub(crate) fn mask(prefix_len: u8) -> u32 {
    u32::MAX
        .checked_shl(32 - u32::from(prefix_len.min(32)))
        .unwrap_or(0)
}

/// First and last address that hosts can have in a network.
pub(crate) fn hosts_of(network: Ipv4Addr, prefix_len: u8) -> (Ipv4Addr, Ipv4Addr) {
    let base = u32::from(network) & mask(prefix_len);
    let broadcast = base | !mask(prefix_len);
    (Ipv4Addr::from(base + 1), Ipv4Addr::from(broadcast - 1))
}
