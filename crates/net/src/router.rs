//! The ICMPv6 socket on which router solicitations are heard and answered (RFC 4861).

use std::io;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::{AsFd, BorrowedFd};

use socket2::{Domain, Protocol, Socket, Type};

/// All routers on the link: where solicitations are sent.
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// A raw ICMPv6 socket on one interface. Needs `CAP_NET_RAW`.
pub struct RouterSocket {
    socket: Socket,
    index: u32,
}

impl RouterSocket {
    /// Opens the socket, non-blocking, and joins the group of all routers.
    pub fn open(device: &str, index: u32) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))?;
        socket.set_nonblocking(true)?;
        socket.bind_device(Some(device.as_bytes()))?;
        // Receivers drop neighbour discovery messages with any other hop limit (RFC 4861 6.1.2).
        socket.set_unicast_hops_v6(255)?;
        socket.set_multicast_hops_v6(255)?;
        socket.join_multicast_v6(&ALL_ROUTERS, index)?;
        Ok(Self { socket, index })
    }

    /// Receives one ICMPv6 message and its sender's address.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, Ipv6Addr)> {
        let (length, _, from) =
            rustix::net::recvfrom(&self.socket, buffer, rustix::net::RecvFlags::empty())?;
        let from = from.and_then(|from| SocketAddrV6::try_from(from).ok());
        Ok((
            length,
            from.map_or(Ipv6Addr::UNSPECIFIED, |from| *from.ip()),
        ))
    }

    /// Sends a message; the kernel fills in the ICMPv6 checksum.
    pub fn send(&self, message: &[u8], to: Ipv6Addr) -> io::Result<()> {
        self.socket
            .send_to(message, &SocketAddrV6::new(to, 0, 0, self.index).into())
            .map(drop)
    }
}

impl AsFd for RouterSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
