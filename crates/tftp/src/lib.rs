//! Trivial File Transfer Protocol, server side, as packets and a state machine.
//!
//! TFTP exists here for firmware that knows nothing else: it fetches one loader, and everything
//! after that goes over HTTP. So this crate only serves reads.
//!
//! * [`Request`] decodes what arrives on port 69 (RFC 1350, options by RFC 2347).
//! * [`Transfer`] is one file on its way to one client (RFC 1350, 2348, 2349, 7440): feed it packets
//!   and the time, take datagrams out of it.
//! * [`path::confined`] turns a firmware's idea of a file name into one that cannot leave a folder.
//!
//! It opens no socket and reads no file: bytes come from a [`FileSource`], time is an argument.
#![forbid(unsafe_code)]

mod error;
mod options;
mod packet;
pub mod path;
mod transfer;

pub use error::{Discard, ErrorCode, error_packet};
pub use options::{Limits, Options};
pub use packet::{Mode, Request};
pub use transfer::{FileSource, Outcome, Transfer, Transmit};
