//! The book of who runs what, `clients.json` in the state folder.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use boot::{Running, Timelines};
use tracing::warn;

/// The longest that is read: more than all clients that are remembered can fill.
const MAX_LEN: u64 = 8 << 20;

/// The file, one writer at a time.
pub struct Book {
    path: PathBuf,
    writing: Mutex<()>,
}

impl Book {
    /// The book in this state folder, and the timelines that it tells. One that cannot be read is
    /// said in the log and begun anew: clients come back into it with their next boot.
    pub fn open(state_dir: &Path) -> (Self, Timelines) {
        let book = Self {
            path: state_dir.join("clients.json"),
            writing: Mutex::new(()),
        };
        let mut timelines = Timelines::default();
        match book.read() {
            Ok(running) => timelines.restore(&running),
            Err(error) => warn!(
                "{}: {error}; which clients run what is not known until they boot again",
                book.path.display()
            ),
        }
        (book, timelines)
    }

    fn read(&self) -> io::Result<Vec<Running>> {
        match store::file::read(&self.path, MAX_LEN)? {
            Some(text) => Ok(serde_json::from_str(&text)?),
            None => Ok(Vec::new()),
        }
    }

    /// Writes down who runs what now; `running` is asked when no older answer can come after it.
    pub fn write(&self, running: impl FnOnce() -> Vec<Running>) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let text = serde_json::to_vec_pretty(&running()).expect("a book is plain data");
        if let Err(error) = store::file::replace(&self.path, &text) {
            warn!("cannot write {}: {error}", self.path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use model::{ClientArch, Firmware, GenerationId, MacAddr, Stage};

    use super::*;

    const PC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

    #[test]
    fn the_book_outlives_the_daemon() {
        let folder = tempfile::tempdir().unwrap();
        let (book, mut timelines) = Book::open(folder.path());
        assert_eq!(timelines.running(), []);
        timelines.discovered(0, PC, Firmware::Ipxe, ClientArch::UefiX64, "");
        timelines.learn(PC, |facts| {
            facts.image = Some(("demo".parse().unwrap(), GenerationId([7; 16])));
        });
        timelines.reached(1000, PC, Stage::Mounted, "");
        book.write(|| timelines.running());
        let (_, again) = Book::open(folder.path());
        assert_eq!(again.running(), timelines.running());
        assert_eq!(again.running().len(), 1);
    }

    #[test]
    fn a_damaged_book_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("clients.json"), "[{").unwrap();
        let (book, timelines) = Book::open(folder.path());
        assert_eq!(timelines.running(), []);
        book.write(Vec::new);
        assert_eq!(book.read().unwrap(), []);
    }
}
