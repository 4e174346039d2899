//! The entries of a source, some of them ahead of the writer, so that files are read before their turn comes.

use std::collections::VecDeque;
use std::io::{Seek, Write};

use super::blocks::Blocks;
use crate::entry::{Content, Entry, Kind};
use crate::source;

/// Entries ahead at most, those without content among them.
const ENTRIES: usize = 1024;

/// What the source answers for one name.
type Found = Result<Entry, source::Error>;

pub(super) struct Ahead<'a> {
    entries: &'a mut dyn Iterator<Item = Found>,
    queue: VecDeque<Found>,
    ended: bool,
}

impl<'a> Ahead<'a> {
    pub(super) fn new(entries: &'a mut dyn Iterator<Item = Found>) -> Self {
        Self {
            entries,
            queue: VecDeque::new(),
            ended: false,
        }
    }

    /// The next entry. The content of a file has been announced to `blocks`, in the same order. What came before
    /// an error comes first.
    pub(super) fn next<W: Write + Seek + Send + 'static>(
        &mut self,
        blocks: &mut Blocks<'_, W>,
    ) -> Option<Found> {
        while !self.ended && self.queue.len() < ENTRIES && !blocks.is_full() {
            let Some(mut entry) = self.entries.next() else {
                self.ended = true;
                break;
            };
            match &mut entry {
                Ok(Entry {
                    path,
                    kind: Kind::File { size, content },
                    ..
                }) => {
                    let nothing: Box<dyn Content> = Box::new(Vec::new());
                    blocks.announce(path, *size, std::mem::replace(content, nothing));
                }
                Ok(_) => {}
                Err(_) => self.ended = true,
            }
            self.queue.push_back(entry);
        }
        self.queue.pop_front()
    }
}
