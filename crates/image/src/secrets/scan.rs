//! The scan: entries pass through, what is in them is written down.

use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};

use super::content::{Hits, Watched};
use super::packages::Packages;
use super::{Found, LISTED, Secret};
use crate::entry::{Content, Entry, Kind};
use crate::progress::Progress;
use crate::scrub::Pattern;
use crate::source;
use crate::tree::Tree;

/// Bytes read at once by [`Scan::read_on`].
const CHUNK: usize = 256 << 10;

/// The entries of a source, looked at while the one who takes them reads the files.
///
/// At the entry after the first secret that is not allowed, [`source::Error::Secret`] ends the stream, so that
/// nobody works on for an image that will not be. [`Scan::read_on`] then looks at the rest, and
/// [`Scan::finish`] tells everything.
pub struct Scan<'a, I> {
    entries: I,
    tree: &'a dyn Tree,
    /// Read when the first secret is found.
    packages: Option<Packages>,
    allowed: Vec<Pattern>,
    hits: Hits,
    /// Files that have passed.
    files: u64,
    found: Listed,
}

/// [`Found`], each secret with its file's number: threads find in any order.
#[derive(Default)]
struct Listed {
    refused: Vec<(u64, Secret)>,
    allowed: Vec<(u64, Secret)>,
    public: u64,
    more: u64,
}

impl<'a, I> Scan<'a, I>
where
    I: Iterator<Item = Result<Entry, source::Error>>,
{
    /// Looks at `entries`. What its packages ship is read from `tree`; secrets in files that one of the
    /// patterns in `allowed` names are told and do not stop anything.
    pub fn new(entries: I, tree: &'a dyn Tree, allowed: Vec<Pattern>) -> Self {
        Self {
            entries,
            tree,
            packages: None,
            allowed,
            hits: Hits::default(),
            files: 0,
            found: Listed::default(),
        }
    }

    /// Reads all files that are still to come, only to look at them.
    ///
    /// # Errors
    /// As the source's, and [`source::Error::Stopped`] soon after `stop` became true.
    pub fn read_on(
        &mut self,
        progress: &dyn Progress,
        stop: &AtomicBool,
    ) -> Result<(), source::Error> {
        let mut buffer = vec![0; CHUNK];
        while let Some(entry) = self.pass() {
            let entry = entry?;
            let Kind::File { size, mut content } = entry.kind else {
                continue;
            };
            let mut offset = 0;
            while offset < size {
                if stop.load(Ordering::Relaxed) {
                    return Err(source::Error::Stopped);
                }
                let Some(data) = content.data_after(offset) else {
                    break;
                };
                offset = offset.max(data.start);
                match content.read_at(&mut buffer, offset) {
                    Ok(0) => break,
                    Ok(count) => offset += count as u64,
                    Err(cause) if cause.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(cause) => {
                        return Err(source::Error::Io {
                            action: "read",
                            path: crate::squash::shown(&entry.path),
                            cause,
                        });
                    }
                }
            }
            progress.advance(size);
            progress.file();
        }
        Ok(())
    }

    /// What was found in the files that have passed.
    ///
    /// # Errors
    /// When the packages' checksums cannot be read.
    pub fn finish(mut self) -> Result<Found, source::Error> {
        self.judge()?;
        Ok(Found {
            refused: sorted(self.found.refused),
            allowed: sorted(self.found.allowed),
            public: self.found.public,
            more: self.found.more,
        })
    }

    /// The next entry, with an eye on its content.
    fn pass(&mut self) -> Option<Result<Entry, source::Error>> {
        let mut entry = self.entries.next()?;
        if let Ok(entry) = &mut entry
            && let Kind::File { size, content } = &mut entry.kind
            && *size > 0
        {
            let nothing: Box<dyn Content> = Box::new(Vec::new());
            let inner = std::mem::replace(content, nothing);
            *content = Box::new(Watched::new(
                self.files,
                &entry.path,
                *size,
                inner,
                &self.hits,
            ));
            self.files += 1;
        }
        Some(entry)
    }

    /// Decides about the hits of the files that have been read.
    fn judge(&mut self) -> Result<(), source::Error> {
        let hits = std::mem::take(&mut *self.hits.lock().unwrap_or_else(PoisonError::into_inner));
        for hit in hits {
            let packages =
                match &mut self.packages {
                    Some(packages) => packages,
                    none => none.insert(Packages::read(self.tree).map_err(|cause| {
                        source::Error::Io {
                            action: "read",
                            path: "the packages' checksums".to_owned(),
                            cause,
                        }
                    })?),
                };
            if hit.md5.is_some_and(|md5| packages.ships(&hit.path, &md5)) {
                self.found.public += 1;
                continue;
            }
            let allowed = self
                .allowed
                .iter()
                .any(|pattern| pattern.matches(&hit.path));
            let list = match allowed {
                true => &mut self.found.allowed,
                false => &mut self.found.refused,
            };
            if list.len() >= LISTED {
                self.found.more += 1;
                continue;
            }
            let secret = Secret {
                path: crate::squash::shown(&hit.path),
                what: hit.what.to_owned(),
            };
            list.push((hit.number, secret));
        }
        Ok(())
    }
}

impl<I> Iterator for Scan<'_, I>
where
    I: Iterator<Item = Result<Entry, source::Error>>,
{
    type Item = I::Item;

    fn next(&mut self) -> Option<Self::Item> {
        if let Err(error) = self.judge() {
            return Some(Err(error));
        }
        match self.found.refused.is_empty() {
            true => self.pass(),
            false => Some(Err(source::Error::Secret)),
        }
    }
}

/// In the order of the source.
fn sorted(mut secrets: Vec<(u64, Secret)>) -> Vec<Secret> {
    secrets.sort_by_key(|(number, _)| *number);
    secrets.into_iter().map(|(_, secret)| secret).collect()
}
