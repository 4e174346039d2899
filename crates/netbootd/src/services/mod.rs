//! One module for each protocol: sockets, and the order in which things happen. What to answer is
//! decided in the protocol crates.

pub mod dhcp;
pub mod dns;
pub mod http;
pub mod nfs;
pub mod router_advertisement;
pub mod tftp;
