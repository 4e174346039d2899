//! The command line.

mod apply;
mod check;
mod client;
mod explain;
mod image;
mod import;
mod leases;
mod next;
mod quiet;
mod root;
mod runs;
mod simulate;
mod ssh;
mod status;
mod why;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use config::{LoadOptions, Loaded};

/// Where the configuration is when nobody says otherwise.
const DEFAULT_CONFIG: &str = "/etc/netbootd/netbootd.toml";

/// Boots a room of workstations into Linux over the network and leaves their disks alone.
#[derive(Debug, Parser)]
#[command(
    name = "netbootd",
    version,
    after_help = "Without a command, netbootd serves what the configuration says."
)]
pub struct Cli {
    /// The configuration file [default: /etc/netbootd/netbootd.toml, if it exists]
    #[arg(long, short, global = true, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Overrides one setting, for example --set interfaces.br0.mode=full
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    settings: Vec<String>,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves what the configuration says (what netbootd does without a command)
    Serve,
    /// Reads the configuration and says what would be served where; fails on configuration errors
    Check,
    /// Builds, lists and inspects images; needs no running daemon
    Image(image::ImageCommand),
    /// Shows every client's boot
    Status(status::StatusCommand),
    /// Shows what is configured for one machine
    Client(explain::ClientCommand),
    /// Says what one machine boots with its next start
    BootNext(next::BootNextCommand),
    /// Switches a machine on over the network
    Wake(next::WakeCommand),
    Reboot(next::RebootCommand),
    /// Lists the runs that machines have measured
    Runs(runs::RunsCommand),
    /// Says that a machine boots once more what a measured run was made with
    BootAgain(runs::BootAgainCommand),
    /// Measures a run on a machine
    Quiet(quiet::QuietCommand),
    /// Brings users, groups, keys and overlay files to machines that run
    Apply(apply::ApplyCommand),
    /// Shows the DHCP leases
    Leases(leases::LeasesCommand),
    /// Tells one client's latest boot step by step, and what it waited for
    Why(why::WhyCommand),
    /// Plays a machine's boot against this configuration, packet by packet, without a network
    Simulate(simulate::SimulateCommand),
    /// Says what makes ssh trust the clients
    Ssh(ssh::SshCommand),
    /// Tells this machine's systemd-resolved of the clients' names, as long as it runs; netbootd-resolved.service runs it
    TellResolved,
    /// Makes a configuration of what an LTSP server has, and says what became of each line of it
    ImportLtsp(import::ImportLtspCommand),
}

impl Cli {
    /// Does what was asked. The code is that of the command on the client, where one was run.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        // It makes a configuration; one that is there does not matter.
        if let Some(Command::ImportLtsp(command)) = &self.command {
            return import::run(command).map(|()| ExitCode::SUCCESS);
        }
        let file = match &self.config {
            Some(file) => Some(file.clone()),
            None => Some(PathBuf::from(DEFAULT_CONFIG)).filter(|file| file.exists()),
        };
        let options = LoadOptions {
            file: file.clone(),
            env: std::env::vars()
                .filter(|(name, _)| name.starts_with("NETBOOTD_"))
                .collect(),
            overrides: settings(&self.settings)?,
        };
        let command = self.command.unwrap_or(Command::Serve);
        let loaded = match config::load(options) {
            Ok(loaded) => loaded,
            Err(diagnostics) => {
                eprintln!("{diagnostics}");
                anyhow::bail!("the configuration{} has errors", of(file.as_deref()));
            }
        };
        let done = match command {
            Command::Quiet(command) => {
                return quiet::run(&command, &loaded.config).map(ExitCode::from);
            }
            Command::Serve => {
                need_interfaces(&loaded)?;
                crate::run::run(loaded)
            }
            Command::TellResolved => crate::run::tell_resolved(&loaded.config),
            Command::Check => check::run(&loaded, file.as_deref()),
            Command::Image(command) => image::run(command, &loaded.config),
            Command::Status(command) => status::run(&command, &loaded.config.control_socket),
            Command::Client(command) => explain::run(&command, &loaded),
            Command::BootNext(command) => next::run(&command, &loaded.config.control_socket),
            Command::Reboot(command) => next::run_reboot(&command, &loaded.config.control_socket),
            Command::Wake(command) => next::run_wake(&command, &loaded.config.control_socket),
            Command::Runs(command) => runs::run(&command, &loaded.config.control_socket),
            Command::BootAgain(command) => runs::run_again(&command, &loaded.config.control_socket),
            Command::Apply(command) => apply::run(&command, &loaded.config.control_socket),
            Command::Leases(command) => leases::run(&command, &loaded.config.control_socket),
            Command::Why(command) => why::run(&command, &loaded.config.control_socket),
            Command::Simulate(command) => simulate::run(&command, loaded),
            Command::Ssh(command) => ssh::run(&command, &loaded.config.control_socket),
            Command::ImportLtsp(command) => import::run(&command),
        };
        done.map(|()| ExitCode::SUCCESS)
    }
}

fn of(file: Option<&Path>) -> String {
    file.map(|file| format!(" {}", file.display()))
        .unwrap_or_default()
}

fn settings(words: &[String]) -> anyhow::Result<Vec<(String, String)>> {
    let split = |word: &String| {
        let (key, value) = word
            .split_once('=')
            .with_context(|| format!("--set {word}: write KEY=VALUE"))?;
        Ok((key.to_owned(), value.to_owned()))
    };
    words.iter().map(split).collect()
}

/// A daemon without an interface would serve nothing for ever: say what to write.
fn need_interfaces(loaded: &Loaded) -> anyhow::Result<()> {
    if !loaded.config.interfaces.is_empty() {
        return Ok(());
    }
    let names = net::interfaces().map(|found| {
        found
            .into_keys()
            .filter(|name| name != "lo")
            .collect::<Vec<_>>()
            .join(", ")
    });
    let names = names.unwrap_or_default();
    anyhow::bail!(
        "no interface is configured, so there is nothing to serve. Write one line for the network \
         card that the workstations are on, for example:\n\n    [interfaces.{}]\n\n\
         (this machine has: {names}) into {DEFAULT_CONFIG}, or into a file named with --config",
        names
            .split(", ")
            .next()
            .filter(|name| !name.is_empty())
            .unwrap_or("enp1s0")
    )
}
