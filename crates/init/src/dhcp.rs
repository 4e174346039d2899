//! A small DHCP client (RFC 2131) for the boots whose loader could not pass an address on.
//!
//! It works over a plain UDP socket with the broadcast flag: the card that booted is the only
//! interface that is up, and a default route onto it makes 255.255.255.255 reachable before there
//! is an address.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant};

use model::{ClientNetwork, MacAddr};
use rustix::net::{AddressFamily, SocketFlags, SocketType};

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
    let xid = random()?;
    let seconds = u16::try_from(asking_for.as_secs()).unwrap_or(u16::MAX);
    let everyone = (Ipv4Addr::BROADCAST, 67);
    let message = |kind, wanted| Message {
        kind,
        mac,
        xid,
        seconds,
        wanted,
    };
    socket.send_to(&message(DISCOVER, Wanted::Any).encode(), everyone)?;
    let Some(offer) = wait(&socket, patience, |bytes| {
        decode(bytes, mac, xid).filter(|reply| reply.kind == OFFER)
    })?
    else {
        return Ok(None);
    };
    let wanted = Wanted::Offered(offer.network.address, offer.server);
    socket.send_to(&message(REQUEST, wanted).encode(), everyone)?;
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

/// What a server says to a client that asks to keep its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Renewal {
    /// It is the client's for this long.
    Kept(Duration),
    /// It is no longer the client's.
    TakenBack,
    /// Nobody answered.
    Silence,
}

/// Asks whichever server holds the lease to prolong it (RFC 2131 section 4.3.2, REBINDING). The
/// card is in use under this address, and nothing about it is changed.
pub(crate) fn renew(
    mac: MacAddr,
    address: Ipv4Addr,
    patience: Duration,
) -> std::io::Result<Renewal> {
    // Bound to the address, so that the answer, sent to it, arrives, and that the broadcast
    // leaves by its card.
    let socket = beside_others(address)?;
    socket.set_broadcast(true)?;
    let message = Message {
        kind: REQUEST,
        mac,
        xid: random()?,
        seconds: 0,
        wanted: Wanted::Held(address),
    };
    socket.send_to(&message.encode(), (Ipv4Addr::BROADCAST, 67))?;
    let answer = wait(&socket, patience, |bytes| {
        decode(bytes, mac, message.xid).filter(|reply| reply.kind == ACK || reply.kind == NAK)
    })?;
    Ok(match answer {
        Some(reply) if reply.kind == ACK => Renewal::Kept(reply.lasts),
        Some(_) => Renewal::TakenBack,
        None => Renewal::Silence,
    })
}

/// Port 68 of this address, whoever has it for all addresses: dhclient does, for another card, and
/// what is sent to this address comes here all the same.
fn beside_others(address: Ipv4Addr) -> std::io::Result<UdpSocket> {
    let (family, kind) = (AddressFamily::INET, SocketType::DGRAM);
    let socket = rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
    rustix::net::sockopt::set_socket_reuseaddr(&socket, true)?;
    rustix::net::bind(&socket, &SocketAddrV4::new(address, 68))?;
    Ok(socket.into())
}

fn random() -> std::io::Result<[u8; 4]> {
    let mut bytes = [0; 4];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(bytes)
}

#[derive(Debug, PartialEq)]
struct Reply {
    kind: u8,
    server: Ipv4Addr,
    network: ClientNetwork,
    lasts: Duration,
}

/// Which address a message is about.
#[derive(Clone, Copy)]
enum Wanted {
    Any,
    /// The address and the server that offered it.
    Offered(Ipv4Addr, Ipv4Addr),
    /// The address that the client uses.
    Held(Ipv4Addr),
}

struct Message {
    kind: u8,
    mac: MacAddr,
    xid: [u8; 4],
    seconds: u16,
    wanted: Wanted,
}

impl Message {
    fn encode(&self) -> Vec<u8> {
        // op, htype, hlen, hops; xid; secs; flags; ciaddr and three more addresses; chaddr.
        let mut message = vec![1, 1, 6, 0];
        message.extend(self.xid);
        message.extend(self.seconds.to_be_bytes());
        let (broadcast, held) = match self.wanted {
            Wanted::Held(address) => (0, address),
            _ => (0x80, Ipv4Addr::UNSPECIFIED),
        };
        message.extend([broadcast, 0]);
        message.extend(held.octets());
        message.extend([0; 12]);
        message.extend(self.mac.0);
        message.resize(236, 0);
        message.extend(COOKIE);
        message.extend([53, 1, self.kind]);
        // The client identifier that iPXE leased under, and nearly every other client too.
        message.extend([61, 7, 1]);
        message.extend(self.mac.0);
        if let Wanted::Offered(address, server) = self.wanted {
            message.extend([50, 4]);
            message.extend(address.octets());
            message.extend([54, 4]);
            message.extend(server.octets());
        }
        message.extend([60, 8]);
        message.extend(b"netbootd");
        message.extend([55, 5, 1, 3, 6, 12, 51, 255]);
        message.resize(message.len().max(300), 0);
        message
    }
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
    // A server that names no time gives none (RFC 2131 section 4.3.1 asks it to).
    let lasts = options[51].and_then(|bytes| Some(u32::from_be_bytes(bytes.try_into().ok()?)));
    Some(Reply {
        kind,
        server: address(54)?,
        lasts: Duration::from_secs(lasts.unwrap_or(0).into()),
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

    fn message(kind: u8, wanted: Wanted) -> Vec<u8> {
        let message = Message {
            kind,
            mac: MAC,
            xid: XID,
            seconds: 7,
            wanted,
        };
        message.encode()
    }

    fn reply(options: &[u8]) -> Vec<u8> {
        let mut bytes = message(DISCOVER, Wanted::Any);
        bytes[0] = 2;
        bytes[16..20].copy_from_slice(&[10, 0, 0, 9]);
        bytes.truncate(240);
        bytes.extend(options);
        bytes
    }

    const OFFERED: &[u8] = &[
        53, 1, 2, 54, 4, 10, 0, 0, 1, 51, 4, 0, 0, 14, 16, 0, 1, 4, 255, 255, 254, 0, 3, 4, 10, 0,
        0, 2, 6, 8, 10, 0, 0, 3, 10, 0, 0, 4, 255,
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
        assert_eq!(offer.lasts, Duration::from_secs(3600));
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
        let wanted = Wanted::Offered(Ipv4Addr::new(10, 0, 0, 9), Ipv4Addr::new(10, 0, 0, 1));
        let bytes = message(REQUEST, wanted);
        assert!(bytes.len() >= 300);
        assert_eq!(
            bytes[240..252],
            [53, 1, 3, 61, 7, 1, 0x52, 0x54, 0, 0, 0, 1]
        );
        assert_eq!(bytes[252..264], [50, 4, 10, 0, 0, 9, 54, 4, 10, 0, 0, 1]);
        assert_eq!(bytes[10], 0x80, "broadcast flag");
    }

    #[test]
    fn a_renewal_names_the_address_in_use_and_asks_for_no_broadcast() {
        let bytes = message(REQUEST, Wanted::Held(Ipv4Addr::new(10, 0, 0, 9)));
        assert_eq!(bytes[10..16], [0, 0, 10, 0, 0, 9]);
        assert!(
            !bytes[240..].starts_with(&[53, 1, 3, 50]),
            "no requested address"
        );
    }
}
