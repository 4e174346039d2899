//! The lease database.

use std::fmt;
use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable};
use redb::{TableDefinition, TableError};

use crate::{LeaseRecord, salvage};

/// Address as a number → record as [`LeaseRecord::to_bytes`].
const LEASES: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("leases");

/// How long a disk that failed is left alone.
const RETRY: Duration = Duration::from_secs(1);

/// A change to make durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Writes the record, replacing one of the same address.
    Put(LeaseRecord),
    /// Removes the record of an address.
    Remove(Ipv4Addr),
}

/// The database of leases. One process at a time may have it open.
pub struct Leases {
    path: PathBuf,
    state: Mutex<State>,
}

/// After an error the database refuses everything until it is opened anew.
enum State {
    Open(Database),
    Failed { since: Instant, why: String },
}

impl State {
    fn failed(error: &redb::Error) -> Self {
        Self::Failed {
            since: Instant::now(),
            why: error.to_string(),
        }
    }
}

/// A database, opened.
pub struct Opened {
    /// For changes from now on.
    pub leases: Leases,
    /// What was on disk.
    pub records: Vec<LeaseRecord>,
    /// What was wrong with it and was left out, one line each, for the log.
    pub notes: Vec<String>,
}

/// The disk failed us.
#[derive(Debug)]
pub struct StoreError {
    path: PathBuf,
    doing: &'static str,
    source: Box<redb::Error>,
}

impl StoreError {
    fn new(path: &Path, doing: &'static str, source: impl Into<redb::Error>) -> Self {
        Self {
            path: path.to_owned(),
            doing,
            source: Box::new(source.into()),
        }
    }

    /// Whether there is no room: what was there can be read, and room may come.
    fn is_full(&self) -> bool {
        use ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        let full = [StorageFull, QuotaExceeded, ReadOnlyFilesystem];
        matches!(&*self.source, redb::Error::Io(error) if full.contains(&error.kind()))
    }

    /// Whether the file itself is bad, as opposed to the disk being full or the folder missing.
    fn is_damaged(&self) -> bool {
        use ErrorKind::{InvalidData, UnexpectedEof};
        match &*self.source {
            redb::Error::Corrupted(_) | redb::Error::UpgradeRequired(_) => true,
            redb::Error::TableTypeMismatch { .. } | redb::Error::TypeDefinitionChanged { .. } => {
                true
            }
            redb::Error::Io(error) => [InvalidData, UnexpectedEof].contains(&error.kind()),
            _ => false,
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cannot {} {}: {}",
            self.doing,
            self.path.display(),
            self.source
        )
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.source)
    }
}

impl Leases {
    /// Opens or makes the database at `path`. One that is damaged is set aside with the ending
    /// `.damaged`, what can be read of it is taken over into a new one, and `notes` say so: a server
    /// that will not start is worse than one that has forgotten leases which its clients still
    /// remember. On a disk without room it is read, and opened again by [`Leases::commit`].
    ///
    /// # Errors
    /// The folder is missing, may not be written to, or another process has the database open.
    pub fn open(path: &Path) -> Result<Opened, StoreError> {
        let mut notes = Vec::new();
        if std::fs::metadata(path).is_ok_and(|file| file.len() == 0) {
            notes.push(format!("{} was empty; no lease is known", path.display()));
        }
        let (state, records) = match load(path, &mut notes) {
            Ok((database, records)) => (State::Open(database), records),
            Err(error) if error.is_damaged() => {
                let (database, records) = replace(path, &error, &mut notes)?;
                (State::Open(database), records)
            }
            Err(error) if error.is_full() => {
                notes.push(format!("{error}; no new lease is given until it can"));
                let salvaged = salvage::read(path).unwrap_or_default();
                (State::failed(&error.source), salvaged.records)
            }
            Err(error) => return Err(error),
        };
        let leases = Self {
            path: path.to_owned(),
            state: Mutex::new(state),
        };
        Ok(Opened {
            leases,
            records,
            notes,
        })
    }

    /// Makes all the changes, or none, durable; returns when they are on the disk. After an error it
    /// is not known whether they are. For a second from then on everything else is refused too, and
    /// then tried again.
    pub fn commit(&self, changes: &[Change]) -> Result<(), StoreError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::Failed { since, why } = &*state {
            if since.elapsed() < RETRY {
                let again = redb::Error::Io(std::io::Error::other(why.clone()));
                return Err(StoreError::new(&self.path, "write to", again));
            }
            match open(&self.path) {
                Ok(database) => *state = State::Open(database),
                Err(error) => {
                    *state = State::failed(&error.source);
                    return Err(error);
                }
            }
        }
        let State::Open(database) = &*state else {
            unreachable!("it was opened, or we have returned");
        };
        let written = write(database, changes);
        if let Err(error) = &written {
            *state = State::failed(error);
        }
        written.map_err(|error| StoreError::new(&self.path, "write to", error))
    }
}

/// Opens the database and looks through all of it. Anything that it does not expect of itself, also
/// where that makes it panic, is damage.
fn load(path: &Path, notes: &mut Vec<String>) -> Result<(Database, Vec<LeaseRecord>), StoreError> {
    let work = || {
        let mut database = open(path)?;
        let is_whole = database.check_integrity();
        if !is_whole.map_err(|error| StoreError::new(path, "check", error))? {
            return Err(damaged(path, "a part of it was changed by somebody else"));
        }
        let records = read(&database, notes);
        let records = records.map_err(|error| StoreError::new(path, "read", error))?;
        write(&database, &[]).map_err(|error| StoreError::new(path, "write to", error))?;
        Ok((database, records))
    };
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(damaged(path, "it does not hang together")))
}

fn damaged(path: &Path, how: &str) -> StoreError {
    StoreError::new(path, "read", redb::Error::Corrupted(how.to_owned()))
}

fn open(path: &Path) -> Result<Database, StoreError> {
    Database::create(path).map_err(|error: DatabaseError| StoreError::new(path, "open", error))
}

/// Sets a damaged database aside and begins a new one with what could be read.
fn replace(
    path: &Path,
    why: &StoreError,
    notes: &mut Vec<String>,
) -> Result<(Database, Vec<LeaseRecord>), StoreError> {
    let fail = |doing, error| StoreError::new(path, doing, redb::Error::Io(error));
    let aside = (1..)
        .map(|number| match number {
            1 => path.with_extension("redb.damaged"),
            _ => path.with_extension(format!("redb.damaged-{number}")),
        })
        .find(|aside| !aside.exists());
    let aside = aside.ok_or_else(|| fail("set aside", ErrorKind::AlreadyExists.into()))?;
    std::fs::rename(path, &aside).map_err(|error| fail("set aside", error))?;
    let salvaged = salvage::read(&aside).map_err(|error| fail("read", error))?;
    notes.push(format!(
        "{} was damaged ({}); it is kept as {}. {} leases were read out of it, and {} records \
         in it are unreadable; a client whose lease is lost keeps its address where it is still free",
        path.display(),
        why.source,
        aside.display(),
        salvaged.records.len(),
        salvaged.unreadable,
    ));
    let database = open(path)?;
    let changes: Vec<Change> = salvaged.records.iter().cloned().map(Change::Put).collect();
    write(&database, &changes).map_err(|error| StoreError::new(path, "write to", error))?;
    Ok((database, salvaged.records))
}

fn read(database: &Database, notes: &mut Vec<String>) -> Result<Vec<LeaseRecord>, redb::Error> {
    let transaction = database.begin_read()?;
    let table = match transaction.open_table(LEASES) {
        Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
        table => table?,
    };
    let mut records = Vec::new();
    for entry in table.iter()? {
        let (key, value) = entry?;
        let address = Ipv4Addr::from(key.value());
        match LeaseRecord::from_bytes(value.value()) {
            Ok(record) if record.address == address => records.push(record),
            Ok(_) => notes.push(format!(
                "the record of {address} is another address's; left out"
            )),
            Err(why) => notes.push(format!("the record of {address} is unreadable: {why}")),
        }
    }
    Ok(records)
}

fn write(database: &Database, changes: &[Change]) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut table = transaction.open_table(LEASES)?;
        for change in changes {
            match change {
                Change::Put(record) => {
                    table.insert(u32::from(record.address), record.to_bytes().as_slice())?;
                }
                Change::Remove(address) => {
                    table.remove(u32::from(*address))?;
                }
            }
        }
    }
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
#[path = "leases_tests.rs"]
mod tests;
