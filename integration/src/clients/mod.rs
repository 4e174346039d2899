//! Clients that nobody here wrote, as the tests use them.

pub mod dhcp;
pub mod dns;
pub mod http;
pub mod kernel;
pub mod nfs;
pub mod rpc;
pub mod tftp;
