//! `netbootd apply`: users, groups, keys and overlay files for machines that run.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, bail, ensure};
use boot::{ClientStatus, Outcome, RootTask};
use clap::Args;

use super::client::{get, get_bytes};
use super::root::Keys;

/// Brings users, groups, keys and overlay files to machines that run, without a reboot
#[derive(Debug, Args)]
pub struct ApplyCommand {
    /// The machines, by name, MAC or IP address [default: all that run]
    machines: Vec<String>,
}

/// Brings what is configured now to each machine, by ssh as root with a key that is good for some minutes and for
/// nothing else.
pub fn run(command: &ApplyCommand, socket: &Path) -> anyhow::Result<()> {
    let machines = match command.machines.as_slice() {
        [] => running(socket)?,
        machines => machines.to_vec(),
    };
    if machines.is_empty() {
        println!("no machine runs");
    }
    let keys = Keys::make()?;
    let mut failed = 0;
    for machine in &machines {
        if let Err(error) = bring(&keys, machine, socket) {
            eprintln!("{machine}: {error:#}");
            failed += 1;
        }
    }
    ensure!(
        failed == 0,
        "{failed} of {} machines are as they were",
        machines.len()
    );
    Ok(())
}

fn running(socket: &Path) -> anyhow::Result<Vec<String>> {
    let clients: Vec<ClientStatus> = get(socket, "/status")?;
    let runs =
        |client: &&ClientStatus| matches!(client.outcome, Outcome::Running | Outcome::Degraded);
    let names = clients
        .iter()
        .filter(runs)
        .map(|client| client.client.to_string());
    Ok(names.collect())
}

fn bring(keys: &Keys, machine: &str, socket: &Path) -> anyhow::Result<()> {
    let (applied, mut ssh) = keys.ssh(machine, RootTask::Apply, socket)?;
    let overlay = get_bytes(socket, &format!("/overlay/{}", applied.client))?;
    let mut ssh = ssh
        .stdin(Stdio::piped())
        .spawn()
        .context("cannot run ssh")?;
    println!("{} ({}):", applied.hostname, applied.address);
    let sent = ssh.stdin.take().map(|mut pipe| pipe.write_all(&overlay));
    let ended = ssh.wait()?;
    if !ended.success() {
        bail!(
            "ssh ended with {ended}; does sshd run there, and was the machine started by this version?"
        );
    }
    sent.transpose()
        .context("the overlay was not taken whole")?;
    Ok(())
}
