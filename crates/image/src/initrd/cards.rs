//! Which drivers a network card needs, as an index of the second file of drivers.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use model::PciId;
use serde::{Deserialize, Serialize};

/// What is in `drivers.img`, and what of it makes a card work. `drivers.json` in a generation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriverIndex {
    /// Length of the first archive of `initrd.img`, which every client needs, in bytes.
    pub base: u64,
    /// The archives of `drivers.img`, by name.
    pub parts: BTreeMap<String, DriverPart>,
}

/// One archive of `drivers.img`: a module with its firmware, or modules that go together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriverPart {
    /// Where it begins, in bytes.
    pub offset: u64,
    /// Its length in bytes, a multiple of four; 0: the driver is in the kernel.
    pub bytes: u64,
    /// The other parts without which it does not work.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub needs: BTreeSet<String>,
    /// The PCI cards that it drives: `8086:100e`, or `1af4:*` for all of a maker.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub cards: BTreeSet<String>,
}

impl DriverIndex {
    /// The ranges of `drivers.img` that hold the drivers of `card` and what they need, in their
    /// order. `None` when no driver is known for it: then only all of them will do.
    pub fn for_card(&self, card: PciId) -> Option<Vec<Range<u64>>> {
        let names = [card.to_string(), format!("{:04x}:*", card.vendor)];
        let drives = |part: &DriverPart| names.iter().any(|name| part.cards.contains(name));
        let mut waiting: Vec<&str> = self
            .parts
            .iter()
            .filter(|(_, part)| drives(part))
            .map(|(name, _)| name.as_str())
            .collect();
        if waiting.is_empty() {
            return None;
        }
        let mut chosen = BTreeMap::new();
        while let Some(name) = waiting.pop() {
            let part = self.parts.get(name)?;
            // Several may be empty at one offset.
            if chosen.insert((part.offset, name), part.bytes).is_none() {
                waiting.extend(part.needs.iter().map(String::as_str));
            }
        }
        let mut ranges: Vec<Range<u64>> = Vec::new();
        for ((offset, _), bytes) in chosen {
            match ranges.last_mut() {
                _ if bytes == 0 => {}
                Some(last) if last.end == offset => last.end += bytes,
                _ => ranges.push(offset..offset.checked_add(bytes)?),
            }
        }
        Some(ranges)
    }
}

/// The network cards that a module's alias means: `pci:v00008086d0000100Esv*sd*bc*sc*i*`, as
/// modpost writes it (Linux, `scripts/mod/file2alias.c`). `None` for other buses, for other
/// classes of device, and for those that name no maker.
pub(super) fn cards_of_alias(alias: &str) -> Option<String> {
    let (vendor, rest) = alias.strip_prefix("pci:v")?.split_once('d')?;
    let (device, rest) = rest.split_once("sv")?;
    let (_, class) = rest.split_once("bc")?;
    let class = class.split_once("sc")?.0;
    if !matches!(class, "*" | "02") {
        return None;
    }
    let number = |text: &str| {
        let digits = text.strip_prefix("0000")?;
        (digits.len() == 4).then(|| digits.to_ascii_lowercase())
    };
    match device {
        "*" => Some(format!("{}:*", number(vendor)?)),
        device => Some(format!("{}:{}", number(vendor)?, number(device)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(offset: u64, needs: &[&str], cards: &[&str]) -> DriverPart {
        let set = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        DriverPart {
            offset,
            bytes: 100,
            needs: set(needs),
            cards: set(cards),
        }
    }

    fn empty(offset: u64, needs: &[&str], cards: &[&str]) -> DriverPart {
        DriverPart {
            bytes: 0,
            ..part(offset, needs, cards)
        }
    }

    fn index() -> DriverIndex {
        let parts = [
            ("libphy", part(0, &["phys"], &[])),
            ("phys", part(100, &["libphy"], &[])),
            ("ptp", part(200, &[], &[])),
            ("r8169", part(300, &["libphy"], &["10ec:8168"])),
            ("virtio_net", part(400, &[], &[])),
            ("virtio_pci", part(700, &["virtio_net"], &["1af4:*"])),
            ("ne2k", empty(400, &[], &["10ec:8029"])),
            ("xen", empty(400, &["r8169"], &["5853:*"])),
            ("lost", part(600, &["gone"], &["1:1"])),
        ];
        let parts = parts.map(|(name, part)| (name.to_owned(), part));
        DriverIndex {
            base: 1000,
            parts: parts.into(),
        }
    }

    #[test]
    fn a_card_gets_its_driver_and_all_that_it_needs() {
        let card = |text: &str| index().for_card(text.parse().unwrap());
        assert_eq!(card("10ec:8168"), Some(vec![0..200, 300..400]));
        assert_eq!(card("1af4:1000"), Some(vec![400..500, 700..800]));
    }

    #[test]
    fn a_driver_that_is_in_the_kernel_needs_nothing_or_what_follows_it() {
        let card = |text: &str| index().for_card(text.parse().unwrap());
        assert_eq!(card("10ec:8029"), Some(vec![]));
        assert_eq!(card("5853:0001"), Some(vec![0..200, 300..400]));
    }

    #[test]
    fn for_an_unknown_card_only_everything_will_do() {
        assert_eq!(index().for_card("8086:100e".parse().unwrap()), None);
    }

    #[test]
    fn an_index_with_a_hole_sends_everything() {
        let mut index = index();
        let lost = index.parts.get_mut("lost").unwrap();
        lost.cards = ["0001:0001".to_owned()].into();
        assert_eq!(index.for_card("0001:0001".parse().unwrap()), None);
    }

    #[test]
    fn aliases_of_network_cards_are_read_and_others_are_not() {
        let read = |alias| cards_of_alias(alias);
        let card = |text: &str| Some(text.to_owned());
        assert_eq!(
            read("pci:v00008086d0000100Esv*sd*bc*sc*i*"),
            card("8086:100e")
        );
        assert_eq!(
            read("pci:v000010B7d00009055sv*sd*bc02sc00i*"),
            card("10b7:9055")
        );
        assert_eq!(read("pci:v00001AF4d*sv*sd*bc*sc*i*"), card("1af4:*"));
        assert_eq!(read("pci:v*d*sv*sd*bc0Csc03i30*"), None);
        assert_eq!(read("pci:v*d*sv*sd*bc02sc00i*"), None);
        assert_eq!(read("usb:v0B95p1790d*dc*dsc*dp*ic*isc*ip*in*"), None);
        assert_eq!(read("pci:1"), None);
    }
}
