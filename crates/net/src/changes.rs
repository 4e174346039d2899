//! Hearing that interfaces, addresses or rules have changed.

use std::io;
use std::net::UdpSocket;

use rustix::net::netlink::{NETFILTER, SocketAddrNetlink};
use rustix::net::{AddressFamily, Protocol, SocketFlags, SocketType, bind, socket_with};

/// `RTMGRP_LINK | RTMGRP_IPV4_IFADDR` (rtnetlink(7)): interfaces, and their IPv4 addresses.
const INTERFACES: u32 = 0x1 | 0x10;
/// The group `NFNLGRP_NFTABLES`, the seventh.
const RULES: u32 = 1 << 6;

/// A socket that something comes to when an interface or an IPv4 address of this network namespace
/// has changed (`AF_NETLINK`, no privilege needed); non-blocking.
///
/// It comes as a `UdpSocket` for that type's safe `recv`. What is received says that something changed,
/// and so does an error: `ENOBUFS` is the kernel's word for changes that it could not keep. Neither is
/// worth reading: [`crate::interfaces`] has the whole truth.
pub fn changes() -> io::Result<UdpSocket> {
    // No protocol is NETLINK_ROUTE.
    listen(None, INTERFACES)
}

/// The same for rules of nftables, whoever changes them; needs `CAP_NET_ADMIN`.
pub fn rule_changes() -> io::Result<UdpSocket> {
    listen(Some(NETFILTER), RULES)
}

fn listen(protocol: Option<Protocol>, groups: u32) -> io::Result<UdpSocket> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, protocol)?;
    bind(&socket, &SocketAddrNetlink::new(0, groups))?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_change_nothing_is_heard() {
        let heard = changes().unwrap().recv(&mut [0; 64]);
        assert_eq!(heard.unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }
}
