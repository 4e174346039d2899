//! `netbootd leases`: the lease book.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use model::MacAddr;

use super::client::{get, post};
use crate::lease_file::{self, ForeignLease};
use crate::lease_orders::{ImportOrder, Imported, ReleaseOrder, Released};
use crate::leases::LeaseStatus;

/// Shows the DHCP leases, ends them, or takes over those of another server.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct LeasesCommand {
    /// Prints the control API's JSON
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    change: Option<Change>,
}

#[derive(Debug, Subcommand)]
enum Change {
    /// Ends a lease, or all of a machine, so that others may have the address
    Release {
        /// An address, or a machine's MAC address or name
        what: String,
    },
    /// Takes over the leases of dnsmasq (dnsmasq.leases) or of ISC's server (dhcpd.leases)
    Import {
        /// The file
        file: PathBuf,
        /// Only says what would be done
        #[arg(long)]
        dry_run: bool,
    },
}

/// Asks and prints.
pub fn run(command: &LeasesCommand, socket: &Path) -> anyhow::Result<()> {
    match &command.change {
        None => list(command.json, socket),
        Some(Change::Release { what }) => {
            let order = ReleaseOrder { what: what.clone() };
            let released: Released = post(socket, "/leases/release", &order)?;
            for (address, client) in released.leases {
                println!("{address} is free; it was {client}'s");
            }
            Ok(())
        }
        Some(Change::Import { file, dry_run }) => import(file, *dry_run, socket),
    }
}

fn list(json: bool, socket: &Path) -> anyhow::Result<()> {
    let leases: Vec<LeaseStatus> = get(socket, "/leases")?;
    if json {
        println!("{}", serde_json::to_string(&leases)?);
        return Ok(());
    }
    println!(
        "{:<16} {:<18} {:<20} {:<9} REMAINING",
        "ADDRESS", "CLIENT", "NAME", "STATE"
    );
    for lease in &leases {
        let hours = lease.remaining / 3600;
        println!(
            "{:<16} {:<18} {:<20} {:<9} {hours}h{:02}m{:02}s",
            lease.address.to_string(),
            lease.client.to_string(),
            lease.hostname.as_deref().unwrap_or(""),
            format!("{:?}", lease.state).to_lowercase(),
            lease.remaining / 60 % 60,
            lease.remaining % 60,
        );
    }
    let set_aside: Vec<(Ipv4Addr, MacAddr)> = get(socket, "/set-aside")?;
    for (address, holder) in set_aside {
        println!("{address:<16} {holder:<18} has it without a lease; given to nobody");
    }
    Ok(())
}

fn import(file: &Path, dry_run: bool, socket: &Path) -> anyhow::Result<()> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let parsed = lease_file::parse(&String::from_utf8_lossy(&bytes));
    let given_up = parsed
        .leases
        .values()
        .filter(|lease| lease.is_none())
        .count();
    let leases: Vec<ForeignLease> = parsed.leases.into_values().flatten().collect();
    anyhow::ensure!(
        !leases.is_empty() || given_up > 0 || !parsed.unreadable.is_empty(),
        "there is no lease in {}",
        file.display()
    );
    let done: Imported = post(socket, "/leases/import", &ImportOrder { leases, dry_run })?;
    for (line, why) in &parsed.unreadable {
        println!("{}:{line}: not understood: {why}", file.display());
    }
    for (address, client, why) in &done.left_out {
        println!("{address} of {client} is left out: {why}");
    }
    println!(
        "{} leases {} taken over; {} had ended, {} do not fit, {} were not understood",
        done.taken,
        if dry_run { "would be" } else { "were" },
        done.ended + given_up,
        done.left_out.len(),
        parsed.unreadable.len(),
    );
    Ok(())
}
