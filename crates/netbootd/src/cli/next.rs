//! `netbootd boot-next`, `netbootd wake` and `netbootd reboot`.

use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail, ensure};
use clap::Args;

use super::client::{get, post};
use crate::orders::{Done, MachineOrder, TicketOrder, TicketStatus};

/// Says what one machine boots with its next start; without a machine, lists what was said
#[derive(Debug, Args)]
pub struct BootNextCommand {
    /// The machine: its name, MAC or IP address
    machine: Option<String>,
    /// What it boots: an image (demo), a generation (demo@0123456789ab), local-disk or menu
    #[arg(requires = "machine")]
    boot: Option<String>,
    /// How many starts [default: 1, or any number with --until]
    #[arg(long, value_name = "N")]
    times: Option<u32>,
    /// When it ends, as date(1) reads it: "18:00", "tomorrow 8:00", "2 hours"
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Takes the machine's ticket away
    #[arg(long, requires = "machine", conflicts_with = "boot")]
    cancel: bool,
    /// Switches the machine on too
    #[arg(long, requires = "boot")]
    wake: bool,
    /// Restarts the machine too
    #[arg(long, requires = "boot", conflicts_with = "wake")]
    reboot: bool,
}

/// Restarts a machine, by [power] reboot or its Redfish service
#[derive(Debug, Args)]
pub struct RebootCommand {
    /// The machine: its name, MAC or IP address
    machine: String,
}

/// Switches a machine on over the network (Wake on LAN)
#[derive(Debug, Args)]
pub struct WakeCommand {
    /// The machine: its name, MAC or IP address
    machine: String,
}

/// Gives, takes or lists tickets.
pub fn run(command: &BootNextCommand, socket: &Path) -> anyhow::Result<()> {
    let Some(machine) = &command.machine else {
        return list(socket);
    };
    ensure!(
        command.boot.is_some() || command.cancel,
        "say what {machine} shall boot, or --cancel"
    );
    let order = TicketOrder {
        client: machine.clone(),
        boot: command.boot.clone(),
        times: command.times,
        until: command.until.as_deref().map(seconds_of).transpose()?,
    };
    let done: Done = post(socket, "/tickets", &order)?;
    println!("{}", done.said);
    if command.wake {
        send("/wake", machine, socket)?;
    }
    if command.reboot {
        send("/reboot", machine, socket)?;
    }
    Ok(())
}

/// Restarts a machine.
pub fn run_reboot(command: &RebootCommand, socket: &Path) -> anyhow::Result<()> {
    send("/reboot", &command.machine, socket)
}

/// Switches a machine on.
pub fn run_wake(command: &WakeCommand, socket: &Path) -> anyhow::Result<()> {
    send("/wake", &command.machine, socket)
}

fn send(path: &str, machine: &str, socket: &Path) -> anyhow::Result<()> {
    let order = MachineOrder {
        client: machine.to_owned(),
    };
    let done: Done = post(socket, path, &order)?;
    println!("{}", done.said);
    Ok(())
}

fn list(socket: &Path) -> anyhow::Result<()> {
    let tickets: Vec<TicketStatus> = get(socket, "/tickets")?;
    if tickets.is_empty() {
        println!("every machine boots what it always boots");
        return Ok(());
    }
    println!(
        "{:<20} {:<18} {:<28} {:<7} ENDS IN",
        "NAME", "CLIENT", "BOOTS", "TIMES"
    );
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    for TicketStatus { hostname, ticket } in tickets {
        let times = ticket
            .times
            .map_or("any".to_owned(), |times| times.to_string());
        let ends = match ticket.until.map(|until| until.saturating_sub(now)) {
            None => String::new(),
            Some(left) => format!("{}h{:02}m", left / 3600, left / 60 % 60),
        };
        println!(
            "{hostname:<20} {:<18} {:<28} {times:<7} {ends}",
            ticket.client.to_string(),
            ticket.boot.to_string(),
        );
    }
    Ok(())
}

/// Unix time of what date(1) understands, which knows this machine's time zone.
fn seconds_of(text: &str) -> anyhow::Result<u64> {
    let output = Command::new("date")
        .args(["--date", text, "+%s"])
        .output()
        .context("date(1) cannot be run")?;
    if !output.status.success() {
        bail!(
            "--until {text}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    let seconds: u64 = String::from_utf8_lossy(&output.stdout).trim().parse()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    ensure!(
        seconds > now,
        "--until {text} is past; write \"tomorrow {text}\", perhaps"
    );
    Ok(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_what_date_understands_and_lies_ahead() {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let ahead = seconds_of("2 hours").unwrap() - now;
        assert!((7190..7210).contains(&ahead), "{ahead}");
        assert!(
            seconds_of("yesterday")
                .unwrap_err()
                .to_string()
                .contains("past")
        );
        assert!(
            seconds_of("soonish")
                .unwrap_err()
                .to_string()
                .contains("soonish")
        );
    }
}
