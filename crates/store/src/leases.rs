//! The lease database.

use std::fmt;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use crate::LeaseRecord;

/// Address as a number → record as JSON.
const LEASES: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("leases");

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
    database: Database,
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
    /// Opens or makes the database at `path`. A file that is no database any more is set aside with
    /// the ending `.damaged` and replaced: a server that will not start is worse than one that has
    /// forgotten leases which its clients still remember.
    pub fn open(path: &Path) -> Result<Opened, StoreError> {
        let mut notes = Vec::new();
        let fail = |doing, source: redb::Error| StoreError {
            path: path.to_owned(),
            doing,
            source: Box::new(source),
        };
        let database = match Database::create(path) {
            Ok(database) => database,
            Err(redb::DatabaseError::Storage(
                error @ (redb::StorageError::Corrupted(_) | redb::StorageError::Io(_)),
            )) if is_damaged(&error) => {
                let aside = path.with_extension("redb.damaged");
                std::fs::rename(path, &aside)
                    .map_err(|error| fail("set aside", redb::Error::Io(error)))?;
                notes.push(format!(
                    "{} was damaged ({error}); it is kept as {} and a new one begun",
                    path.display(),
                    aside.display()
                ));
                Database::create(path).map_err(|error| fail("create", error.into()))?
            }
            Err(error) => return Err(fail("open", error.into())),
        };
        let leases = Self { database };
        leases
            .commit(&[])
            .map_err(|error| fail("write to", error))?;
        let records = leases
            .read(&mut notes)
            .map_err(|error| fail("read", error))?;
        Ok(Opened {
            leases,
            records,
            notes,
        })
    }

    fn read(&self, notes: &mut Vec<String>) -> Result<Vec<LeaseRecord>, redb::Error> {
        let transaction = self.database.begin_read()?;
        let table = transaction.open_table(LEASES)?;
        let mut records = Vec::new();
        for entry in table.iter()? {
            let (key, value) = entry?;
            let address = Ipv4Addr::from(key.value());
            match serde_json::from_slice::<LeaseRecord>(value.value()) {
                Ok(record) if record.address == address => records.push(record),
                Ok(_) => notes.push(format!(
                    "the record of {address} is another address's; left out"
                )),
                Err(error) => notes.push(format!("the record of {address} is unreadable: {error}")),
            }
        }
        Ok(records)
    }

    /// Makes all the changes, or none, durable; returns when they are on the disk.
    pub fn commit(&self, changes: &[Change]) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        {
            let mut table = transaction.open_table(LEASES)?;
            for change in changes {
                match change {
                    Change::Put(record) => {
                        let bytes = serde_json::to_vec(record)
                            .map_err(|error| redb::Error::Io(std::io::Error::other(error)))?;
                        table.insert(u32::from(record.address), bytes.as_slice())?;
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
}

/// Whether the file itself is bad, as opposed to the disk being full or the folder missing.
fn is_damaged(error: &redb::StorageError) -> bool {
    match error {
        redb::StorageError::Corrupted(_) => true,
        redb::StorageError::Io(error) => matches!(
            error.kind(),
            std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof
        ),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RecordState;
    use model::MacAddr;

    fn record(last: u8) -> LeaseRecord {
        LeaseRecord {
            address: Ipv4Addr::new(192, 168, 67, last),
            mac: MacAddr([2, 0, 0, 0, 0, last]),
            client_id: None,
            hostname: Some(format!("pc{last}")),
            expires: 1000,
            state: RecordState::Bound,
        }
    }

    #[test]
    fn what_was_committed_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("leases.redb");
        let opened = Leases::open(&path).unwrap();
        assert!(opened.records.is_empty() && opened.notes.is_empty());
        opened
            .leases
            .commit(&[Change::Put(record(1)), Change::Put(record(2))])
            .unwrap();
        opened
            .leases
            .commit(&[Change::Remove(record(1).address)])
            .unwrap();
        drop(opened);
        assert_eq!(Leases::open(&path).unwrap().records, [record(2)]);
    }

    #[test]
    fn a_damaged_file_is_set_aside_and_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("leases.redb");
        std::fs::write(&path, vec![0x5a; 1 << 20]).unwrap();
        let opened = Leases::open(&path).unwrap();
        assert_eq!(opened.notes.len(), 1, "{:?}", opened.notes);
        assert!(folder.path().join("leases.redb.damaged").exists());
    }

    #[test]
    fn one_bad_record_costs_only_itself() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("leases.redb");
        let opened = Leases::open(&path).unwrap();
        opened.leases.commit(&[Change::Put(record(1))]).unwrap();
        let transaction = opened.leases.database.begin_write().unwrap();
        transaction
            .open_table(LEASES)
            .unwrap()
            .insert(7, &b"{garbage"[..])
            .unwrap();
        transaction.commit().unwrap();
        drop(opened);
        let opened = Leases::open(&path).unwrap();
        assert_eq!((opened.records.len(), opened.notes.len()), (1, 1));
    }

    #[test]
    fn a_missing_folder_is_an_error_with_its_path() {
        let error = Leases::open(Path::new("/nowhere/leases.redb"))
            .err()
            .unwrap()
            .to_string();
        assert!(
            error.starts_with("cannot open /nowhere/leases.redb: "),
            "{error}"
        );
    }
}
