//! The two ends of a connection, as far as answers depend on them.

use std::net::SocketAddr;

/// Where a call came from and where it arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The client's address and port. Any port will do: a NAT or a virtual machine has no reserved one.
    pub peer: SocketAddr,
    /// Our own address, as the client reached it; rpcbind's universal addresses are made from it.
    pub local: SocketAddr,
    /// What carries the call.
    pub transport: Transport,
    /// Where our programs listen.
    pub ports: Ports,
}

/// What carries a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A stream of records; replies carry a record mark, and every program answers.
    Tcp,
    /// One datagram per message, without a mark; only the port mapper answers, and only briefly.
    Udp,
}

/// TCP ports that the port mapper tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// Of NFS, usually 2049.
    pub nfs: u16,
    /// Of MOUNT, usually the same.
    pub mount: u16,
}
