//! `netbootd ssh`: what makes ssh trust the clients.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::Context;
use boot::known_hosts;
use clap::{Args, Subcommand};

use super::client::get;
use crate::identity::SshStatus;

/// What makes ssh trust the clients.
#[derive(Debug, Args)]
pub struct SshCommand {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Prints the line with which ssh never asks about a client; good on any machine
    KnownHosts {
        /// Writes it into the file instead, in place of our own earlier line
        #[arg(long)]
        install: bool,
        /// The file to write into
        #[arg(long, requires = "install", default_value = "/etc/ssh/ssh_known_hosts")]
        file: PathBuf,
    },
    /// Prints what lets clients with `home = "machine"` have homes of this server from its sshd
    ServerSetup {
        /// Writes the two files instead, if they are not there as printed; sshd has to be reloaded then
        #[arg(long)]
        install: bool,
    },
}

/// The authority that sshd is to trust, and where it is told so.
const AUTHORITY: &str = "/etc/ssh/netbootd-homes.pub";
const DROP_IN: &str = "/etc/ssh/sshd_config.d/20-netbootd-homes.conf";

/// Does what was asked.
pub fn run(command: &SshCommand, socket: &Path) -> anyhow::Result<()> {
    let status: SshStatus = get(socket, "/ssh")?;
    match &command.command {
        Command::KnownHosts { install: false, .. } => println!("{}", status.known_hosts),
        Command::KnownHosts { file, .. } => {
            let changed = install(file, &status)
                .with_context(|| format!("cannot write {}", file.display()))?;
            let what = if changed {
                "ssh trusts the clients from now on"
            } else {
                "it has the line already"
            };
            println!("{}: {what}", file.display());
        }
        Command::ServerSetup { install } => server_setup(&status, *install)?,
    }
    Ok(())
}

fn server_setup(status: &SshStatus, install: bool) -> anyhow::Result<()> {
    anyhow::ensure!(
        !status.people.is_empty(),
        "no client has homes of this server with a key of its own: it takes `users` in [login], and home = \"machine\""
    );
    for (path, text) in setup_files(status) {
        if !install {
            println!("# {path}\n{text}");
        } else if fs::read_to_string(path).is_ok_and(|old| old == text) {
            println!("{path}: it is so already");
        } else {
            store::file::replace_with_mode(Path::new(path), text.as_bytes(), 0o644)
                .with_context(|| format!("cannot write {path}"))?;
            println!("{path}: written; reload sshd (`systemctl reload ssh`)");
        }
    }
    Ok(())
}

/// Only for the people of [login], so that whoever has the authority's key is nobody else here.
fn setup_files(status: &SshStatus) -> [(&'static str, String); 2] {
    let people = status.people.join(",");
    let drop_in = format!(
        "# Clients of netbootd may read and write the homes of these people.\n\
         Match User {people}\n    TrustedUserCAKeys {AUTHORITY}\n"
    );
    [
        (AUTHORITY, format!("{}\n", status.authority)),
        (DROP_IN, drop_in),
    ]
}

/// Replaces the file as a whole; says whether that was needed.
fn install(file: &Path, status: &SshStatus) -> io::Result<bool> {
    // A link stays a link, and the file keeps its mode.
    let file = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let (text, mode) = match fs::read_to_string(&file) {
        Ok(text) => (text, fs::metadata(&file)?.permissions().mode()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => (String::new(), 0o644),
        Err(error) => return Err(error),
    };
    let after = known_hosts::with_line(&text, &status.known_hosts, &status.domain);
    if after == text {
        return Ok(false);
    }
    store::file::replace_with_mode(&file, after.as_bytes(), mode & 0o777)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sshd_trusts_clients_with_the_homes_of_the_people_that_they_have_only() {
        let status = SshStatus {
            domain: "lab.internal".into(),
            known_hosts: String::new(),
            authority: "ssh-ed25519 AAAA".into(),
            people: vec!["alice".into(), "bob".into()],
        };
        let [(_, authority), (_, drop_in)] = setup_files(&status);
        assert_eq!(authority, "ssh-ed25519 AAAA\n");
        let lines: Vec<&str> = drop_in.lines().skip(1).map(str::trim).collect();
        let trust = "TrustedUserCAKeys /etc/ssh/netbootd-homes.pub";
        assert_eq!(lines, ["Match User alice,bob", trust]);
    }

    #[test]
    fn the_file_keeps_its_mode_and_other_lines() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ssh_known_hosts");
        let status = SshStatus {
            domain: "lab.internal".into(),
            known_hosts: known_hosts::line("key", "lab.internal", [], &[]),
            authority: "key".into(),
            people: vec!["alice".into(), "bob".into()],
        };
        assert!(install(&file, &status).unwrap());
        let mode = |file: &Path| fs::metadata(file).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&file), 0o644);
        assert!(!install(&file, &status).unwrap());
        fs::write(&file, "nas ssh-rsa AAAA\n").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(install(&file, &status).unwrap());
        assert_eq!(mode(&file), 0o640);
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(text, format!("nas ssh-rsa AAAA\n{}\n", status.known_hosts));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
