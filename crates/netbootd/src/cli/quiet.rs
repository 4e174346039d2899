//! `netbootd quiet`: a run that is measured, ordered from the server.

use std::process::Stdio;

use anyhow::{Context, bail};
use boot::RootTask;
use clap::Args;

use super::client::get;
use super::root::Keys;
use crate::runs::{RunStatus, record_file};

/// Measures a run on a machine: its root comes into memory, nothing of ours works meanwhile, and a signed record says
/// what was fetched
#[derive(Debug, Args)]
pub struct QuietCommand {
    /// The machine, by name, MAC or IP address
    machine: String,
    /// Ends the run that was begun without a command
    #[arg(long, conflicts_with = "command")]
    end: bool,
    /// What root runs there, in its home folder; without it the run goes on until --end
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

/// Has the machine do it. Returns how its command ended.
pub fn run(command: &QuietCommand, config: &config::Config) -> anyhow::Result<u8> {
    let words = match (command.end, command.command.as_slice()) {
        (true, _) => vec!["--end".to_owned()],
        (false, []) => vec!["--begin".to_owned()],
        (false, words) => words.to_vec(),
    };
    let begins = words == ["--begin"];
    let socket = &config.control_socket;
    let keys = Keys::make()?;
    let (applied, mut ssh) = keys.ssh(&command.machine, RootTask::Quiet(words), socket)?;
    let ended = ssh
        .stdin(Stdio::null())
        .status()
        .context("cannot run ssh")?;
    let Some(code) = ended.code().filter(|code| *code != 255) else {
        bail!(
            "ssh ended with {ended}; does sshd run there, and was the machine started by this version?"
        );
    };
    if !begins {
        let runs: Vec<RunStatus> = get(socket, "/runs")?;
        let mut records = runs.iter().filter_map(|run| run.record.as_ref());
        let last = records.rfind(|record| record.client == applied.client);
        if let Some(record) = last {
            let file = record_file(&config.state_dir, record);
            println!("netbootd: the server has it as {}", file.display());
        }
    }
    Ok(u8::try_from(code).unwrap_or(1))
}
