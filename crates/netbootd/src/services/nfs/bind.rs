//! The sockets that NFS clients look for.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};

use ::nfs::Ports;
use tokio::net::{TcpListener, UdpSocket};

use super::registration::Registration;

/// The port mapper's.
const PORT_MAPPER: u16 = 111;
/// Where klibc's `nfsmount` looks for MOUNT when the port mapper does not tell.
const KLIBC_MOUNT: u16 = 627;

/// What [`serve`](super::serve) listens on.
#[derive(Debug)]
pub struct Sockets {
    /// NFS's own port first, then 111 and 627 if they were free.
    pub listeners: Vec<TcpListener>,
    /// Who answers on port 111.
    pub port_mapper: PortMapper,
    /// Ports that could not be had, one sentence each; clients that are told the ports do without.
    pub warnings: Vec<String>,
}

/// Who tells clients our ports.
#[derive(Debug)]
pub enum PortMapper {
    /// Nobody; clients that are told the ports, as ours are, do without.
    Nobody,
    /// We do, on UDP too.
    Ours(UdpSocket),
    /// Another program on this machine, which has been told ours until this is dropped.
    Theirs(#[allow(dead_code, reason = "kept for its end")] Registration),
}

/// Binds the served address. Only NFS's own port must be free.
///
/// Must be called on a tokio runtime. Registering with another port mapper takes as long as it
/// takes to answer, and no longer than two seconds.
pub fn bind(address: Ipv4Addr, port: u16, port_mapper: bool) -> io::Result<Sockets> {
    let mut sockets = Sockets {
        listeners: vec![listener(address, port)?],
        port_mapper: PortMapper::Nobody,
        warnings: Vec::new(),
    };
    if port_mapper {
        let udp = net::bind_udp(SocketAddrV4::new(address, PORT_MAPPER));
        match udp.and_then(UdpSocket::from_std) {
            Ok(udp) => sockets.port_mapper = PortMapper::Ours(udp),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => sockets.register(port),
            Err(error) => sockets.warn("UDP", address, PORT_MAPPER, &error),
        }
        for extra in [PORT_MAPPER, KLIBC_MOUNT] {
            match listener(address, extra) {
                Ok(listener) => sockets.listeners.push(listener),
                Err(_) if extra == PORT_MAPPER && !sockets.is_port_mapper() => {}
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
    /// Somebody else answers on port 111: tells them where we are.
    fn register(&mut self, port: u16) {
        let port_mapper = SocketAddrV4::new(Ipv4Addr::LOCALHOST, PORT_MAPPER).into();
        let ports = Ports {
            nfs: port,
            mount: port,
        };
        match Registration::new(port_mapper, ports) {
            Ok(registration) => self.port_mapper = PortMapper::Theirs(registration),
            Err(error) => self.warnings.push(format!(
                "port {PORT_MAPPER} is another program's, and the port mapper on \
                 {port_mapper} does not take our ports: {error}; clients that ask it \
                 (initramfs-tools, plain mount) will not find this server"
            )),
        }
    }

    fn is_port_mapper(&self) -> bool {
        matches!(self.port_mapper, PortMapper::Ours(_))
    }

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
