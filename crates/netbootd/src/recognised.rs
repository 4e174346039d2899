//! Which cards belong to clients that are known by a UUID or a client identifier: `recognised.json` in the state folder.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use model::{KnownBy, MacAddr};
use tracing::warn;

/// The longest that is read: more than the cards of all clients can fill.
const MAX_LEN: u64 = 8 << 20;

/// The cards, and their file.
pub struct Recognised {
    path: PathBuf,
    cards: Mutex<Cards>,
}

#[derive(Default)]
struct Cards {
    now: Vec<(MacAddr, KnownBy)>,
    is_unwritten: bool,
}

impl Recognised {
    /// The book in this state folder. One that cannot be read is said in the log: clients are recognised again when
    /// their firmware asks for an address.
    pub fn open(state_dir: &Path) -> Self {
        let path = state_dir.join("recognised.json");
        let read = store::file::read(&path, MAX_LEN).and_then(|text| match text {
            Some(text) => Ok(serde_json::from_str(&text)?),
            None => Ok(Vec::new()),
        });
        let now = read.unwrap_or_else(|error| {
            warn!(
                "{}: {error}; clients are recognised again when they boot",
                path.display()
            );
            Vec::new()
        });
        let cards = Cards {
            now,
            is_unwritten: false,
        };
        Self {
            path,
            cards: Mutex::new(cards),
        }
    }

    /// Runs `work` with all cards, those of one client in the order in which they showed it. Nobody changes them meanwhile.
    pub fn with<T>(&self, work: impl FnOnce(&[(MacAddr, KnownBy)]) -> T) -> T {
        let cards = self.cards.lock().unwrap_or_else(PoisonError::into_inner);
        work(&cards.now)
    }

    /// These are all cards now; to be written soon, since a client waits for its answer.
    pub fn replace(&self, now: &[(MacAddr, KnownBy)]) {
        let mut cards = self.cards.lock().unwrap_or_else(PoisonError::into_inner);
        cards.now = now.to_vec();
        cards.is_unwritten = true;
    }

    /// Brings what is new to the disk.
    pub fn write(&self) {
        let text = {
            let mut cards = self.cards.lock().unwrap_or_else(PoisonError::into_inner);
            if !std::mem::take(&mut cards.is_unwritten) {
                return;
            }
            serde_json::to_vec_pretty(&cards.now).expect("a book is plain data")
        };
        if let Err(error) = store::file::replace(&self.path, &text) {
            warn!("cannot write {}: {error}", self.path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_recognised_outlives_the_daemon() {
        let folder = tempfile::tempdir().unwrap();
        let book = Recognised::open(folder.path());
        let cards = [(MacAddr([2, 0, 0, 0, 0, 1]), "id:pc07".parse().unwrap())];
        book.replace(&cards);
        book.write();
        let again = Recognised::open(folder.path());
        again.with(|known| assert_eq!(known, cards));
    }

    #[test]
    fn a_damaged_book_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("recognised.json"), "[[").unwrap();
        Recognised::open(folder.path()).with(|known| assert!(known.is_empty()));
    }
}
