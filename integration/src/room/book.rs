//! The server's own book, against what the machines were told.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};

use super::{Room, mac};
use crate::lab::Lab;
use crate::subject::netbootd::asked;

/// Fails if the book of netbootd lacks a lease that a machine of the room was told of.
pub fn nothing_is_forgotten(lab: &Lab, room: &Room) -> Result<()> {
    let told = room.ledger().told;
    let book = asked(lab, &["leases", "--json"])?;
    let mut holders = HashMap::new();
    for lease in book.split('{').skip(1) {
        let value = |name: &str| {
            let rest = lease.split_once(&format!("\"{name}\":\""))?.1;
            Some(rest.split_once('"')?.0)
        };
        let (address, client) = value("address").zip(value("client")).context("a lease")?;
        holders.insert(address, client);
    }
    for (machine, address) in told {
        let holder = holders.get(address.to_string().as_str());
        ensure!(
            holder == Some(&mac(machine).as_str()),
            "{address} was acknowledged to {}, and the book says {holder:?}",
            mac(machine)
        );
    }
    Ok(())
}
