//! A relay with a network of its own behind it, all in one socket.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::lab::{Client, Lab};

/// A relay on the lab's link. Its network is gone when this is dropped.
#[derive(Debug)]
pub struct Relay(Client);

impl Relay {
    /// The relay's address in the network behind it, which is where the server answers to.
    pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 64, 0, 1);

    /// Puts it on the link, and tells the server the way.
    pub fn open(lab: &Lab) -> Result<Self> {
        let client = lab.client()?;
        client.set_address(Self::ADDRESS)?;
        client.route(&format!("{}/32", Lab::SERVER))?;
        let (address, bridge) = (Self::ADDRESS, Lab::BRIDGE);
        lab.server()
            .ip(&format!("route add {address} dev {bridge}"))?;
        Ok(Self(client))
    }

    /// Its socket, which waits for 2 ms when it is read.
    pub fn socket(&self) -> Result<UdpSocket> {
        let address = SocketAddrV4::new(Self::ADDRESS, 67);
        let socket = self.0.inside(|| Ok(UdpSocket::bind(address)?));
        let socket = socket.with_context(|| format!("cannot be a relay at {address}"))?;
        socket.set_read_timeout(Some(Duration::from_millis(2)))?;
        Ok(socket)
    }
}
