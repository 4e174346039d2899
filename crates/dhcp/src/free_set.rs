//! A set of small numbers that finds its next member without walking.

const WORD: usize = 64;

/// Numbers below a fixed bound. Besides the bits there is a bit per word that has any, a bit per
/// word of those, and so on, so that [`FreeSet::next_from`] looks at no more than two words per
/// level: four levels hold sixteen million numbers in a little more than two megabytes.
#[derive(Clone, Debug)]
pub(crate) struct FreeSet {
    /// The bits first, then each summary of the level before it; the last is one word.
    levels: Vec<Vec<u64>>,
    bound: usize,
}

impl FreeSet {
    /// An empty set of numbers below `bound`.
    pub(crate) fn new(bound: usize) -> Self {
        let mut levels = Vec::new();
        let mut bits = bound;
        loop {
            let words = bits.div_ceil(WORD).max(1);
            levels.push(vec![0; words]);
            if words == 1 {
                return Self { levels, bound };
            }
            bits = words;
        }
    }

    pub(crate) fn insert(&mut self, number: usize) {
        debug_assert!(number < self.bound);
        let mut bit = number;
        for level in &mut self.levels {
            if let Some(word) = level.get_mut(bit / WORD) {
                *word |= 1 << (bit % WORD);
            }
            bit /= WORD;
        }
    }

    pub(crate) fn remove(&mut self, number: usize) {
        let mut bit = number;
        for level in &mut self.levels {
            let Some(word) = level.get_mut(bit / WORD) else {
                return;
            };
            *word &= !(1 << (bit % WORD));
            if *word != 0 {
                return;
            }
            bit /= WORD;
        }
    }

    pub(crate) fn contains(&self, number: usize) -> bool {
        self.word(0, number / WORD) >> (number % WORD) & 1 == 1
    }

    /// The first member at or after `start`, else the first of all. Adds the words it looked at to
    /// `steps`.
    pub(crate) fn next_from(&self, start: usize, steps: &mut u64) -> Option<usize> {
        self.at_or_after(start, steps)
            .or_else(|| self.at_or_after(0, steps))
    }

    fn at_or_after(&self, start: usize, steps: &mut u64) -> Option<usize> {
        let mut bit = start;
        let mut level = 0;
        // Up: until a word has a member at or after `bit`.
        let found = loop {
            *steps += 1;
            let word = self.word(level, bit / WORD) & (u64::MAX << (bit % WORD));
            if word != 0 {
                break bit / WORD * WORD + word.trailing_zeros() as usize;
            }
            bit = bit / WORD + 1;
            level += 1;
            if level == self.levels.len() {
                return None;
            }
            if bit >= self.levels[level].len() * WORD {
                return None;
            }
        };
        // Down: the first member below each summary bit.
        let mut number = found;
        for below in (0..level).rev() {
            *steps += 1;
            number = number * WORD + self.word(below, number).trailing_zeros() as usize;
        }
        Some(number)
    }

    fn word(&self, level: usize, index: usize) -> u64 {
        let words = self.levels.get(level);
        words
            .and_then(|words| words.get(index))
            .copied()
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_finds_what_an_ordered_set_finds(
            changes in prop::collection::vec((any::<bool>(), 0usize..70_000), 0..200),
            starts in prop::collection::vec(0usize..70_000, 1..20),
        ) {
            let (mut set, mut model) = (FreeSet::new(70_000), BTreeSet::new());
            for (insert, number) in changes {
                if insert {
                    set.insert(number);
                    model.insert(number);
                } else {
                    set.remove(number);
                    model.remove(&number);
                }
                prop_assert_eq!(set.contains(number), insert);
            }
            for start in starts {
                let expected = model.range(start..).next().or_else(|| model.first());
                prop_assert_eq!(set.next_from(start, &mut 0), expected.copied());
            }
        }
    }

    #[test]
    fn a_search_takes_a_few_steps_however_many_numbers_there_are() {
        let mut set = FreeSet::new(1 << 24);
        set.insert(5);
        let mut steps = 0;
        assert_eq!(set.next_from((1 << 24) - 1, &mut steps), Some(5));
        assert!(steps <= 16, "{steps}");
        assert_eq!(FreeSet::new(0).next_from(0, &mut steps), None);
    }
}
