//! What the operator wants done now: tickets, and machines switched on.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};

use boot::{Plan, Ticket};
use model::{BootChoice, MacAddr};
use serde::{Deserialize, Serialize};
use tracing::info;

use crate::daemon::{Daemon, unix_seconds};
use crate::find;
use crate::services::dhcp::Shared;

/// `POST /tickets`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TicketOrder {
    /// The machine: name, MAC or IP address.
    pub client: String,
    /// What it boots next; `None`: its ticket is taken away.
    pub boot: Option<String>,
    /// How many boots; `None`: as many as there are until it ends, or one if it does not end.
    pub times: Option<u32>,
    /// When it ends, in seconds of Unix time.
    pub until: Option<u64>,
}

/// A ticket, with the name of its machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TicketStatus {
    /// The machine's name.
    pub hostname: String,
    /// The ticket.
    pub ticket: Ticket,
}

/// `POST /wake` and `POST /reboot`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MachineOrder {
    /// The machine: name, MAC or IP address.
    pub client: String,
}

/// An order that was carried out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Done {
    /// The machine.
    pub client: MacAddr,
    /// Its name.
    pub hostname: String,
    /// What was done, in words.
    pub said: String,
}

/// Every ticket.
pub fn tickets(daemon: &Daemon) -> Vec<TicketStatus> {
    let tickets = daemon.tickets.all().into_iter();
    tickets
        .map(|ticket| TicketStatus {
            hostname: daemon.hostname(ticket.client),
            ticket,
        })
        .collect()
}

/// Gives out a ticket or takes one away; the answer's JSON, or why not.
pub fn ticket(daemon: &Daemon, shared: &Shared, body: &[u8]) -> Result<Vec<u8>, String> {
    let order: TicketOrder = parse(body)?;
    let client = find::client(daemon, shared, &order.client)?;
    let hostname = daemon.hostname(client);
    let disk = |error| format!("the ticket cannot be written: {error}");
    let Some(boot) = order.boot else {
        let said = match daemon.tickets.withdraw(client).map_err(disk)? {
            true => format!("{hostname} boots what it always boots"),
            false => format!("{hostname} has no ticket"),
        };
        return done(client, hostname, said);
    };
    let boot: BootChoice = boot.parse().map_err(|error| format!("{boot}: {error}"))?;
    if order.times == Some(0) {
        return Err("a ticket is for one boot at least".to_owned());
    }
    if order.until.is_some_and(|until| until <= unix_seconds()) {
        return Err("the ticket would have ended already".to_owned());
    }
    let times = match (order.times, order.until) {
        (None, None) => Some(1),
        (times, _) => times,
    };
    let ticket = Ticket {
        times,
        until: order.until,
        ..Ticket::once(client, boot)
    };
    done(client, hostname, issue(daemon, ticket)?)
}

/// Gives out a ticket; what it means in words, or why it cannot be given.
pub fn issue(daemon: &Daemon, ticket: Ticket) -> Result<String, String> {
    let (client, boot) = (ticket.client, ticket.boot.clone());
    let site = &daemon.images.load().site;
    if let Plan::Nothing(reason) = site.plan(client, Some(&boot)) {
        return Err(reason);
    }
    let said = format!(
        "{} boots {boot} {}",
        daemon.hostname(client),
        how_often(ticket.times, ticket.until.is_some())
    );
    let issued = daemon.tickets.issue(ticket);
    issued.map_err(|error| format!("the ticket cannot be written: {error}"))?;
    info!(%client, %boot, "ticket: {said}");
    Ok(said)
}

fn how_often(times: Option<u32>, ends: bool) -> String {
    match (times, ends) {
        (Some(1), false) => "with its next start".to_owned(),
        (Some(1), true) => "with its next start, if that comes in time".to_owned(),
        (Some(times), _) => format!("with its next {times} starts"),
        (None, _) => "with every start until the ticket ends".to_owned(),
    }
}

/// Sends a machine the packet that switches it on, on every link that is served.
pub fn wake(daemon: &Daemon, shared: &Shared, body: &[u8]) -> Result<Vec<u8>, String> {
    let order: MachineOrder = parse(body)?;
    let client = find::client(daemon, shared, &order.client)?;
    let links = daemon.links.load();
    let mut sent = Vec::new();
    for served in links.iter() {
        let (address, prefix_len) = (served.link.address, served.link.prefix_len);
        let send = || {
            let socket = UdpSocket::bind((address, 0))?;
            socket.set_broadcast(true)?;
            socket.send_to(&magic_packet(client), broadcast(address, prefix_len))
        };
        match send() {
            Ok(_) => sent.push(served.link.name.clone()),
            Err(error) => return Err(format!("{}: {error}", served.link.name)),
        }
    }
    if sent.is_empty() {
        return Err("no interface is served yet".to_owned());
    }
    let hostname = daemon.hostname(client);
    let said = format!(
        "told {hostname} ({client}) to switch itself on, on {}",
        sent.join(", ")
    );
    info!(%client, "{said}");
    done(client, hostname, said)
}

/// Wake on LAN: six bytes of ones, and the card's address sixteen times, anywhere in a packet that
/// the sleeping card hears. Port 9 (discard) is where everybody sends it.
fn magic_packet(client: MacAddr) -> Vec<u8> {
    let mut packet = vec![0xff; 6];
    packet.extend(client.0.repeat(16));
    packet
}

/// Where everybody on the link hears it.
fn broadcast(address: Ipv4Addr, prefix_len: u8) -> SocketAddrV4 {
    let host_bits = u32::MAX.checked_shr(prefix_len.into()).unwrap_or(0);
    SocketAddrV4::new((u32::from(address) | host_bits).into(), 9)
}

pub(crate) fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| format!("the order is not understood: {error}"))
}

pub(crate) fn done(client: MacAddr, hostname: String, said: String) -> Result<Vec<u8>, String> {
    let done = Done {
        client,
        hostname,
        said,
    };
    serde_json::to_vec(&done).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_magic_packet_is_ones_and_sixteen_times_the_card() {
        let packet = magic_packet(MacAddr([2, 0, 0, 0, 0, 9]));
        assert_eq!(packet.len(), 102);
        assert_eq!(packet[..6], [0xff; 6]);
        assert!(packet[6..].chunks(6).all(|six| six == [2, 0, 0, 0, 0, 9]));
    }

    #[test]
    fn the_whole_link_hears_it() {
        let to = |prefix_len| {
            broadcast(Ipv4Addr::new(192, 168, 67, 1), prefix_len)
                .ip()
                .octets()
        };
        assert_eq!(to(24), [192, 168, 67, 255]);
        assert_eq!(to(30), [192, 168, 67, 3]);
    }
}
