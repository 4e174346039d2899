//! A small DHCP client (RFC 2131) for the boots whose loader could not pass an address on.
//!
//! It works over a plain UDP socket with the broadcast flag: the card that booted is the only
//! interface that is up, and a default route onto it makes 255.255.255.255 reachable before there
//! is an address.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use model::{ClientNetwork, MacAddr};

use crate::netlink::{Netlink, Request};
use crate::network::Interface;
use crate::say;

const COOKIE: [u8; 4] = [99, 130, 83, 99];
const DISCOVER: u8 = 1;
const OFFER: u8 = 2;
const REQUEST: u8 = 3;
const ACK: u8 = 5;
const NAK: u8 = 6;

/// Asks until a server gives an address.
pub(crate) fn lease(interface: &Interface, mac: MacAddr, netlink: &Netlink) -> ClientNetwork {
    let index = interface.index;
    let mut pause = Duration::from_secs(1);
    let started = Instant::now();
    loop {
        let route = Request::DefaultRoute {
            index,
            gateway: None,
            on_link: false,
        };
        let result = netlink
            .ask(route)
            .and_then(|()| round(mac, pause, started.elapsed()));
        let _ = netlink.ask(Request::NoDefaultRoute { index });
        match result {
            Ok(Some(network)) => return network,
            Ok(None) => say!(
                "no DHCP server answered on {} in {} s; asking again",
                interface.name,
                pause.as_secs()
            ),
            Err(error) => {
                say!(
                    "asking by DHCP on {} failed: {error}; asking again",
                    interface.name
                );
                std::thread::sleep(pause);
            }
        }
        pause = (pause * 2).min(Duration::from_secs(16));
    }
}

/// One exchange of four messages; `None` when nobody answered in time or the server took back
/// its offer.
fn round(
    mac: MacAddr,
    patience: Duration,
    asking_for: Duration,
) -> std::io::Result<Option<ClientNetwork>> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 68))?;
    socket.set_broadcast(true)?;
    let mut xid = [0; 4];
    rustix::rand::getrandom(&mut xid, rustix::rand::GetRandomFlags::empty())?;
    let seconds = u16::try_from(asking_for.as_secs()).unwrap_or(u16::MAX);
    let everyone = (Ipv4Addr::BROADCAST, 67);
    socket.send_to(&encode(DISCOVER, mac, xid, seconds, None), everyone)?;
    let Some(offer) = wait(&socket, patience, |bytes| {
        decode(bytes, mac, xid).filter(|reply| reply.kind == OFFER)
    })?
    else {
        return Ok(None);
    };
    let wanted = Some((offer.network.address, offer.server));
    socket.send_to(&encode(REQUEST, mac, xid, seconds, wanted), everyone)?;
    let answer = wait(&socket, patience, |bytes| {
        decode(bytes, mac, xid).filter(|reply| reply.kind == ACK || reply.kind == NAK)
    })?;
    Ok(answer
        .filter(|answer| answer.kind == ACK)
        .map(|answer| answer.network))
}

fn wait(
    socket: &UdpSocket,
    patience: Duration,
    accept: impl Fn(&[u8]) -> Option<Reply>,
) -> std::io::Result<Option<Reply>> {
    let deadline = Instant::now() + patience;
    let mut buffer = [0; 1500];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        socket.set_read_timeout(Some(left))?;
        match socket.recv(&mut buffer) {
            Ok(length) => {
                if let Some(reply) = accept(&buffer[..length]) {
                    return Ok(Some(reply));
                }
            }
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::WouldBlock
                        | std::io::ErrorKind::TimedOut
                        | std::io::ErrorKind::Interrupted
                ) => {}
            Err(error) => return Err(error),
        }
    }
}

#[derive(Debug, PartialEq)]
struct Reply {
    kind: u8,
    server: Ipv4Addr,
    network: ClientNetwork,
}

fn encode(
    kind: u8,
    mac: MacAddr,
    xid: [u8; 4],
    seconds: u16,
    wanted: Option<(Ipv4Addr, Ipv4Addr)>,
) -> Vec<u8> {
    // op, htype, hlen, hops; xid; secs; flags with the broadcast bit; addresses; chaddr.
    let mut message = vec![1, 1, 6, 0];
    message.extend(xid);
    message.extend(seconds.to_be_bytes());
    message.extend([0x80, 0]);
    message.extend([0; 16]);
    message.extend(mac.0);
    message.resize(236, 0);
    message.extend(COOKIE);
    message.extend([53, 1, kind]);
    // Not the client identifier: the loader that leased before us sent none that we know.
    if let Some((address, server)) = wanted {
        message.extend([50, 4]);
        message.extend(address.octets());
        message.extend([54, 4]);
        message.extend(server.octets());
    }
    message.extend([60, 8]);
    message.extend(b"netbootd");
    message.extend([55, 4, 1, 3, 6, 12, 255]);
    message.resize(message.len().max(300), 0);
    message
}

/// Reads an answer to us; `None` for anything else, for one without an address (a proxy's), and
/// for one whose options break off.
fn decode(bytes: &[u8], mac: MacAddr, xid: [u8; 4]) -> Option<Reply> {
    let fixed = bytes.get(..240)?;
    let ours = fixed[0] == 2
        && fixed[1..3] == [1, 6]
        && fixed[4..8] == xid
        && fixed[28..34] == mac.0
        && fixed[236..240] == COOKIE;
    ours.then_some(())?;
    let mut options: [Option<&[u8]>; 256] = [None; 256];
    let mut rest = &bytes[240..];
    loop {
        match *rest {
            [0, ref tail @ ..] => rest = tail,
            [255, ..] => break,
            [code, length, ref tail @ ..] => {
                let (value, tail) = tail.split_at_checked(length.into())?;
                options[usize::from(code)].get_or_insert(value);
                rest = tail;
            }
            _ => break,
        }
    }
    let address = |code: usize| {
        let first: [u8; 4] = options[code]?.get(..4)?.try_into().ok()?;
        Some(Ipv4Addr::from(first)).filter(|address| !address.is_unspecified())
    };
    let kind = *options[53]?.first()?;
    let yours = Ipv4Addr::from(<[u8; 4]>::try_from(&fixed[16..20]).ok()?);
    (kind == NAK || !yours.is_unspecified()).then_some(())?;
    let mask = address(1).map_or(u32::MAX << 8, u32::from);
    Some(Reply {
        kind,
        server: address(54)?,
        network: ClientNetwork {
            address: yours,
            prefix_len: mask.leading_ones() as u8,
            gateway: address(3),
            dns: address(6),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: MacAddr = MacAddr([0x52, 0x54, 0, 0, 0, 1]);
    const XID: [u8; 4] = [1, 2, 3, 4];

    fn reply(options: &[u8]) -> Vec<u8> {
        let mut bytes = encode(DISCOVER, MAC, XID, 0, None);
        bytes[0] = 2;
        bytes[16..20].copy_from_slice(&[10, 0, 0, 9]);
        bytes.truncate(240);
        bytes.extend(options);
        bytes
    }

    const OFFERED: &[u8] = &[
        53, 1, 2, 54, 4, 10, 0, 0, 1, 0, 1, 4, 255, 255, 254, 0, 3, 4, 10, 0, 0, 2, 6, 8, 10, 0, 0,
        3, 10, 0, 0, 4, 255,
    ];

    #[test]
    fn an_offer_is_understood() {
        let offer = decode(&reply(OFFERED), MAC, XID).unwrap();
        assert_eq!(
            (offer.kind, offer.server),
            (OFFER, Ipv4Addr::new(10, 0, 0, 1))
        );
        assert_eq!(offer.network.address, Ipv4Addr::new(10, 0, 0, 9));
        assert_eq!(offer.network.prefix_len, 23);
        assert_eq!(offer.network.gateway, Some(Ipv4Addr::new(10, 0, 0, 2)));
        assert_eq!(offer.network.dns, Some(Ipv4Addr::new(10, 0, 0, 3)));
    }

    #[test]
    fn an_answer_to_somebody_else_is_not_ours() {
        let bytes = reply(OFFERED);
        assert_eq!(decode(&bytes, MacAddr([2; 6]), XID), None);
        assert_eq!(decode(&bytes, MAC, [9; 4]), None);
    }

    #[test]
    fn a_proxy_s_offer_without_an_address_is_passed_over() {
        let mut bytes = reply(OFFERED);
        bytes[16..20].fill(0);
        assert_eq!(decode(&bytes, MAC, XID), None);
    }

    #[test]
    fn an_answer_cut_anywhere_never_panics() {
        let bytes = reply(OFFERED);
        for end in 0..bytes.len() {
            let cut = decode(&bytes[..end], MAC, XID);
            assert!(end >= 249 || cut.is_none(), "{end}");
        }
    }

    #[test]
    fn a_request_names_the_offer_and_is_as_long_as_old_servers_want() {
        let wanted = Some((Ipv4Addr::new(10, 0, 0, 9), Ipv4Addr::new(10, 0, 0, 1)));
        let bytes = encode(REQUEST, MAC, XID, 7, wanted);
        assert!(bytes.len() >= 300);
        assert_eq!(
            &bytes[240..255],
            [53, 1, 3, 50, 4, 10, 0, 0, 9, 54, 4, 10, 0, 0, 1]
        );
        assert_eq!(bytes[10], 0x80, "broadcast flag");
    }
}
