//! `netbootd apply`: users, groups, keys and overlay files for machines that run.

use std::fs::{self, DirBuilder};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, anyhow, bail, ensure};
use boot::{ClientStatus, Outcome};
use clap::Args;

use super::client::{get, get_bytes, post};
use crate::identity::{Applied, ApplyOrder};

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
        if let Err(error) = keys.bring(machine, socket) {
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

/// A key made for this command alone, in a folder that goes with it.
struct Keys {
    folder: PathBuf,
    public: String,
}

impl Keys {
    fn make() -> anyhow::Result<Self> {
        // A name that nobody can take before us.
        let name = getrandom::u64().map_err(|error| anyhow!("no random name: {error}"))?;
        let folder = std::env::temp_dir().join(format!("netbootd-apply-{name:016x}"));
        DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
        let mut keys = Self {
            folder,
            public: String::new(),
        };
        let made = Command::new("ssh-keygen")
            .args([
                "-q",
                "-t",
                "ed25519",
                "-N",
                "",
                "-C",
                "netbootd-apply",
                "-f",
            ])
            .arg(keys.at("key"))
            .stdin(Stdio::null())
            .status()
            .context("ssh-keygen (of Debian's openssh-client) makes the key")?;
        ensure!(made.success(), "ssh-keygen ended with {made}");
        keys.public = fs::read_to_string(keys.at("key.pub"))?;
        Ok(keys)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn bring(&self, machine: &str, socket: &Path) -> anyhow::Result<()> {
        let order = ApplyOrder {
            client: machine.to_owned(),
            key: self.public.clone(),
        };
        let applied: Applied = post(socket, "/apply", &order)?;
        let overlay = get_bytes(socket, &format!("/overlay/{}", applied.client))?;
        fs::write(self.at("key-cert.pub"), &applied.certificate)?;
        fs::write(self.at("known_hosts"), applied.known_hosts + "\n")?;
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "none", "-T", "-i"]).arg(self.at("key"));
        for option in [
            "BatchMode=yes",
            "ConnectTimeout=10",
            "ServerAliveInterval=10",
            "IdentitiesOnly=yes",
            "StrictHostKeyChecking=yes",
            "UpdateHostKeys=no",
            "GlobalKnownHostsFile=/dev/null",
            &format!("UserKnownHostsFile={}", self.at("known_hosts").display()),
        ] {
            ssh.args(["-o", option]);
        }
        ssh.arg(format!("root@{}", applied.address)).arg("apply");
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
}

impl Drop for Keys {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}
