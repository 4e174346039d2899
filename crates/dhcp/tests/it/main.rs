//! What the server promises, seen from outside: one program, one harness (`lab`), a file per theme.
#![allow(unreachable_pub, reason = "a test program has no outside")]

mod bad_inputs;
mod bootp;
mod conflicts;
mod conversations;
mod durability;
mod firmware;
mod identity;
mod lab;
mod names;
mod operator;
mod options;
mod probe;
mod properties;
mod relays;
mod reservations;
mod rules;
mod scale;
