//! netbootd: one daemon that boots diskless clients, and the commands around it.
#![forbid(unsafe_code)]
#![allow(
    unreachable_pub,
    reason = "a program has no API: `pub` marks the door of a module"
)]

mod bind;
mod boots;
mod cli;
mod conflicts;
mod control;
mod daemon;
mod damage;
mod export;
mod find;
mod firmware;
mod follow;
mod foreign;
mod grub;
mod identity;
mod images;
mod import;
mod initrd;
mod lease_file;
mod lease_orders;
mod leases;
mod links;
mod loaders;
mod names;
mod nat;
mod orders;
mod overlay;
mod packets;
mod people;
mod power;
mod program;
mod recognised;
mod resolved;
mod run;
mod running;
mod runs;
mod serve_link;
mod services;
mod slice;
mod tickets;
mod why;

use clap::Parser;

fn main() -> std::process::ExitCode {
    match cli::Cli::parse().run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("netbootd: {}", told(&error));
            std::process::ExitCode::from(2)
        }
    }
}

/// An error with its causes, each said once: many errors name their cause in their own sentence.
fn told(error: &anyhow::Error) -> String {
    error
        .chain()
        .map(ToString::to_string)
        .fold(String::new(), |said, cause| {
            if said.contains(&cause) {
                said
            } else if said.is_empty() {
                cause
            } else {
                format!("{said}: {cause}")
            }
        })
}

#[cfg(test)]
mod tests {
    use super::told;

    #[test]
    fn a_cause_is_said_once() {
        let error = anyhow::anyhow!("disk full").context("cannot write x: disk full");
        assert_eq!(
            told(&error.context("image demo")),
            "image demo: cannot write x: disk full"
        );
    }
}
