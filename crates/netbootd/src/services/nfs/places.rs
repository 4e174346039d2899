//! What was asked of which export.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use super::counters::now;

/// The places that are counted apart, no more than a bound: who has not been asked for longest is
/// forgotten for a new one.
#[derive(Debug)]
pub(super) struct Places<const MOST: usize>(Mutex<Vec<Arc<Place>>>);

/// An export, and what was asked of it.
#[derive(Debug, Default)]
pub(super) struct Place {
    name: Arc<str>,
    calls: AtomicU64,
    bytes: AtomicU64,
    last: AtomicU64,
}

/// What was asked of one export: a generation as a file or as a tree, or a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaceFigures {
    /// Its path, a generation's with the generation.
    pub export: Arc<str>,
    /// Calls answered.
    pub calls: u64,
    /// Bytes of replies.
    pub bytes_sent: u64,
    /// The last call, in milliseconds since 1970.
    pub last_call: u64,
}

impl<const MOST: usize> Default for Places<MOST> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<const MOST: usize> Places<MOST> {
    /// The place of this name.
    pub(super) fn get(&self, name: &Arc<str>) -> Arc<Place> {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = places.iter().find(|place| place.name == *name) {
            return Arc::clone(place);
        }
        if places.len() >= MOST
            && let Some(oldest) = (0..places.len()).min_by_key(|at| places[*at].last.load(Relaxed))
        {
            places.swap_remove(oldest);
        }
        let place = Arc::new(Place {
            name: Arc::clone(name),
            ..Place::default()
        });
        places.push(Arc::clone(&place));
        place
    }

    /// All, the last asked first.
    pub(super) fn figures(&self) -> Vec<PlaceFigures> {
        let places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let figures = places.iter().map(|place| PlaceFigures {
            export: Arc::clone(&place.name),
            calls: place.calls.load(Relaxed),
            bytes_sent: place.bytes.load(Relaxed),
            last_call: place.last.load(Relaxed),
        });
        let mut figures: Vec<_> = figures.collect();
        figures.sort_by_key(|place| std::cmp::Reverse(place.last_call));
        figures
    }
}

impl Place {
    /// One call was answered with so many bytes.
    pub(super) fn answered(&self, bytes: u64) {
        self.calls.fetch_add(1, Relaxed);
        self.bytes.fetch_add(bytes, Relaxed);
        self.last.store(now(), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_asked_for_longest_is_forgotten() {
        let places = Places::<2>::default();
        let name = |number: u32| format!("/images/{number}").into();
        for number in 0..3 {
            let place = places.get(&name(number));
            place.answered(100);
            place.last.store(number.into(), Relaxed);
        }
        let names: Vec<_> = places.figures().into_iter().map(|it| it.export).collect();
        assert_eq!(names, [name(2), name(1)]);
        places.get(&name(2)).answered(11);
        let last = &places.figures()[0];
        assert_eq!((last.calls, last.bytes_sent), (2, 111));
    }
}
