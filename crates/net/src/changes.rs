//! Hearing that an interface or an address has come, gone or changed.

use std::io;
use std::net::UdpSocket;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};

/// `RTMGRP_LINK | RTMGRP_IPV4_IFADDR` (rtnetlink(7)): interfaces, and their IPv4 addresses.
const GROUPS: u32 = 0x1 | 0x10;

/// A socket that something comes to when an interface or an IPv4 address of this network namespace
/// has changed (`AF_NETLINK`, no privilege needed); non-blocking.
///
/// It comes as a `UdpSocket` for that type's safe `recv`. What is received says that something changed,
/// and so does an error: `ENOBUFS` is the kernel's word for changes that it could not keep. Neither is
/// worth reading: [`crate::interfaces`] has the whole truth.
pub fn changes() -> io::Result<UdpSocket> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    // No protocol is NETLINK_ROUTE.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
    bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
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
