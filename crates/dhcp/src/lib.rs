//! DHCPv4 and PXE as decisions: a datagram and the time go in; what to store, what to send and what
//! to tell comes out.
//!
//! This crate opens no socket, writes no file, reads no clock and starts no thread. It knows nothing
//! of images, loaders or scripts either: what a client boots is asked of a [`BootPolicy`]. The three
//! types to know are [`Server`] (the state), [`Answer`] (its decision about one packet) and
//! [`Lease`] (what must outlive the process).
//!
//! # The contract with the shell
//!
//! ```text
//! Received ──► Server::handle ──► Err(Discard)        count it
//!                             ──► Answer::Done(done)  send done.reply, tell done.events
//!                             ──► Answer::Pending(p)  store p.changes(), then
//!                                   stored:  Server::commit(p) ──► done
//!                                   failed:  Server::abort(p)  ──► done
//! ```
//!
//! An acknowledgement cannot be had before its lease is stored: it is inside the [`Pending`]. Many
//! may wait for one fsync; meanwhile the server goes on, and no waiting address is given twice.
//!
//! # Reading and writing
//!
//! Bytes become a `Request` in one place (`request`), by our own checks of the fixed header and
//! dhcproto's raw option iterator over the rest; after that nothing can be out of bounds. A `Reply`
//! is put together by small functions (`contributors`) and encoded with dhcproto's types in the order
//! of importance, option 53 first and option 82 last, padded to 300 bytes.
//!
//! # Where we stray from the RFCs, and why
//!
//! * We never ping an address before offering it (RFC 2131 section 2.2 says SHOULD): it costs every
//!   boot a second or three. Addresses are asked for in the background, before anybody wants one
//!   ([`conflict`]). Clients look themselves and decline; then nobody gets the address for an hour.
//! * The client identifier alone does not identify (section 4.2 says it does): see [`ClientKey`].
//! * An unknown client in INIT-REBOOT or RENEWING keeps an address that is free (section 4.3.2 wants
//!   silence, for the sake of other servers): we are authoritative or a proxy.
//! * Firmware without an address is always answered by broadcast: see [`Destination`].
#![forbid(unsafe_code)]

mod answer;
mod book;
mod bootp;
mod client_id;
pub mod conflict;
mod context;
mod contributors;
mod destination;
mod discard;
mod event;
mod flood;
mod frame;
mod free_set;
mod full;
mod hostname;
mod in_doubt;
mod lease;
mod link;
mod offers;
mod operator;
mod option_code;
mod options;
mod policy;
mod pool;
pub mod probe;
mod proxy;
mod pxe;
mod recognition;
mod relay;
mod reply;
mod request;
mod server;

pub use answer::{Answer, Done, Pending, Transmit};
pub use client_id::ClientKey;
pub use destination::Destination;
pub use discard::Discard;
pub use event::{Event, EventKind};
pub use frame::frame;
pub use lease::{BindingState, Lease, LeaseChange};
pub use link::{Config, Link, LinkId, Mode, Reservation, Subnet};
pub use operator::Refusal;
pub use policy::{BootFile, BootPolicy, ClientInfo, IpxeFeatures, Telling};
pub use server::{Now, Received, Server, Stats};
