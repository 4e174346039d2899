//! `netbootd leases`: the lease book.

use std::path::Path;

use clap::Args;

use super::client::get;
use crate::leases::LeaseStatus;

/// Shows the DHCP leases.
#[derive(Debug, Args)]
pub struct LeasesCommand {
    /// Prints the control API's JSON
    #[arg(long)]
    json: bool,
}

/// Asks and prints.
pub fn run(command: &LeasesCommand, socket: &Path) -> anyhow::Result<()> {
    let leases: Vec<LeaseStatus> = get(socket, "/leases")?;
    if command.json {
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
    Ok(())
}
