//! The leases on the disk.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Read};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::journal::{self, Condition, Content, Journal, Records};
use crate::{LeaseRecord, file};

/// How long a disk that failed is left alone.
const RETRY: Duration = Duration::from_secs(1);
/// A file that is longer is not ours; these are millions of leases.
const MOST: u64 = 1 << 30;
/// Bytes of outdated records that are worth writing the file anew without them, where they are twice as many as the
/// others.
const OUTDATED: u64 = 4 << 20;

/// A change to make durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Writes the record, replacing one of the same address.
    Put(LeaseRecord),
    /// Removes the record of an address.
    Remove(Ipv4Addr),
}

/// The file of leases. One process at a time may have it open.
pub struct Leases {
    path: PathBuf,
    /// Locked for as long as we are.
    _folder: File,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// None after an error: then the file is looked at anew, since what has become of it is not known.
    open: Option<Open>,
    failed: Option<(Instant, String)>,
}

struct Open {
    journal: Journal,
    /// How long the file may become before it is written anew.
    limit: u64,
}

/// A file of leases, opened.
pub struct Opened {
    /// For changes from now on.
    pub leases: Leases,
    /// What was on disk.
    pub records: Records,
    /// What was wrong with it and was left out, one line each, for the log.
    pub notes: Vec<String>,
}

/// The disk failed us.
#[derive(Debug)]
pub struct StoreError {
    path: PathBuf,
    doing: &'static str,
    source: io::Error,
}

impl StoreError {
    fn new(path: &Path, doing: &'static str, source: io::Error) -> Self {
        let path = path.to_owned();
        Self {
            path,
            doing,
            source,
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (doing, path) = (self.doing, self.path.display());
        write!(f, "cannot {doing} {path}: {}", self.source)
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Whether there is no room: what was there can be read, and room may come.
fn is_full(error: &io::Error) -> bool {
    use ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    [StorageFull, QuotaExceeded, ReadOnlyFilesystem].contains(&error.kind())
}

impl Leases {
    /// Opens or makes the file at `path`. One that is damaged is kept with the ending `.damaged`, what
    /// can be read of it is taken over into a new one, and `notes` say so: a server that will not start
    /// is worse than one that has forgotten leases which its clients still remember. On a disk without
    /// room it is read, and written to by [`Leases::commit`] as soon as that is possible.
    ///
    /// # Errors
    /// The folder is missing, may not be written to, or another process has the file open.
    pub fn open(path: &Path) -> Result<Opened, StoreError> {
        let fail = |error| StoreError::new(path, "open", error);
        let folder = lock_folder(path).map_err(fail)?;
        let read = read(path).map_err(|error| StoreError::new(path, "read", error));
        let (content, mut notes) = read?;
        let mut state = State::default();
        match begin(path, &content) {
            Ok((open, note)) => {
                state.open = Some(open);
                notes.extend(note);
            }
            Err(error) => {
                let is_full = is_full(&error);
                let error = StoreError::new(path, "write to", error);
                if !is_full {
                    return Err(error);
                }
                notes.push(format!("{error}; no new lease is given until it can"));
                state.failed = Some((Instant::now(), error.source.to_string()));
            }
        }
        let leases = Self {
            path: path.to_owned(),
            _folder: folder,
            state: Mutex::new(state),
        };
        Ok(Opened {
            leases,
            records: content.records,
            notes,
        })
    }

    /// Makes all the changes, or none, durable; returns when they are on the disk. After an error it
    /// is not known whether they are. For a second from then on everything else is refused too, and
    /// then tried again.
    pub fn commit(&self, changes: &[Change]) -> Result<(), StoreError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((since, why)) = &state.failed
            && since.elapsed() < RETRY
        {
            let again = io::Error::other(why.clone());
            return Err(StoreError::new(&self.path, "write to", again));
        }
        match self.write(state.open.take(), changes) {
            Ok(open) => {
                *state = State {
                    open: Some(open),
                    failed: None,
                };
                Ok(())
            }
            Err(error) => {
                state.failed = Some((Instant::now(), error.to_string()));
                Err(StoreError::new(&self.path, "write to", error))
            }
        }
    }

    fn write(&self, open: Option<Open>, changes: &[Change]) -> io::Result<Open> {
        let mut open = match open {
            Some(open) => open,
            None => self.again()?,
        };
        if open.journal.end() > open.limit {
            let (content, _) = read(&self.path)?;
            open = match renew(&self.path, &content) {
                // There may be room for a few leases where there is none for all of them.
                Err(error) if is_full(&error) => {
                    let open = self.again()?;
                    let limit = open.journal.end() + OUTDATED;
                    Open { limit, ..open }
                }
                renewed => renewed?,
            };
        }
        open.journal.append(changes)?;
        Ok(open)
    }

    /// Opens the file again. What there is to say of it was said the first time.
    fn again(&self) -> io::Result<Open> {
        let (content, _) = read(&self.path)?;
        Ok(begin(&self.path, &content)?.0)
    }
}

/// Whoever has the folder locked has the file, whichever file it is by now.
fn lock_folder(path: &Path) -> io::Result<File> {
    let folder = File::open(path.parent().unwrap_or(Path::new("/")))?;
    match folder.try_lock() {
        Ok(()) => Ok(folder),
        Err(TryLockError::WouldBlock) => {
            let why = "another netbootd has it open";
            Err(io::Error::new(ErrorKind::WouldBlock, why))
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// What the file says, and what is to be said of it; nothing if there is none.
fn read(path: &Path) -> io::Result<(Content, Vec<String>)> {
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Default::default()),
        file => file?,
    };
    let is_ours = file.metadata()?.len() <= MOST;
    let mut bytes = Vec::new();
    file.take(MOST).read_to_end(&mut bytes)?;
    if bytes.is_empty() {
        let note = format!("{} was empty; no lease is known", path.display());
        return Ok((Content::default(), vec![note]));
    }
    let mut content = Content::read(bytes);
    if !is_ours {
        content.condition = Condition::Damaged;
    }
    let notes = std::mem::take(&mut content.notes);
    Ok((content, notes))
}

/// Makes the file ready for changes, with a line for the log if it was not whole.
fn begin(path: &Path, content: &Content) -> io::Result<(Open, Option<String>)> {
    let (known, unreadable) = (content.records.len(), content.unreadable);
    if content.end == 0 && content.condition == Condition::Whole {
        return Ok((renew(path, content)?, None));
    }
    if content.condition == Condition::Damaged {
        let aside = keep_aside(path)?;
        let open = renew(path, content).inspect_err(|_| drop(fs::remove_file(&aside)))?;
        let note = format!(
            "{} was damaged; it is kept as {}. {known} leases were read out of it, and {unreadable} \
             records in it are unreadable; a client whose lease is lost keeps its address where it \
             is still free",
            path.display(),
            aside.display(),
        );
        return Ok((open, Some(note)));
    }
    let mut open = Open {
        journal: Journal::new(writable(path)?, content.end)?,
        limit: limit(content.used),
    };
    if content.condition == Condition::Whole {
        return Ok((open, None));
    }
    open.journal.cut()?;
    let salvaged: Vec<_> = content.cut.iter().cloned().map(Change::Put).collect();
    open.journal.append(&salvaged)?;
    let note = format!(
        "the last write to {} was cut short, or is damaged: {} records of it were read, and {unreadable} \
         are unreadable",
        path.display(),
        salvaged.len()
    );
    Ok((open, Some(note)))
}

fn writable(path: &Path) -> io::Result<File> {
    File::options().read(true).write(true).open(path)
}

/// How long a file may become of which so many bytes are needed.
fn limit(used: u64) -> u64 {
    used.saturating_mul(3).max(used + OUTDATED)
}

/// Writes the file anew, with nothing outdated in it.
fn renew(path: &Path, content: &Content) -> io::Result<Open> {
    let bytes = journal::file_of(content.records.iter());
    file::replace(path, &bytes)?;
    let end = bytes.len() as u64;
    Ok(Open {
        journal: Journal::new(writable(path)?, end)?,
        limit: limit(end),
    })
}

/// Gives the file at `path` a second name, which it keeps when it is replaced.
fn keep_aside(path: &Path) -> io::Result<PathBuf> {
    let name = |number: u32| {
        let mut name = OsString::from(path);
        name.push(".damaged");
        if number > 1 {
            name.push(format!("-{number}"));
        }
        PathBuf::from(name)
    };
    let aside = (1..).map(name).find(|aside| !aside.exists());
    let aside = aside.ok_or(ErrorKind::AlreadyExists)?;
    fs::hard_link(path, &aside)?;
    Ok(aside)
}

#[cfg(test)]
#[path = "leases_tests.rs"]
mod tests;
