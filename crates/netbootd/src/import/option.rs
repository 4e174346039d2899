//! From dnsmasq's `dhcp-option` to the options of cards and groups.

use std::net::Ipv4Addr;

use super::dnsmasq::Setting;
use super::mapping::Mapping;
use super::report::LineId;
use super::{Card, host};

/// Options whose name is another here, by dnsmasq's name and by number.
const NAMES: &[(&str, &str, &str)] = &[
    ("time-offset", "2", "time-offset"),
    ("time-server", "4", "time-servers"),
    ("log-server", "7", "log-servers"),
    ("lpr-server", "9", "print-servers"),
    ("mtu", "26", "mtu"),
    ("nis-domain", "40", "nis-domain"),
    ("nis-server", "41", "nis-servers"),
    ("ntp-server", "42", "ntp-servers"),
    ("netbios-ns", "44", "netbios-name-servers"),
    ("netbios-nodetype", "46", "netbios-node-type"),
    ("smtp-server", "69", "smtp-servers"),
    ("posix-timezone", "100", "posix-timezone"),
    ("tzdb-timezone", "101", "tzdb-timezone"),
    ("domain-search", "119", "domain-search"),
    ("tftp-server-address", "150", "tftp-servers"),
];

/// Maps a `dhcp-option`.
pub fn map(mapping: &mut Mapping<'_>, id: LineId, setting: &Setting) {
    let mut values = setting.values.iter().map(String::as_str).peekable();
    let mut tags = Vec::new();
    while let Some(label) =
        values.next_if(|value| value.starts_with("tag:") || value.starts_with("set:"))
    {
        tags.extend(label.strip_prefix("tag:"));
    }
    let Some(name) = values.next() else {
        return mapping.report.note(id, "it names no option");
    };
    let values: Vec<&str> = values.collect();
    let name = name.strip_prefix("option:").unwrap_or(name);
    let tables: Vec<(Vec<String>, Ipv4Addr)> = match tags[..] {
        [] => match name {
            "3" | "router" => return router(mapping, id, &values),
            "6" | "dns-server" => return dns(mapping, id, &values),
            "15" | "domain-name" => {
                return match values.first() {
                    Some(domain) => mapping.text(&["dns"], "domain", *domain, id),
                    None => mapping.report.note(id, "it has no value"),
                };
            }
            _ => {
                let mut cards = served(mapping);
                let mode = |card: &Card| mapping.doc.text(&["interfaces", &card.name], "mode");
                cards.retain(|card| mode(card) != Some("proxy"));
                let table = |card: Card| (vec!["interfaces".to_owned(), card.name], card.address);
                cards.into_iter().map(table).collect()
            }
        },
        [tag] if mapping.doc.names("groups").contains(&host::group(tag)) => {
            let own = mapping.server.unwrap_or(Ipv4Addr::UNSPECIFIED);
            vec![(vec!["groups".to_owned(), host::group(tag)], own)]
        }
        _ => {
            return mapping.report.note(
                id,
                "it is for machines with a tag that no dhcp-host of this file has set for itself alone",
            );
        }
    };
    let needless = [
        "17",
        "root-path",
        "66",
        "67",
        "tftp-server",
        "bootfile-name",
        "vendor-class",
        "60",
        "43",
    ];
    if needless.contains(&name) {
        return mapping
            .report
            .needless(id, "the boot's own options are netbootd's work");
    }
    if name.contains(':') {
        return mapping
            .report
            .note(id, "options inside of others cannot be said");
    }
    if values.is_empty() {
        return mapping.report.note(
            id,
            "what an option is not to be has no key; nothing is said that is not written",
        );
    }
    if tables.is_empty() {
        return mapping.report.note(id, "netbootd leases addresses on no card that could have it; the key is interfaces.CARD.options");
    }
    let known = NAMES
        .iter()
        .find(|(theirs, number, _)| *theirs == name || *number == name);
    for (table, own) in tables {
        let mut path: Vec<&str> = table.iter().map(String::as_str).collect();
        path.push("options");
        // dnsmasq's word for itself.
        let own = own.to_string();
        let values: Vec<&str> = values
            .iter()
            .map(|value| match *value {
                "0.0.0.0" => own.as_str(),
                value => value,
            })
            .collect();
        let text = values.join(",");
        let is_addresses = values.iter().all(|value| value.parse::<Ipv4Addr>().is_ok());
        match known {
            Some((.., ours)) => mapping.text(&path, ours, text, id),
            None if name.parse::<u8>().is_err() => mapping.report.note(
                id,
                "netbootd has no option of this name; one may be said by its number",
            ),
            None if is_addresses => mapping.text(&path, name, format!("ip:{text}"), id),
            None if text.parse::<u32>().is_ok() => mapping.report.note(
                id,
                "write u8:, u16: or u32: before the number, for dnsmasq guesses how long it is",
            ),
            None if text.contains(':')
                && text
                    .split(':')
                    .all(|byte| byte.len() == 2 && u8::from_str_radix(byte, 16).is_ok()) =>
            {
                mapping.text(&path, name, format!("hex:{text}"), id);
            }
            None => mapping.text(&path, name, format!("text:{text}"), id),
        }
    }
}

fn router(mapping: &mut Mapping<'_>, id: LineId, values: &[&str]) {
    let router = values
        .iter()
        .find_map(|value| value.parse::<Ipv4Addr>().ok());
    let card = router.and_then(|router| {
        served(mapping)
            .into_iter()
            .find(|card| card.reaches(router))
    });
    match (router, card) {
        (Some(router), Some(card)) => {
            if values.len() > 1 {
                mapping
                    .report
                    .note(id, "clients have one router, the first");
            }
            mapping.text(
                &["interfaces", &card.name],
                "router",
                router.to_string(),
                id,
            );
        }
        _ => mapping.report.note(
            id,
            "it is in no network that a card serves; the key is interfaces.CARD.router",
        ),
    }
}

fn dns(mapping: &mut Mapping<'_>, id: LineId, values: &[&str]) {
    let others: Vec<&str> = values
        .iter()
        .copied()
        .filter(|value| *value != "0.0.0.0")
        .collect();
    if others.len() < values.len() {
        mapping
            .report
            .note(id, "clients ask netbootd, which asks these");
        if others.is_empty() {
            mapping
                .report
                .needless(id, "clients ask netbootd where its DNS is on");
        }
        for server in others {
            mapping.item(&["dns"], "upstreams", server, id);
        }
        return;
    }
    let cards = served(mapping);
    if cards.is_empty() {
        return mapping.report.note(
            id,
            "no card is served that could have it; the key is interfaces.CARD.dns",
        );
    }
    for card in cards {
        for server in &others {
            mapping.item(&["interfaces", &card.name], "dns", *server, id);
        }
    }
}

/// The cards with a table of their own.
fn served(mapping: &Mapping<'_>) -> Vec<Card> {
    let names = mapping.doc.names("interfaces");
    let mut cards: Vec<Card> = Vec::new();
    for card in mapping.cards {
        if names.contains(&card.name) && !cards.iter().any(|other| other.name == card.name) {
            cards.push(card.clone());
        }
    }
    cards
}
