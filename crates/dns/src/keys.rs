//! Many names in little memory.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

/// Names as bytes, numbered as they came. They are one text, so that none costs more than its bytes and some twenty for
/// its place in the text and in the table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys {
    text: Vec<u8>,
    /// Where each ends in the text.
    ends: Vec<usize>,
    numbers: HashTable<u32>,
    hasher: RandomState,
}

impl Keys {
    /// The bytes of a number that was given out.
    pub(crate) fn key(&self, number: u32) -> &[u8] {
        of(&self.text, &self.ends, number)
    }

    /// The number of a name, if it is here.
    pub(crate) fn find(&self, key: &[u8]) -> Option<u32> {
        let is_key = |number: &u32| self.key(*number) == key;
        self.numbers
            .find(self.hasher.hash_one(key), is_key)
            .copied()
    }

    /// The number of a name: the next one, if it is new.
    pub(crate) fn number(&mut self, key: &[u8]) -> u32 {
        if let Some(number) = self.find(key) {
            return number;
        }
        let number = self.ends.len() as u32;
        self.text.extend(key);
        self.ends.push(self.text.len());
        let (text, ends, hasher) = (&self.text, &self.ends, &self.hasher);
        let hash = |number: &u32| hasher.hash_one(of(text, ends, *number));
        self.numbers
            .insert_unique(hasher.hash_one(key), number, hash);
        number
    }
}

fn of<'a>(text: &'a [u8], ends: &[usize], number: u32) -> &'a [u8] {
    let number = number as usize;
    let start = number.checked_sub(1).map_or(0, |before| ends[before]);
    &text[start..ends[number]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_has_one_number_and_is_found_by_it() {
        let mut keys = Keys::default();
        let name = |number: u32| number.to_string().into_bytes();
        for _ in 0..2 {
            assert!((0..500).all(|number| keys.number(&name(number)) == number));
        }
        assert!((0..500).all(|number| keys.key(number) == name(number)));
        assert_eq!((keys.find(b""), keys.find(b"b")), (None, None));
    }
}
