//! Puts edited files in the place of the source's own.

use super::Accounts;
use crate::entry::{Entry, Kind};
use crate::source;

/// The entries of a source with the account files as [`Accounts`] says.
pub struct Edited<'a, I> {
    entries: I,
    accounts: &'a Accounts,
}

impl<'a, I> Edited<'a, I> {
    /// Edits `entries` as they pass.
    pub fn new(entries: I, accounts: &'a Accounts) -> Self {
        Self { entries, accounts }
    }
}

impl<I> Iterator for Edited<'_, I>
where
    I: Iterator<Item = Result<Entry, source::Error>>,
{
    type Item = I::Item;

    fn next(&mut self) -> Option<Self::Item> {
        let mut entry = self.entries.next()?;
        if let Ok(entry) = &mut entry
            && let Kind::File { size, content } = &mut entry.kind
            && let Some(edited) = self.accounts.content(&entry.path)
        {
            *size = edited.len() as u64;
            *content = Box::new(edited.to_vec());
        }
        Some(entry)
    }
}
