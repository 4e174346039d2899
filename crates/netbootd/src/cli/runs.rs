//! `netbootd runs` and `netbootd boot-again`.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use clap::Args;

use super::client::{get, post};
use super::image::age;
use crate::orders::Done;
use crate::runs::{AgainOrder, RunStatus, in_words};

/// Lists the runs that machines have measured (`/run/netbootd/client quiet COMMAND` there)
#[derive(Debug, Args)]
pub struct RunsCommand {
    /// Prints the records as JSON
    #[arg(long)]
    json: bool,
}

/// Says that a machine boots once more what a run was made with
#[derive(Debug, Args)]
pub struct BootAgainCommand {
    /// The record; its signature is beside it, in a file that ends in .sig
    record: PathBuf,
    /// The machine, if not the same: its name, MAC or IP address
    machine: Option<String>,
}

/// Lists runs.
pub fn run(command: &RunsCommand, socket: &Path) -> anyhow::Result<()> {
    let runs: Vec<RunStatus> = get(socket, "/runs")?;
    if command.json {
        println!("{}", serde_json::to_string_pretty(&runs)?);
        return Ok(());
    }
    if runs.is_empty() {
        println!("no machine has measured a run; on one: /run/netbootd/client quiet COMMAND");
    }
    for run in &runs {
        println!("{}", line(run));
    }
    Ok(())
}

fn line(run: &RunStatus) -> String {
    let RunStatus {
        hostname, began, ..
    } = run;
    let began = age(*began / 1000);
    match &run.record {
        None => format!("{began}  {hostname:<12} goes on"),
        Some(record) => format!(
            "{began}  {hostname:<12} {}@{}  {}  {}",
            record.image,
            record.generation.short(),
            in_words(record),
            record.told.get("command").map_or("", String::as_str)
        ),
    }
}

/// Waits until no machine measures a run: work on the server and on the wire would be in its figures. Without a
/// daemon nobody measures.
pub(in crate::cli) fn wait_for_quiet(socket: &Path) {
    let mut told = false;
    while let Ok(runs) = get::<Vec<RunStatus>>(socket, "/runs/now")
        && !runs.is_empty()
    {
        if !told {
            let names: Vec<&str> = runs.iter().map(|run| &*run.hostname).collect();
            eprintln!(
                "waiting until {} has measured its run; --now does not wait",
                names.join(", ")
            );
            told = true;
        }
        thread::sleep(Duration::from_secs(1));
    }
}

/// Gives the ticket.
pub fn run_again(command: &BootAgainCommand, socket: &Path) -> anyhow::Result<()> {
    let read = |path: &Path| {
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
    };
    let mut signature = command.record.clone().into_os_string();
    signature.push(".sig");
    let order = AgainOrder {
        record: read(&command.record)?,
        signature: read(Path::new(&signature))?,
        client: command.machine.clone(),
    };
    let done: Done = post(socket, "/boot-again", &order)?;
    println!("{}", done.said);
    Ok(())
}
