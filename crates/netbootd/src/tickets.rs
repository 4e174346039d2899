//! The book of tickets, `tickets.json` in the state folder.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use boot::{Ticket, Tickets, Tried};
use model::{BootChoice, MacAddr};
use tracing::warn;

/// The longest that is read: more than all tickets can fill.
const MAX_LEN: u64 = 16 << 20;

/// The tickets, and their file.
pub struct TicketBook {
    path: PathBuf,
    tickets: Mutex<Tickets>,
}

impl TicketBook {
    /// The book in this state folder. One that cannot be read is said in the log: machines then boot
    /// what they always boot.
    pub fn open(state_dir: &Path) -> Self {
        let path = state_dir.join("tickets.json");
        let tickets = read(&path).unwrap_or_else(|error| {
            warn!("{}: {error}; there are no tickets", path.display());
            Vec::new()
        });
        Self {
            path,
            tickets: Mutex::new(Tickets::new(tickets)),
        }
    }

    /// Every ticket.
    pub fn all(&self) -> Vec<Ticket> {
        self.with(|tickets| tickets.all())
    }

    /// What the client's ticket says; `now` is in seconds of Unix time.
    pub fn choice(&self, client: MacAddr, now: u64) -> Option<BootChoice> {
        self.with(|tickets| tickets.choice(client, now).cloned())
    }

    /// Gives out a ticket. When this returns, it is on disk.
    ///
    /// # Errors
    /// When it cannot be written, and then it does not count; when there are too many.
    pub fn issue(&self, ticket: Ticket) -> io::Result<()> {
        self.change(|tickets| match tickets.issue(ticket) {
            true => Ok(true),
            false => Err(io::Error::other("there are too many tickets")),
        })
        .map(drop)
    }

    /// Takes a client's ticket away; `false` if it had none.
    ///
    /// # Errors
    /// When that cannot be written, and then it still counts.
    pub fn withdraw(&self, client: MacAddr) -> io::Result<bool> {
        self.change(|tickets| Ok(tickets.withdraw(client)))
    }

    /// The client asked for its script.
    pub fn tried(&self, client: MacAddr, now: u64) -> Tried {
        let mut tried = Tried::Good;
        self.note(|tickets| tried = tickets.tried(client, now));
        tried
    }

    /// The client has mounted its root.
    pub fn used(&self, client: MacAddr) {
        self.note(|tickets| {
            tickets.used(client);
        });
    }

    /// What happened to a client is true whether it can be written or not.
    fn note(&self, change: impl FnOnce(&mut Tickets)) {
        let mut tickets = self.lock();
        let before = tickets.clone();
        change(&mut tickets);
        if *tickets != before
            && let Err(error) = self.write(&tickets)
        {
            warn!("cannot write {}: {error}", self.path.display());
        }
    }

    /// A change that the operator is told of only when it is on disk.
    fn change(&self, change: impl FnOnce(&mut Tickets) -> io::Result<bool>) -> io::Result<bool> {
        let mut tickets = self.lock();
        let mut changed = tickets.clone();
        let done = change(&mut changed)?;
        if done {
            self.write(&changed)?;
            *tickets = changed;
        }
        Ok(done)
    }

    fn write(&self, tickets: &Tickets) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(&tickets.all())?;
        store::file::replace(&self.path, &text)
    }

    fn with<T>(&self, ask: impl FnOnce(&Tickets) -> T) -> T {
        ask(&self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Tickets> {
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(path: &Path) -> io::Result<Vec<Ticket>> {
    match store::file::read(path, MAX_LEN)? {
        Some(text) => Ok(serde_json::from_str(&text)?),
        None => Ok(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const PC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

    fn ticket() -> Ticket {
        Ticket::once(PC, "demo".parse().unwrap())
    }

    #[test]
    fn a_ticket_outlives_the_daemon_and_is_spent_once() {
        let folder = tempfile::tempdir().unwrap();
        TicketBook::open(folder.path()).issue(ticket()).unwrap();
        let book = TicketBook::open(folder.path());
        assert!(book.choice(PC, 0).is_some());
        book.used(PC);
        assert_eq!(TicketBook::open(folder.path()).all(), []);
    }

    #[test]
    fn a_ticket_that_cannot_be_written_was_not_given() {
        let folder = tempfile::tempdir().unwrap();
        let book = TicketBook::open(&folder.path().join("missing"));
        assert!(book.issue(ticket()).is_err());
        assert_eq!(book.choice(PC, 0), None);
    }

    #[test]
    fn a_damaged_book_has_no_tickets() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("tickets.json"), "[{").unwrap();
        let book = TicketBook::open(folder.path());
        assert_eq!(book.all(), []);
        book.issue(ticket()).unwrap();
        assert_eq!(TicketBook::open(folder.path()).all().len(), 1);
    }
}
