//! The file of leases: what was committed, one batch after the other.
//!
//! ```text
//! netbootd leases 1
//! +0000009c 1c291ca3                a batch: bytes that follow, and their CRC-32, in hexadecimal
//! {"address":"10.0.0.9",…}#89abcdef   a record; it replaces the one of the same address
//! -10.0.0.8                         from here on there is none of this address
//! +…
//! 0 0 0 …                           room: written before it is used, so that a batch changes no length
//! ```
//!
//! A batch that is not whole was cut short while it was written, and nobody was told of it; or it was
//! damaged. One cannot tell which of the last one. In both cases its whole records count, since at
//! worst an address is then kept for too long.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use crate::{Change, LeaseRecord, salvage};

/// What the file begins with.
const TITLE: &[u8] = b"netbootd leases 1\n";
/// Bytes before a batch.
const HEADER: usize = "+01234567 01234567\n".len();
/// Room is made in steps of this many bytes.
const ROOM: u64 = 256 << 10;
/// Records in a batch of a file that is written anew.
const TOGETHER: usize = 1000;

/// What a file says.
#[derive(Debug, Default)]
pub(crate) struct Content {
    /// The last record of each address that has one.
    pub records: Records,
    /// Where the next batch goes.
    pub end: u64,
    /// What is wrong with single records of good batches, one line each.
    pub notes: Vec<String>,
    /// Whole records of a last batch that is not.
    pub cut: Vec<LeaseRecord>,
    /// Records of broken batches that are broken themselves.
    pub unreadable: usize,
    /// Bytes that a file of the records alone would have, about.
    pub used: u64,
    pub condition: Condition,
}

/// The records of a file. They stay the text that they are there: who takes one after the other holds none twice.
#[derive(Debug, Default)]
pub struct Records {
    bytes: Vec<u8>,
    places: BTreeMap<Ipv4Addr, Range<usize>>,
}

impl Records {
    /// Each of them, by address.
    pub fn iter(&self) -> impl Iterator<Item = LeaseRecord> + Clone {
        let texts = self.places.values().map(|place| &self.bytes[place.clone()]);
        // They were read before: nothing falls out here.
        texts.filter_map(|text| LeaseRecord::from_bytes(text).ok())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
}

/// How a file is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Condition {
    #[default]
    Whole,
    /// The last batch is not whole.
    Cut,
    /// Something else is not as it was written.
    Damaged,
}

impl Content {
    /// Reads all that can be read.
    pub(crate) fn read(bytes: Vec<u8>) -> Self {
        let mut content = Self::default();
        let mut at = TITLE.len();
        if !bytes.starts_with(TITLE) {
            content.condition = Condition::Damaged;
            at = 0;
        }
        let mut lines = 0;
        loop {
            let rest = &bytes[at..];
            if let Some(body) = batch(rest) {
                at += HEADER;
                for line in body.split_inclusive(|byte| *byte == b'\n') {
                    content.apply(line, at);
                    at += line.len();
                    lines += 1;
                }
                continue;
            }
            content.end = at as u64;
            if rest.iter().all(|byte| *byte == 0) {
                break;
            }
            let is_batch = |at: &usize| rest[*at] == b'+' && batch(&rest[*at..]).is_some();
            let next = (1..rest.len()).find(is_batch);
            let broken = &rest[..next.unwrap_or(rest.len())];
            let (records, unreadable) = salvage::records(broken);
            content.unreadable += unreadable;
            for (place, record) in &records {
                let place = at + place.start..at + place.end;
                content.records.places.insert(record.address, place);
            }
            if next.is_some() {
                content.condition = Condition::Damaged;
            } else if content.condition == Condition::Whole {
                content.condition = Condition::Cut;
                content.cut = records.into_iter().map(|(_, record)| record).collect();
                break;
            }
            at += broken.len();
        }
        content.used = content.end * content.records.len() as u64 / lines.max(1);
        content.records.bytes = bytes;
        content
    }

    /// A line of a good batch, which begins at `at`.
    fn apply(&mut self, line: &[u8], at: usize) {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let text = str::from_utf8(line).unwrap_or_default();
        let places = &mut self.records.places;
        if let Some(address) = text.strip_prefix('-').and_then(|text| text.parse().ok()) {
            places.remove(&address);
            return;
        }
        match LeaseRecord::from_bytes(line) {
            Ok(record) => drop(places.insert(record.address, at..at + line.len())),
            Err(why) => self.notes.push(format!("a record is unreadable: {why}")),
        }
    }
}

/// What is in the batch at the beginning of `bytes`, if there is one and it is whole.
fn batch(bytes: &[u8]) -> Option<&[u8]> {
    let (header, rest) = bytes.split_at_checked(HEADER)?;
    let text = str::from_utf8(header).ok()?;
    let (len, sum) = text
        .strip_prefix('+')?
        .strip_suffix('\n')?
        .split_once(' ')?;
    let body = rest.get(..usize::from_str_radix(len, 16).ok()?)?;
    (u32::from_str_radix(sum, 16).ok()? == crc32fast::hash(body)).then_some(body)
}

fn write_batch<T: Borrow<Change>>(to: &mut Vec<u8>, changes: impl IntoIterator<Item = T>) {
    let mut body = Vec::new();
    for change in changes {
        match change.borrow() {
            Change::Put(record) => body.extend(record.to_bytes()),
            Change::Remove(address) => body.extend(format!("-{address}").into_bytes()),
        }
        body.push(b'\n');
    }
    let sum = crc32fast::hash(&body);
    to.extend(format!("+{:08x} {sum:08x}\n", body.len()).into_bytes());
    to.extend(body);
}

/// A file of these records and nothing else.
pub(crate) fn file_of(records: impl Iterator<Item = LeaseRecord>) -> Vec<u8> {
    let mut bytes = TITLE.to_vec();
    let mut changes = records.map(Change::Put).peekable();
    while changes.peek().is_some() {
        write_batch(&mut bytes, changes.by_ref().take(TOGETHER));
    }
    bytes
}

/// A file that batches are appended to.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    /// Where the next batch goes.
    end: u64,
    /// What the file has already.
    len: u64,
}

impl Journal {
    /// Goes on behind `end`.
    pub(crate) fn new(file: File, end: u64) -> io::Result<Self> {
        let len = file.metadata()?.len();
        Ok(Self { file, end, len })
    }

    /// Bytes written.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Writes a batch; returns when it is on the disk. After an error [`Journal::cut`] is to come first.
    pub(crate) fn append(&mut self, changes: &[Change]) -> io::Result<()> {
        let mut bytes = Vec::new();
        write_batch(&mut bytes, changes);
        let end = self.end + bytes.len() as u64;
        let len = match end > self.len {
            true => end.next_multiple_of(ROOM),
            false => self.len,
        };
        if len > self.len {
            // Written, and not only reserved: else each batch would change what the file consists of.
            bytes.resize((len - self.end) as usize, 0);
        }
        self.file.write_all_at(&bytes, self.end)?;
        self.file.sync_data()?;
        (self.end, self.len) = (end, len);
        Ok(())
    }

    /// Removes what is left of a batch that was not written.
    pub(crate) fn cut(&mut self) -> io::Result<()> {
        self.file.set_len(self.end)?;
        self.len = self.end;
        Ok(())
    }
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
