//! The ports of one link: bound before anything answers, and whoever has one of them is named.

use std::net::{Ipv4Addr, SocketAddrV4};

use anyhow::bail;
use config::Mode;
use net::Protocol;
use tokio::net::TcpListener;
use tracing::{info, warn};

use crate::links::{Link, at};
use crate::services::nfs;

/// HTTP's port when 80 is taken.
const OTHER_HTTP_PORT: u16 = 8067;

/// An error that says which port, whose it is, and what to do.
pub fn taken(
    service: &str,
    protocol: Protocol,
    address: SocketAddrV4,
    error: &std::io::Error,
) -> anyhow::Error {
    let holder = net::holder(protocol, *address.ip(), address.port());
    match (error.kind(), holder) {
        (std::io::ErrorKind::AddrInUse, Some(holder)) => anyhow::anyhow!(
            "{service} needs {protocol} {address}, which {holder} has: stop that, or configure {service} to another port"
        ),
        (std::io::ErrorKind::PermissionDenied, _) => anyhow::anyhow!(
            "{service} needs {protocol} {address}, which only root or a process with CAP_NET_BIND_SERVICE may open"
        ),
        _ => anyhow::anyhow!("{service} cannot open {protocol} {address}: {error}"),
    }
}

/// HTTP's listener and its port: the operator's, or 80, or another when that is taken.
pub fn http(link: &Link, wanted: Option<u16>) -> anyhow::Result<(TcpListener, u16)> {
    let bind = |port| net::bind_tcp(at(link, port));
    let explain =
        |port, error: &std::io::Error| taken("HTTP", Protocol::Tcp, at(link, port), error);
    let (listener, port) = match wanted {
        Some(port) => (bind(port).map_err(|error| explain(port, &error))?, port),
        None => match bind(80) {
            Ok(listener) => (listener, 80),
            Err(error) => {
                let explained = explain(80, &error);
                let listener =
                    bind(OTHER_HTTP_PORT).map_err(|error| explain(OTHER_HTTP_PORT, &error))?;
                info!("{explained}; port {OTHER_HTTP_PORT} serves instead");
                (listener, OTHER_HTTP_PORT)
            }
        },
    };
    Ok((TcpListener::from_std(listener)?, port))
}

/// Ports 67 and 4011 of the link's interface.
pub fn dhcp(
    link: &Link,
    mode: dhcp::Mode,
    wanted: Mode,
) -> anyhow::Result<[std::net::UdpSocket; 2]> {
    if let Some(holder) = net::holder(Protocol::Udp, Ipv4Addr::UNSPECIFIED, 67)
        && holder
            .process
            .as_ref()
            .is_none_or(|(pid, _)| *pid != std::process::id())
    {
        // Two servers on one port of one machine both hear a broadcast, and take each other's unicasts.
        let advice = "stop it, or keep it off this interface";
        if mode == dhcp::Mode::Full && wanted == Mode::Full {
            bail!("DHCP needs UDP port 67, which {holder} has: {advice}");
        }
        warn!(
            interface = link.name,
            "{holder} has UDP port 67 too; {advice}"
        );
    }
    let bind = |port| {
        let address = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port);
        net::bind_device_udp(&link.name, port)
            .map_err(|error| taken("DHCP", Protocol::Udp, address, &error))
    };
    Ok([bind(67)?, bind(4011)?])
}

/// DNS is on in full mode unless the operator says otherwise; a taken port is fatal only when DNS
/// was asked for by name.
pub fn dns(
    link: &Link,
    wanted: Option<bool>,
    mode: dhcp::Mode,
) -> anyhow::Result<Option<(std::net::UdpSocket, std::net::TcpListener)>> {
    if !wanted.unwrap_or(mode == dhcp::Mode::Full) {
        return Ok(None);
    }
    let address = at(link, 53);
    let bound = net::bind_udp(address)
        .map_err(|error| taken("DNS", Protocol::Udp, address, &error))
        .and_then(|udp| {
            let tcp = net::bind_tcp(address)
                .map_err(|error| taken("DNS", Protocol::Tcp, address, &error))?;
            Ok((udp, tcp))
        });
    match bound {
        Ok(sockets) => Ok(Some(sockets)),
        Err(error) if wanted == Some(true) => Err(error),
        Err(error) => {
            warn!(
                interface = link.name,
                "{error:#}; clients are told no DNS server of ours"
            );
            Ok(None)
        }
    }
}

/// One port answers NFS, MOUNT and the port mapper. Ports 111 and 627 are for clients that know no
/// better, and are a warning when somebody else has them.
pub fn nfs(link: &Link, config: &config::Nfs) -> anyhow::Result<nfs::Sockets> {
    let sockets = nfs::bind(link.address, config.port, config.portmap)
        .map_err(|error| taken("NFS", Protocol::Tcp, at(link, config.port), &error))?;
    sockets
        .warnings
        .iter()
        .for_each(|warning| warn!(interface = link.name, "{warning}"));
    Ok(sockets)
}
