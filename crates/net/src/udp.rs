//! Sockets with the options that a netboot server needs.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

use crate::sys::set_segment_size;

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

/// A connected UDP socket that sends many datagrams of one size by one system call, where the kernel
/// can (UDP segmentation offload, udp(7) `UDP_SEGMENT`), and by one call each where it cannot.
#[derive(Debug)]
pub struct Segments {
    socket: UdpSocket,
    /// Bytes of each datagram but the last.
    size: usize,
    offload: bool,
}

impl Segments {
    /// For datagrams of `size` bytes.
    pub fn new(socket: UdpSocket, size: u16) -> Self {
        let offload = set_segment_size(&socket, size).is_ok();
        Self {
            socket,
            size: usize::from(size).max(1),
            offload,
        }
    }

    /// The socket, to receive from.
    pub fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// Sends `bytes`. What the socket has no room for is lost, as it may be on any wire.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.offload && bytes.len() > self.size {
            match self.socket.send(bytes) {
                // A route or a card that cannot: no checksums (EIO), a smaller MTU, an option of the
                // socket. The kernel says so before anything is sent.
                Err(error) if refuses_segments(&error) => {
                    set_segment_size(&self.socket, 0)?;
                    self.offload = false;
                }
                sent => return lost_if_full(sent),
            }
        }
        bytes
            .chunks(self.size)
            .try_for_each(|datagram| lost_if_full(self.socket.send(datagram)))
    }
}

fn refuses_segments(error: &io::Error) -> bool {
    let code = error.raw_os_error().unwrap_or_default();
    [libc::EIO, libc::EINVAL, libc::EMSGSIZE].contains(&code)
}

fn lost_if_full(sent: io::Result<usize>) -> io::Result<()> {
    match sent {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        sent => sent.map(drop),
    }
}
