//! The few rtnetlink requests that give one interface its address (RFC 3549; rtnetlink(7)).

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

const REQUEST: u16 = 0x1;
const ACK: u16 = 0x4;
const REPLACE: u16 = 0x100;
const CREATE: u16 = 0x400;
const ERROR: u16 = 2;
const INET: u8 = 2;
const UP: u32 = 1;

/// A request to the kernel, by what it does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Request {
    /// The interface up; nothing else of it is changed.
    LinkUp { index: u32 },
    /// An address with the length of its subnet's prefix.
    Address {
        index: u32,
        address: Ipv4Addr,
        prefix_len: u8,
    },
    /// The default route, through `gateway` or straight onto the link. `on_link` says that the
    /// gateway is a neighbour although no subnet holds it.
    DefaultRoute {
        index: u32,
        gateway: Option<Ipv4Addr>,
        on_link: bool,
    },
    /// Takes back `DefaultRoute` without a gateway.
    NoDefaultRoute { index: u32 },
}

/// A socket to ask on.
pub(crate) struct Netlink(OwnedFd);

impl Netlink {
    /// Opens the socket.
    pub(crate) fn open() -> io::Result<Self> {
        let socket = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            None, // NETLINK_ROUTE is protocol 0
        )?;
        rustix::net::bind(&socket, &SocketAddrNetlink::new(0, 0))?;
        Ok(Self(socket))
    }

    /// Asks, and waits for the kernel's answer, which comes at once.
    pub(crate) fn ask(&self, request: Request) -> io::Result<()> {
        let message = encode(request);
        rustix::net::send(&self.0, &message, SendFlags::empty())?;
        let mut answer = [0; 1024];
        let (length, _) = rustix::net::recv(&self.0, &mut answer, RecvFlags::empty())?;
        match acknowledged(&answer[..length]) {
            Some(0) => Ok(()),
            Some(code) if code == Errno::EXIST.raw_os_error() => Ok(()),
            Some(code) => Err(io::Error::from_raw_os_error(code)),
            None => Err(io::Error::other("netlink gave no answer that makes sense")),
        }
    }
}

/// The error number in an NLMSG_ERROR message, 0 for success.
fn acknowledged(answer: &[u8]) -> Option<i32> {
    let kind = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
    let code = i32::from_ne_bytes(answer.get(16..20)?.try_into().ok()?);
    (kind == ERROR).then_some(code.wrapping_neg())
}

fn encode(request: Request) -> Vec<u8> {
    let mut body = Vec::with_capacity(64);
    let (kind, flags): (u16, u16) = match request {
        Request::LinkUp { index } => {
            // ifinfomsg: family, pad, type, index, flags, change.
            body.extend([0; 4]);
            words(&mut body, &[index, UP, UP]);
            (16, 0)
        }
        Request::Address {
            index,
            address,
            prefix_len,
        } => {
            // ifaddrmsg: family, prefix length, flags, scope, index.
            body.extend([INET, prefix_len, 0, 0]);
            words(&mut body, &[index]);
            attribute(&mut body, 1, address.octets());
            attribute(&mut body, 2, address.octets());
            if prefix_len < 31 {
                let host = u32::MAX.checked_shr(prefix_len.into()).unwrap_or(0);
                let broadcast = Ipv4Addr::from(u32::from(address) | host);
                attribute(&mut body, 4, broadcast.octets());
            }
            (20, CREATE | REPLACE)
        }
        Request::DefaultRoute {
            index,
            gateway,
            on_link,
        } => {
            route(&mut body, index, gateway, on_link);
            (24, CREATE | REPLACE)
        }
        Request::NoDefaultRoute { index } => {
            route(&mut body, index, None, false);
            (25, 0)
        }
    };
    let mut message = Vec::with_capacity(16 + body.len());
    words(&mut message, &[(16 + body.len()) as u32]);
    message.extend(kind.to_ne_bytes());
    message.extend((REQUEST | ACK | flags).to_ne_bytes());
    words(&mut message, &[1, 0]);
    message.extend(body);
    message
}

/// rtmsg: family, two prefix lengths, tos, table main, protocol boot, scope, unicast, flags.
fn route(body: &mut Vec<u8>, index: u32, gateway: Option<Ipv4Addr>, on_link: bool) {
    const MAIN: u8 = 254;
    const BOOT: u8 = 3;
    const LINK: u8 = 253;
    const UNICAST: u8 = 1;
    const ON_LINK: u32 = 4;
    let scope = if gateway.is_some() { 0 } else { LINK };
    body.extend([INET, 0, 0, 0, MAIN, BOOT, scope, UNICAST]);
    words(body, &[if on_link { ON_LINK } else { 0 }]);
    if let Some(gateway) = gateway {
        attribute(body, 5, gateway.octets());
    }
    attribute(body, 4, index.to_ne_bytes());
}

fn words(out: &mut Vec<u8>, words: &[u32]) {
    out.extend(words.iter().flat_map(|word| word.to_ne_bytes()));
}

/// Every attribute here is four bytes, so none needs padding.
fn attribute(out: &mut Vec<u8>, kind: u16, value: [u8; 4]) {
    out.extend(8u16.to_ne_bytes());
    out.extend(kind.to_ne_bytes());
    out.extend(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_in_the_header_is_the_length_of_the_message() {
        let address = Ipv4Addr::new(192, 168, 67, 20);
        for request in [
            Request::LinkUp { index: 2 },
            Request::Address {
                index: 2,
                address,
                prefix_len: 24,
            },
            Request::DefaultRoute {
                index: 2,
                gateway: Some(address),
                on_link: true,
            },
            Request::NoDefaultRoute { index: 2 },
        ] {
            let message = encode(request);
            let length = u32::from_ne_bytes(message[..4].try_into().unwrap());
            assert_eq!(length as usize, message.len(), "{request:?}");
        }
    }

    #[test]
    fn the_broadcast_address_follows_from_the_prefix() {
        let message = encode(Request::Address {
            index: 2,
            address: Ipv4Addr::new(10, 1, 2, 3),
            prefix_len: 22,
        });
        assert!(message.ends_with(&[10, 1, 3, 255]));
    }

    #[test]
    fn an_answer_that_is_no_acknowledgement_is_not_one() {
        assert_eq!(acknowledged(&[0; 3]), None);
        assert_eq!(acknowledged(&[0; 40]), None);
        let mut refused = [0; 36];
        refused[4] = 2;
        refused[16..20].copy_from_slice(&(-17i32).to_ne_bytes());
        assert_eq!(acknowledged(&refused), Some(17));
    }
}
