//! Every task of this repository, as `cargo xtask TASK`; one file each, this one is the list.
//!
//! xtask runs everything and imports nothing of the product: it starts `cargo`, the built programs
//! and Debian's tools. Of ours it uses `integration` only, whose lab the boots run in.

#![forbid(unsafe_code)]

mod bench;
mod boot;
mod build;
mod check;
mod command;
mod demo;
mod fuzz;
mod lab;
mod layers;
mod no_services;
mod packages;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The tasks of the netbootd repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// What a reviewer would say, before the reviewer: formatting, clippy without warnings, tidy
    Check,
    /// Runs every crate's tests, and as root the lab's too; ends with the runner's summary
    Test(test::Arguments),
    /// Holds the repository to its own rules: layers, unsafe code, README files
    Tidy,
    /// Runs one test of the lab by name, with the guest's console shown
    Lab(lab::Arguments),
    /// Boots a virtual machine from netbootd to its login prompt and prints the timeline
    Boot(boot::Arguments),
    /// Measures netbootd beside its peers and prints a row for each figure
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Throws changed inputs at one of the parsers for as long as one likes
    Fuzz(fuzz::Arguments),
    /// From nothing to a diskless machine's login prompt: the README's first command
    Demo(demo::Arguments),
    /// Installs the Debian packages that the labs need, and nothing that is there already
    Install(packages::Arguments),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().task {
        Task::Check => check::all(),
        Task::Test(arguments) => test::all(&arguments),
        Task::Tidy => tidy::run(),
        Task::Lab(arguments) => lab::one(&arguments),
        Task::Boot(arguments) => boot::machine(&arguments),
        Task::Bench(bench) => bench::run(&bench),
        Task::Fuzz(arguments) => fuzz::target(&arguments),
        Task::Demo(arguments) => demo::all(&arguments),
        Task::Install(arguments) => packages::all(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
