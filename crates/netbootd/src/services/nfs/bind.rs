//! The sockets that NFS clients look for.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};

use tokio::net::{TcpListener, UdpSocket};

/// The port mapper's.
const PORT_MAPPER: u16 = 111;
/// Where klibc's `nfsmount` looks for MOUNT when the port mapper does not tell.
const KLIBC_MOUNT: u16 = 627;

/// What [`serve`](super::serve) listens on.
#[derive(Debug)]
pub struct Sockets {
    /// NFS's own port first, then 111 and 627 if they were free.
    pub listeners: Vec<TcpListener>,
    /// Port 111, if it was free.
    pub udp: Option<UdpSocket>,
    /// Ports that could not be had, one sentence each; clients that are told the ports do without.
    pub warnings: Vec<String>,
}

/// Binds the served address. Only NFS's own port must be free.
///
/// Must be called on a tokio runtime.
pub fn bind(address: Ipv4Addr, port: u16, port_mapper: bool) -> io::Result<Sockets> {
    let mut sockets = Sockets {
        listeners: vec![listener(address, port)?],
        udp: None,
        warnings: Vec::new(),
    };
    if port_mapper {
        let udp = net::bind_udp(SocketAddrV4::new(address, PORT_MAPPER));
        match udp.and_then(UdpSocket::from_std) {
            Ok(udp) => sockets.udp = Some(udp),
            Err(error) => sockets.warn("UDP", address, PORT_MAPPER, &error),
        }
        for extra in [PORT_MAPPER, KLIBC_MOUNT] {
            match listener(address, extra) {
                Ok(listener) => sockets.listeners.push(listener),
                Err(error) => sockets.warn("TCP", address, extra, &error),
            }
        }
    }
    Ok(sockets)
}

fn listener(address: Ipv4Addr, port: u16) -> io::Result<TcpListener> {
    TcpListener::from_std(net::bind_tcp(SocketAddrV4::new(address, port))?)
}

impl Sockets {
    fn warn(&mut self, protocol: &str, address: Ipv4Addr, port: u16, error: &io::Error) {
        let needed_by = if port == PORT_MAPPER {
            "clients that ask a port mapper (initramfs-tools, plain mount)"
        } else {
            "klibc's fall-back for MOUNT"
        };
        self.warnings.push(format!(
            "cannot listen on {protocol} {address}:{port}, used by {needed_by}: {error}"
        ));
    }
}
