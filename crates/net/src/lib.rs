//! Sockets as the daemon needs them, and what the system knows about interfaces and ports.
//!
//! The only crate of the daemon with `unsafe`: the few system calls that safe wrappers lack are in
//! [`sys`], each with the reason why it is sound. It knows no protocol.

mod changes;
mod interface;
mod many;
mod neighbour;
mod port;
mod router;
mod sys;
mod udp;

pub use changes::{changes, rule_changes};
pub use interface::{Interface, interfaces};
pub use many::{Received, send_many};
pub use neighbour::neighbour;
pub use port::{Holder, Protocol, holder};
pub use router::router_socket;
pub use sys::{arp_socket, frame_socket, return_freed_memory};
pub use udp::{Segments, bind_device_udp, bind_tcp, bind_udp};
