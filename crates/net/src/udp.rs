//! Sockets with the options that a netboot server needs.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

/// A UDP socket at one of our addresses. Receive buffers are made large enough for a room of
/// machines that are switched on at once.
pub fn bind_udp(address: SocketAddrV4) -> io::Result<UdpSocket> {
    let socket = udp()?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// A UDP socket at `0.0.0.0:port` that hears and sends on one interface only, broadcasts included
/// (`SO_BINDTODEVICE`; no privilege needed since Linux 5.7).
///
/// `SO_REUSEADDR` lets one such socket for each interface share the port.
pub fn bind_device_udp(device: &str, port: u16) -> io::Result<UdpSocket> {
    let socket = udp()?;
    socket.set_reuse_address(true)?;
    socket.set_broadcast(true)?;
    socket.bind_device(Some(device.as_bytes()))?;
    socket.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port).into())?;
    Ok(socket.into())
}

fn udp() -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    // The kernel clamps this to net.core.rmem_max; what it gives is enough.
    socket.set_recv_buffer_size(1 << 20)?;
    Ok(socket)
}

/// A listening TCP socket at one of our addresses, non-blocking, which a restarted daemon can bind
/// while connections of the old one linger.
pub fn bind_tcp(address: SocketAddrV4) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(1024)?;
    Ok(socket.into())
}

/// Sends `bytes` on a connected socket as datagrams of `segment` bytes, the last one shorter; one
/// system call each, for sockets without segmentation offload.
pub fn send_segments(socket: &UdpSocket, bytes: &[u8], segment: usize) -> io::Result<()> {
    bytes
        .chunks(segment.max(1))
        .try_for_each(|datagram| socket.send(datagram).map(drop))
}
