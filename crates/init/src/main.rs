//! The program that brings a client from its kernel to its image's own init, and stays with it.
//!
//! It is one static file with two faces. As process 1 it is `/init` of the initrd: it loads
//! modules, brings up the network card that booted, mounts the image's root read-only with a
//! tmpfs over it, unpacks what the server renders for this client, and hands over. As
//! `/run/netbootd/client` it reports that the machine runs, keeps its lease, and shows what it was booted from.
//!
//! ```text
//! mount ─ modules ─ network ─┬─ mount root ──┬─ overlay ─ host keys ─ switch_root
//!    (file systems beside it) └─ fetch overlay ┘
//! ```
//!
//! What it never does: touch a disk or another network card, end in a shell, restart without
//! saying so, write a word of the boot token where a user can read it.

mod alias;
mod apply;
mod ask;
mod boot;
mod client;
mod console;
mod cpio;
mod damage;
mod dhcp;
mod download;
mod firmware_key;
mod homes;
mod host_key;
mod http;
mod lease;
mod login;
mod loop_device;
mod machine;
mod modules;
mod mount;
mod netlink;
mod network;
mod overlay;
mod pam;
mod people;
mod quiet;
mod report;
mod retry;
mod running;
mod secure_boot;
mod sshd;
mod switch_root;
mod sys;
mod uevent;
mod unpack;
mod verity;
mod zram;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    if std::process::id() == 1 {
        boot::run();
    }
    if let Some(told) = login::askpass() {
        return if told.is_ok() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        };
    }
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    if let [face, root, program, arguments @ ..] = words.as_slice()
        && face == "in-root"
    {
        let error = switch_root::run_inside(Path::new(root), program, arguments);
        eprintln!("{}: {error}", program.display());
        return ExitCode::FAILURE;
    }
    let mut words: Vec<String> = words
        .iter()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    if words.first().is_some_and(|word| word == "client") {
        words.remove(0);
    }
    client::run(&words)
}
