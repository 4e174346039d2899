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
}

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
    }
    Ok(())
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
    fn the_file_keeps_its_mode_and_other_lines() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ssh_known_hosts");
        let status = SshStatus {
            domain: "lab.internal".into(),
            known_hosts: known_hosts::line("key", "lab.internal", [], &[]),
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
