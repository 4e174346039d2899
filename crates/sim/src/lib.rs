//! The clients' side of a network boot: what EDK2, iPXE and a PXE ROM make of the answers that they hear.
//!
//! The rules are those of their sources (EDK2's `PxeBcDhcp4.c` and `HttpBootDhcp4.c`, iPXE's `dhcp.c`) and of PXE 2.1,
//! written down a second time and from the other side: this crate shares no code with the server that it judges. It is
//! the oracle of the property tests in `tests/`, and what `netbootd simulate` plays.
//!
//! [`play`] holds the whole conversation of one [`Machine`] over a [`Network`], which carries its packets and brings all
//! answers; nothing here opens a socket or waits.
#![forbid(unsafe_code)]

mod edk2;
mod ipxe;
mod machine;
mod neighbour;
mod play;
mod reply;
mod rom;

pub use machine::{Machine, Rules};
pub use neighbour::neighbour;
pub use play::{Boot, Line, Network, Story, play};
pub use reply::Reply;
