//! What the server promises, seen from outside: one program, one harness (`lab`), a file per theme.
#![allow(unreachable_pub, reason = "a test program has no outside")]

mod conversations;
mod lab;
