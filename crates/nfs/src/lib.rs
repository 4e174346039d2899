//! A read-only NFSv3 server as a pure function: one call in, one reply out.
//!
//! ```text
//!   bytes ──► rpc::Records ──► rpc::Call ──► serve ──► portmap · rpcbind · mount · nfs3
//!   (shell)   record marking   header, auth   routes        │
//!   bytes ◄──────────────── caller's reply buffer ◄─────────┘──► ReadOnlyFs (upper layers)
//! ```
//!
//! [`Records`] cuts a TCP stream into RPC records (RFC 5531 section 11), [`serve()`] answers one record
//! by asking a [`ReadOnlyFs`], and appends the reply, record mark included, to a buffer that the
//! caller owns and reuses: answering GETATTR, ACCESS, LOOKUP or READ allocates nothing here.
//! A READ of a plain image file comes back as [`Body::Range`], so that the shell can send the bytes
//! from the page cache; a READ of anything else is appended in place by [`ReadOnlyFs::read`].
//!
//! The crate knows nothing of sockets, files, clocks, squashfs, or what was answered before: every
//! procedure of a read-only export may be repeated, so a retransmission is simply answered again.
//! Whatever a peer sends, it never panics, never allocates by a claimed length, and a reply is at
//! most [`MAX_REPLY`] bytes. What does not deserve an answer is a [`Discard`].
#![forbid(unsafe_code)]

mod endpoint;
mod fs;
#[cfg(test)]
mod fuzzing;
mod handle;
mod mount;
mod nfs3;
mod portmap;
mod rpc;
mod rpcbind;
mod serve;
#[cfg(test)]
mod testing;
mod xdr;

pub use endpoint::{Endpoint, Ports, Transport};
pub use fs::{
    Attributes, DirEntry, Export, FileKind, FileRange, FileToken, FsStat, ReadOnlyFs, Status, Time,
};
pub use handle::FileHandle;
pub use nfs3::MAX_READ;
pub use rpc::{MAX_RECORD, Records};
pub use serve::{About, Asked, Body, Discard, Event, MAX_REPLY, Procedure, Reply, serve};
