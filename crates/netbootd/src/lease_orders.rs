//! What the operator wants done to the lease book: leases ended, and those of another server taken
//! over.

use std::net::Ipv4Addr;

use dhcp::{BindingState, Lease};
use model::MacAddr;
use serde::{Deserialize, Serialize};
use tracing::info;

use crate::daemon::Daemon;
use crate::find;
use crate::lease_file::ForeignLease;
use crate::leases::lease_clock;
use crate::orders::parse;
use crate::services::dhcp::Shared;

/// `POST /leases/release`
#[derive(Debug, Serialize, Deserialize)]
pub struct ReleaseOrder {
    /// An address, or all leases of the machine with this MAC address or name.
    pub what: String,
}

/// What was released.
#[derive(Debug, Serialize, Deserialize)]
pub struct Released {
    /// Each address and whose it was.
    pub leases: Vec<(Ipv4Addr, MacAddr)>,
}

/// `POST /leases/import`
#[derive(Debug, Serialize, Deserialize)]
pub struct ImportOrder {
    /// What the file had.
    pub leases: Vec<ForeignLease>,
    /// Only says what would be done.
    pub dry_run: bool,
}

/// What became of an import.
#[derive(Debug, Serialize, Deserialize)]
pub struct Imported {
    /// Leases that are in the book now, or would be.
    pub taken: usize,
    /// Leases that had ended.
    pub ended: usize,
    /// Those that do not fit, and why.
    pub left_out: Vec<(Ipv4Addr, MacAddr, String)>,
}

/// Ends leases; the answer's JSON, or why not.
pub fn release(daemon: &Daemon, shared: &Shared, body: &[u8]) -> Result<Vec<u8>, String> {
    let ReleaseOrder { what } = parse(body)?;
    let leases: Vec<(Ipv4Addr, MacAddr)> = match what.parse::<Ipv4Addr>() {
        Ok(address) => shared.with(|server| {
            let lease = server.lease(address).into_iter();
            lease.map(|lease| (lease.address, lease.mac)).collect()
        }),
        Err(_) => {
            let client = find::client(daemon, shared, &what)?;
            shared.with(|server| {
                let leases = server.leases_of(client);
                leases.map(|lease| (lease.address, lease.mac)).collect()
            })
        }
    };
    if leases.is_empty() {
        return Err(format!("there is no lease of {what}"));
    }
    let addresses: Vec<Ipv4Addr> = leases.iter().map(|(address, _)| *address).collect();
    let mut refused = None;
    let stored = shared.store(|server| {
        let ended = server.end_leases(lease_clock(), &addresses);
        ended.unwrap_or_else(|refusal| {
            refused = Some(refusal);
            None
        })
    });
    match (refused, stored) {
        (Some((address, why)), _) => Err(format!("{address} is not released: {why}")),
        (None, Some(false)) => {
            Err("it could not be written to the disk; nothing is changed".to_owned())
        }
        (None, _) => {
            for (address, client) in &leases {
                info!(%client, %address, "the lease was released by the operator");
            }
            json(&Released { leases })
        }
    }
}

/// Takes leases over, all that fit or, where they cannot be written, none.
pub fn import(shared: &Shared, body: &[u8]) -> Result<Vec<u8>, String> {
    let ImportOrder { leases, dry_run } = parse(body)?;
    let leases: Vec<Lease> = leases
        .into_iter()
        .map(|lease| Lease {
            address: lease.address,
            mac: lease.mac,
            client_id: lease.client_id,
            hostname: lease.hostname,
            expires_unix: lease.expires,
            state: BindingState::Bound,
        })
        .collect();
    let (all, mut left_out) = (leases.len(), Vec::new());
    let stored = shared.store(|server| {
        let (pending, others) = server.take_over(lease_clock(), leases);
        left_out = others;
        if dry_run {
            pending
                .into_iter()
                .for_each(|pending| drop(server.abort(pending)));
            return None;
        }
        pending
    });
    if stored == Some(false) {
        return Err("the leases could not be written to the disk; none was taken over".to_owned());
    }
    let taken = all - left_out.len();
    let is_ended = |(_, why): &(Lease, dhcp::Refusal)| *why == dhcp::Refusal::Ended;
    let (ended, left_out): (Vec<_>, Vec<_>) = left_out.into_iter().partition(is_ended);
    let left_out = left_out.into_iter();
    if !dry_run {
        info!(taken, "leases of another server were taken over");
    }
    json(&Imported {
        taken,
        ended: ended.len(),
        left_out: left_out
            .map(|(lease, why)| (lease.address, lease.mac, why.to_string()))
            .collect(),
    })
}

fn json(answer: &impl Serialize) -> Result<Vec<u8>, String> {
    serde_json::to_vec(answer).map_err(|error| error.to_string())
}
