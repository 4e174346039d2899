//! The ICMPv6 socket on which router solicitations are heard and answered (RFC 4861).

use std::io;
use std::net::{Ipv6Addr, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

/// All routers on the link: where solicitations are sent.
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// A raw ICMPv6 socket on one interface, non-blocking, in the group of all routers. Needs
/// `CAP_NET_RAW`.
///
/// It comes as a `UdpSocket` for that type's safe datagram calls: what is received begins with the
/// ICMPv6 header, ports are 0, and the kernel fills in the checksum of what is sent.
pub fn router_socket(device: &str, index: u32) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))?;
    socket.set_nonblocking(true)?;
    socket.bind_device(Some(device.as_bytes()))?;
    // Receivers drop neighbour discovery messages with any other hop limit (RFC 4861 6.1.2).
    socket.set_unicast_hops_v6(255)?;
    socket.set_multicast_hops_v6(255)?;
    socket.join_multicast_v6(&ALL_ROUTERS, index)?;
    Ok(socket.into())
}
