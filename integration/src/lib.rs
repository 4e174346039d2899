//! The lab: a network in which real clients boot from a real server, and the tests' one door to it.
//!
//! What runs here knows the wire and none of our Rust interfaces: of our crates it imports nothing,
//! it starts the built program and judges it with clients that nobody here wrote. Which server is
//! judged is chosen at run time (`SUBJECT=netbootd`, the default, or `SUBJECT=peer`: dnsmasq,
//! nfs-ganesha and busybox in its place), so that the tests themselves can be proven.
//!
//! ```text
//! test ──► in_lab ──► Lab ─┬─ Namespace   server: br0 192.168.67.1/24, the subject's home
//!                          ├─ Namespace   a client on the link, for real tools (dhclient, dig, curl)
//!                          ├─ Machine     a diskless QEMU guest on a tap; its Console is read
//!                          └─ Capture     what was on the link, kept when a test fails
//! ```
//!
//! Namespaces have no names: each is held by a process that ends everything inside once we are gone,
//! and the kernel takes the interfaces with it. So nothing is left behind by a panic, by Ctrl-C, or
//! by `kill -9`.

#![forbid(unsafe_code)]

pub mod boot;
pub mod clients;
mod console;
pub mod disk;
pub mod dnsmasq;
mod door;
mod lab;
mod machine;
mod namespace;
mod neighbour;
mod people;
mod person;
pub mod place;
mod process;
pub mod room;
pub mod roots;
mod slot;
pub mod subject;
mod wire;

pub use console::Console;
pub use door::{in_lab, in_lab_with_small};
pub use lab::{Client, Lab};
pub use machine::{Card, Firmware, Machine};
pub use namespace::Namespace;
pub use neighbour::Neighbour;
pub use people::People;
pub use person::{Person, keygen};
pub use process::{Process, Ran, ran, succeed, until};
pub use subject::{Mode, RootKind, Server, Setup};
