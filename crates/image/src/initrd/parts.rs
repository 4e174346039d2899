//! How the drivers are divided: what goes together, and what needs what.

use std::collections::{BTreeMap, BTreeSet};

use super::cards::cards_of_alias;
use super::drivers::PHYS;
use crate::modules::{Closure, Error, Modules};

/// The part with all chips between cards and sockets: which one a card has, only its driver sees.
const CHIPS: &str = "phys";
/// What those chips' drivers, and the drivers of cards that have such chips, are linked to.
const CHIP_LIBRARY: &str = "libphy";
/// Modules that another one asks modprobe for while it starts, or that drive what another one
/// makes. Nothing in the modules says so.
pub(super) const FOLLOWERS: [(&str, &str); 3] = [
    ("macb_pci", "macb"),
    ("mlx4_core", "mlx4_en"),
    ("virtio_pci", "virtio_net"),
];

/// Where drivers of network cards are, and what cards of virtual machines are connected to, when they are in the kernel.
const IN_KERNEL: [&str; 2] = [
    "kernel/drivers/net/*",
    "kernel/drivers/virtio/virtio_pci.ko",
];

/// What those in the kernel drive, where its list does not say so: those of Ubuntu 24.04 (6.8) and Debian 13 (6.12) have
/// this one driver of network cards in them, and not its cards in the list; Debian 12 has none in it.
const SILENT: [(&str, &str); 1] = [("virtio_pci", "pci:v00001AF4d*sv*sd*bc*sc*i*")];

/// Some drivers that go together; none where they are in the kernel.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) modules: BTreeSet<String>,
    pub(super) needs: BTreeSet<String>,
    pub(super) cards: BTreeSet<String>,
}

/// The drivers in `network` that are not in `system`, by the name of their part.
pub(super) fn divide(
    modules: &Modules<'_>,
    system: &Closure,
    network: &Closure,
) -> Result<BTreeMap<String, Group>, Error> {
    let chips: BTreeSet<&str> = modules.below(&PHYS).collect();
    // libphy itself lies in that folder too.
    let part_of = |name: &str| match chips.contains(name) && name != CHIP_LIBRARY {
        true => CHIPS.to_owned(),
        false => name.to_owned(),
    };
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    for (name, modinfo) in network.iter().filter(|(name, _)| !system.contains(name)) {
        let part = part_of(name);
        let group = groups.entry(part.clone()).or_default();
        group.modules.insert(name.to_owned());
        let soft = modinfo.soft_depends().into_iter();
        let soft = soft.flat_map(|(_, wanted)| modules.named(&wanted));
        let followers = FOLLOWERS.iter().filter(|(first, _)| *first == name);
        let followers = followers.map(|(_, follower)| (*follower).to_owned());
        let needs = modinfo.depends().chain(soft).chain(followers);
        let needs = needs.filter(|needs| network.contains(needs) && !system.contains(needs));
        group.needs.extend(needs.map(|needs| part_of(&needs)));
        group.needs.remove(&part);
        group
            .cards
            .extend(modinfo.aliases().filter_map(cards_of_alias));
    }
    // A card whose driver is in the kernel needs no part, or what follows that driver.
    let known = SILENT.map(|(name, alias)| (name.to_owned(), alias.to_owned()));
    let known = known
        .into_iter()
        .filter(|(name, _)| modules.is_builtin(name));
    for (name, alias) in modules
        .builtin_aliases(&IN_KERNEL)?
        .into_iter()
        .chain(known)
    {
        let Some(card) = cards_of_alias(&alias) else {
            continue;
        };
        let followers = FOLLOWERS.iter().filter(|(first, _)| *first == name);
        let followers = followers.map(|(_, follower)| (*follower).to_owned());
        let needs = followers.filter(|needs| network.contains(needs) && !system.contains(needs));
        let group = groups.entry(name.clone()).or_default();
        group.needs.extend(needs.map(|needs| part_of(&needs)));
        group.cards.insert(card);
    }
    if groups.contains_key(CHIPS)
        && let Some(library) = groups.get_mut(CHIP_LIBRARY)
    {
        library.needs.insert(CHIPS.to_owned());
    }
    Ok(groups)
}
