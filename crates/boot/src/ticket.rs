//! Tickets: what one machine boots next, instead of what it always boots.
//!
//! A machine whose default is its own disk comes into Linux once and is back in its own system with
//! the boot after. A ticket is spent when the client has mounted its root, and not when it is told
//! what to boot: a loader that stumbles costs nothing. But a machine that never gets so far must not
//! be kept from its own disk, so a ticket that was tried [`TRIES`] times is void.

use std::collections::BTreeMap;

use model::{BootChoice, MacAddr};
use serde::{Deserialize, Serialize};

/// How often the boot script may be fetched for one use of a ticket before the root is mounted.
pub const TRIES: u32 = 3;
/// Clients with tickets; more are refused.
const MAX: usize = 65_536;

/// What one client boots next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// Who.
    pub client: MacAddr,
    /// What.
    pub boot: BootChoice,
    /// How many boots are left; `None`: any number until it ends.
    pub times: Option<u32>,
    /// When it ends, in seconds of Unix time; `None`: when it is used up.
    pub until: Option<u64>,
    /// How often it was tried since its last use.
    #[serde(default)]
    pub tried: u32,
}

impl Ticket {
    /// For one boot.
    pub fn once(client: MacAddr, boot: BootChoice) -> Self {
        Self {
            client,
            boot,
            times: Some(1),
            until: None,
            tried: 0,
        }
    }

    fn is_good(&self, now: u64) -> bool {
        self.times != Some(0) && self.tried <= TRIES && self.until.is_none_or(|until| now < until)
    }
}

/// What became of a ticket that was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tried {
    /// There is none, or it goes on.
    Good,
    /// It was tried too often and is gone.
    Void,
}

/// The tickets of all clients, one each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tickets(BTreeMap<MacAddr, Ticket>);

impl Tickets {
    /// From what [`Tickets::all`] said before a restart. The later of two for one client counts.
    pub fn new(tickets: Vec<Ticket>) -> Self {
        let tickets = tickets.into_iter().take(MAX);
        Self(tickets.map(|ticket| (ticket.client, ticket)).collect())
    }

    /// Every ticket, by address of the client's card.
    pub fn all(&self) -> Vec<Ticket> {
        self.0.values().cloned().collect()
    }

    /// Gives a client a ticket in place of its last one; `false` if there are too many.
    pub fn issue(&mut self, ticket: Ticket) -> bool {
        let room = self.0.len() < MAX || self.0.contains_key(&ticket.client);
        if room {
            self.0.insert(ticket.client, ticket);
        }
        room
    }

    /// Takes a client's ticket away; `false` if it had none.
    pub fn withdraw(&mut self, client: MacAddr) -> bool {
        self.0.remove(&client).is_some()
    }

    /// What the client's ticket says, if it has a good one. `now` is in seconds of Unix time.
    pub fn choice(&self, client: MacAddr, now: u64) -> Option<&BootChoice> {
        let ticket = self.0.get(&client).filter(|ticket| ticket.is_good(now));
        ticket.map(|ticket| &ticket.boot)
    }

    /// The client asked for its script.
    pub fn tried(&mut self, client: MacAddr, now: u64) -> Tried {
        let Some(ticket) = self.0.get_mut(&client) else {
            return Tried::Good;
        };
        ticket.tried += 1;
        if ticket.is_good(now) {
            return Tried::Good;
        }
        let too_often = ticket.tried > TRIES;
        self.0.remove(&client);
        match too_often {
            true => Tried::Void,
            false => Tried::Good,
        }
    }

    /// The client has mounted its root. `false` if nothing changed by it.
    pub fn used(&mut self, client: MacAddr) -> bool {
        let Some(ticket) = self.0.get_mut(&client) else {
            return false;
        };
        ticket.tried = 0;
        if let Some(times) = &mut ticket.times {
            *times = times.saturating_sub(1);
            if *times == 0 {
                self.0.remove(&client);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

    fn with(ticket: Ticket) -> Tickets {
        Tickets::new(vec![ticket])
    }

    fn demo() -> BootChoice {
        "demo".parse().unwrap()
    }

    #[test]
    fn one_ticket_is_one_boot() {
        let mut tickets = with(Ticket::once(PC, demo()));
        assert_eq!(tickets.choice(PC, 0), Some(&demo()));
        assert_eq!(tickets.tried(PC, 0), Tried::Good);
        assert_eq!(tickets.choice(PC, 0), Some(&demo()), "its script, twice");
        assert!(tickets.used(PC));
        assert_eq!(tickets.choice(PC, 0), None);
        assert!(!tickets.used(PC));
    }

    #[test]
    fn a_machine_that_never_mounts_its_root_gets_its_own_disk_back() {
        let mut tickets = with(Ticket::once(PC, demo()));
        for _ in 0..TRIES {
            assert_eq!(tickets.tried(PC, 0), Tried::Good);
            assert!(tickets.choice(PC, 0).is_some());
        }
        assert_eq!(tickets.tried(PC, 0), Tried::Void);
        assert_eq!(tickets.choice(PC, 0), None);
        assert_eq!(tickets.tried(PC, 0), Tried::Good);
    }

    #[test]
    fn a_ticket_for_some_time_is_for_any_number_of_boots() {
        let mut tickets = with(Ticket {
            times: None,
            until: Some(100),
            ..Ticket::once(PC, demo())
        });
        for _ in 0..9 {
            tickets.tried(PC, 99);
            tickets.used(PC);
        }
        assert!(tickets.choice(PC, 99).is_some());
        assert_eq!(tickets.choice(PC, 100), None);
        assert_eq!(tickets.tried(PC, 100), Tried::Good);
        assert_eq!(tickets.all(), []);
    }

    #[test]
    fn a_withdrawn_ticket_is_gone() {
        let mut tickets = with(Ticket::once(PC, demo()));
        assert!(tickets.withdraw(PC) && !tickets.withdraw(PC));
        assert_eq!(tickets.choice(PC, 0), None);
    }
}
