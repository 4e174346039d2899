//! DNS for a lab: the clients' names answered from a snapshot, everything else by a policy.
//!
//! [`answer`] takes the bytes of a query and decides: a finished reply, a question to pass to an
//! upstream, or nothing. It is a pure function of the query, where it came from, the [`Zone`] and the
//! [`Policy`]; it opens no socket, waits for nothing, and keeps nothing between two queries. The shell
//! sends [`Decision::Reply`] as it is, and asks its resolver about [`Decision::Forward`], which carries
//! all that is needed to build the final answer.
//!
//! ```text
//! bytes ──► query (bounded decode) ──► answer ──► reply (encode, truncate)
//!                                        │  ▲
//!                                        │  └── zone: names of the lab (hash lookups, both ways)
//!                                        └───── special: names that never leave this machine
//! ```
//!
//! What holds whatever arrives: nothing malformed is forwarded; no reply is longer than the asker can
//! take; no source outside of the served networks gets an answer; no panic, and no allocation by a
//! length that a packet claims.
//!
//! Not here: DNSSEC validation (data passes as the upstream gave it), zone transfers, dynamic update,
//! and any client-supplied subnet (ECS is ignored, so it cannot change who may ask).
#![forbid(unsafe_code)]

mod answer;
mod keys;
mod policy;
mod query;
mod reply;
mod reverse;
mod special;
mod zone;

pub use answer::{Decision, Discard, Forward, answer};
pub use policy::{Policy, Transport};
pub use zone::Zone;

/// Largest UDP payload that we send or ask for, in bytes (DNS Flag Day 2020: no fragments).
pub const MAX_UDP: u16 = 1232;

/// Seconds that an address or a name of the lab may be cached: leases come and go.
pub const TTL: u32 = 60;

/// Seconds that the absence of a name may be cached (RFC 2308 section 5): a client that is just being
/// switched on must be found soon.
pub const NEGATIVE_TTL: u32 = 15;

#[cfg(test)]
mod tests;
