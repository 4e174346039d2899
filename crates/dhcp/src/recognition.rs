//! Which cards belong to clients that are known by something else than their card's address.

use std::collections::HashMap;

use model::{KnownBy, MacAddr};

use crate::flood::Flood;

/// Cards of one machine that are remembered.
const MAX_CARDS: usize = 8;

/// What cards showed. A machine shows its mainboard's number only as firmware and its client identifier only as the
/// system that made it up, so the card that did so stands for it in the other stages of a boot.
#[derive(Debug, Default)]
pub(crate) struct Recognition {
    by_card: HashMap<MacAddr, KnownBy>,
    /// The cards of each, the one that showed it last at the end.
    cards: HashMap<KnownBy, Vec<MacAddr>>,
    /// Whoever knows a number can show it with any number of cards.
    news: Flood,
}

impl Recognition {
    /// A card showed it; whether that is news. Nothing is news of the card that showed it last.
    pub(crate) fn met(&mut self, unix: u64, card: MacAddr, known_by: &KnownBy) -> bool {
        let is_latest = self.latest(known_by) == Some(card);
        if is_latest && self.of(card) == Some(known_by) || !self.news.admits(unix) {
            return false;
        }
        self.put(card, known_by);
        true
    }

    /// What was known before the process ended.
    pub(crate) fn put(&mut self, card: MacAddr, known_by: &KnownBy) {
        self.forget(card);
        let cards = self.cards.entry(known_by.clone()).or_default();
        cards.push(card);
        if cards.len() > MAX_CARDS {
            let oldest = cards.remove(0);
            self.by_card.remove(&oldest);
        }
        self.by_card.insert(card, known_by.clone());
    }

    /// A card belongs to another machine now; whether that is news.
    pub(crate) fn forget(&mut self, card: MacAddr) -> bool {
        let Some(known_by) = self.by_card.remove(&card) else {
            return false;
        };
        if let Some(cards) = self.cards.get_mut(&known_by) {
            cards.retain(|other| *other != card);
        }
        true
    }

    pub(crate) fn of(&self, card: MacAddr) -> Option<&KnownBy> {
        self.by_card.get(&card)
    }

    /// The card that showed it last.
    pub(crate) fn latest(&self, known_by: &KnownBy) -> Option<MacAddr> {
        self.cards.get(known_by)?.last().copied()
    }

    /// All cards, those of one machine in the order in which they showed it.
    pub(crate) fn all(&self) -> impl Iterator<Item = (MacAddr, &KnownBy)> {
        let cards = self.cards.iter();
        cards.flat_map(|(known_by, cards)| cards.iter().map(move |card| (*card, known_by)))
    }
}
