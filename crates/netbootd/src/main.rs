//! netbootd: one daemon that boots diskless clients, and the commands around it.
#![forbid(unsafe_code)]
#![allow(
    unreachable_pub,
    reason = "a program has no API: `pub` marks the door of a module"
)]

mod bind;
mod cli;
mod control;
mod daemon;
mod export;
mod images;
mod leases;
mod links;
mod loaders;
mod names;
mod overlay;
mod run;
mod serve_link;
mod services;

use clap::Parser;

fn main() -> std::process::ExitCode {
    match cli::Cli::parse().run() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("netbootd: {error:#}");
            std::process::ExitCode::from(2)
        }
    }
}
