//! The xattr table: sets of extended attributes, each set stored once.
//!
//! ```text
//! set:    (kind u16, name length u16, name, value length u32, value)*
//! ids:    (place of the set u64, attributes u32, bytes u32)*        one for each set
//! index:  begin of the sets u64, ids u32, unused u32, begin of each block of ids u64
//! ```
//!
//! A value that was stored before is not stored again: its attribute holds the first one's place instead.

use std::collections::HashMap;
use std::io;

use super::dedup::digest;
use super::metadata::{Place, Table};
use crate::entry::Xattr;

/// The index of an inode that has no attributes.
pub(super) const NONE: u32 = u32::MAX;
/// In an attribute's kind: "the value is elsewhere, this is its place".
const ELSEWHERE: u16 = 0x0100;
/// A value no longer than a place gains nothing from being elsewhere.
const PLACE_LENGTH: usize = 8;

/// The name spaces that squashfs has; the kind is the position.
const PREFIXES: [&[u8]; 3] = [b"user.", b"trusted.", b"security."];

pub(super) struct Xattrs {
    sets: Table,
    ids: Vec<u8>,
    known_sets: HashMap<[u8; 16], u32>,
    known_values: HashMap<[u8; 16], Place>,
}

impl Xattrs {
    pub(super) fn new(sets: Table) -> Self {
        Self {
            sets,
            ids: Vec::new(),
            known_sets: HashMap::new(),
            known_values: HashMap::new(),
        }
    }

    /// Whether squashfs has room for an attribute of this name.
    pub(super) fn holds(name: &[u8]) -> bool {
        split(name).is_some()
    }

    /// The index of this set of attributes; stored when it is new. Attributes outside squashfs's name spaces are left out.
    pub(super) fn index(&mut self, xattrs: &[Xattr]) -> io::Result<u32> {
        let held: Vec<_> = xattrs
            .iter()
            .filter_map(|xattr| split(&xattr.name).map(|(kind, name)| (kind, name, &xattr.value)))
            .collect();
        if held.is_empty() {
            return Ok(NONE);
        }
        let key = digest(held.iter().flat_map(|(kind, name, value)| {
            let lengths = [*kind as u64, name.len() as u64, value.len() as u64];
            lengths
                .map(|length| length.to_le_bytes().to_vec())
                .into_iter()
                .chain([name.to_vec(), value.to_vec()])
        }));
        if let Some(&index) = self.known_sets.get(&key) {
            return Ok(index);
        }
        let index = self.known_sets.len() as u32;
        let place = self.sets.place();
        let before = self.sets.written();
        for (kind, name, value) in &held {
            self.store(*kind, name, value)?;
        }
        let bytes = (self.sets.written() - before) as u32;
        self.ids.extend(place.reference().to_le_bytes());
        self.ids.extend((held.len() as u32).to_le_bytes());
        self.ids.extend(bytes.to_le_bytes());
        self.known_sets.insert(key, index);
        Ok(index)
    }

    /// The sets' table (not finished), the encoded ids, and how many there are.
    pub(super) fn into_parts(self) -> (Table, Vec<u8>, u32) {
        (self.sets, self.ids, self.known_sets.len() as u32)
    }

    fn store(&mut self, kind: u16, name: &[u8], value: &[u8]) -> io::Result<()> {
        let key = digest([value]);
        let earlier = (value.len() > PLACE_LENGTH)
            .then(|| self.known_values.get(&key).copied())
            .flatten();
        let flag = if earlier.is_some() { ELSEWHERE } else { 0 };
        self.sets.write(&(kind | flag).to_le_bytes())?;
        self.sets.write(&(name.len() as u16).to_le_bytes())?;
        self.sets.write(name)?;
        let Some(earlier) = earlier else {
            self.known_values.insert(key, self.sets.place());
            self.sets.write(&(value.len() as u32).to_le_bytes())?;
            return self.sets.write(value);
        };
        self.sets.write(&(PLACE_LENGTH as u32).to_le_bytes())?;
        self.sets.write(&earlier.reference().to_le_bytes())
    }
}

/// The kind of a name and what is left of it.
fn split(name: &[u8]) -> Option<(u16, &[u8])> {
    PREFIXES
        .iter()
        .enumerate()
        .find_map(|(kind, prefix)| Some((kind as u16, name.strip_prefix(*prefix)?)))
}
