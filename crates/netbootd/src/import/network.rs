//! From dnsmasq's settings to network cards, clients and DNS.

use std::net::Ipv4Addr;

use super::dnsmasq::Setting;
use super::mapping::Mapping;
use super::report::LineId;
use super::{host, option};

/// Settings that are not missed.
const NEEDLESS: &[(&str, &str)] = &[
    ("enable-tftp", "TFTP is on unless tftp.enabled is false"),
    (
        "tftp-root",
        "loaders are found where packages put them, and in loaders.folders",
    ),
    (
        "pxe-service",
        "each machine is sent the loader for its firmware",
    ),
    (
        "dhcp-boot",
        "each machine is sent the loader for its firmware",
    ),
    (
        "dhcp-match",
        "each machine is sent the loader for its firmware",
    ),
    (
        "dhcp-vendorclass",
        "each machine is sent the loader for its firmware",
    ),
    (
        "dhcp-userclass",
        "each machine is sent the loader for its firmware",
    ),
    ("tag-if", "each machine is sent the loader for its firmware"),
    (
        "pxe-prompt",
        "a menu waits as long as boot.menu_timeout says",
    ),
    (
        "dhcp-authoritative",
        "netbootd answers as the DHCP server of its cards",
    ),
    (
        "dhcp-no-override",
        "each machine is sent the loader for its firmware",
    ),
    (
        "bind-interfaces",
        "netbootd serves the cards that have a table, and no others",
    ),
    (
        "bind-dynamic",
        "netbootd serves the cards that have a table, and no others",
    ),
    (
        "log-dhcp",
        "every boot is logged; `netbootd why PC` tells one step by step",
    ),
    ("log-queries", "log.level says how much is logged"),
    ("dhcp-leasefile", "leases are kept below state_dir"),
    ("domain-needed", "only whole names are forwarded"),
    ("bogus-priv", "names of clients are answered here"),
    (
        "expand-hosts",
        "names of clients have the domain by themselves",
    ),
];

/// Maps the settings of one file.
pub fn map(mapping: &mut Mapping<'_>, file: usize, settings: &[Setting]) {
    let found: Vec<(LineId, &Setting)> = settings
        .iter()
        .map(|setting| {
            let name = match setting.values.is_empty() {
                true => setting.key.clone(),
                false => format!("{}={}", setting.key, setting.values.join(",")),
            };
            (mapping.report.found(file, setting.line, &name), setting)
        })
        .collect();
    // Cards first: options are theirs.
    for (id, setting) in &found {
        match setting.key.as_str() {
            "interface" => interface(mapping, *id, setting),
            "dhcp-range" => range(mapping, *id, setting),
            "dhcp-host" => host::map(mapping, *id, setting),
            _ => {}
        }
    }
    for (id, setting) in &found {
        rest(mapping, *id, setting);
    }
}

fn rest(mapping: &mut Mapping<'_>, id: LineId, setting: &Setting) {
    let first = setting.values.first().map_or("", String::as_str);
    match setting.key.as_str() {
        "interface" | "dhcp-range" | "dhcp-host" => {}
        "dhcp-option" | "dhcp-option-force" => option::map(mapping, id, setting),
        "domain" => {
            mapping.text(&["dns"], "domain", first, id);
            if setting.values.len() > 1 {
                mapping.report.note(id, "it is the domain of all networks here");
            }
        }
        "port" if first == "0" => mapping.report.note(
            id,
            "DNS is on where netbootd is the DHCP server, so that clients have names; dns.enabled = false turns it off",
        ),
        "port" => mapping.report.note(id, "DNS has port 53"),
        "server" if first.parse::<Ipv4Addr>().is_ok() => mapping.item(&["dns"], "upstreams", first, id),
        "server" => mapping.report.note(id, "dns.upstreams are for all names, and have no ports"),
        "address" | "host-record" => names(mapping, id, setting),
        "dhcp-mac" => mapping.report.needless(id, "groups have MAC addresses as members"),
        key => match NEEDLESS.iter().find(|(name, _)| *name == key) {
            Some((_, why)) => mapping.report.needless(id, *why),
            None => mapping.report.note(id, "netbootd has no such setting"),
        },
    }
}

fn interface(mapping: &mut Mapping<'_>, id: LineId, setting: &Setting) {
    for name in setting.values.iter().filter(|name| *name != "lo") {
        mapping
            .doc
            .keep(&mut mapping.report, &["interfaces", name], id);
    }
    if setting.values.iter().all(|name| name == "lo") {
        mapping.report.needless(id, "no client is on it");
    }
}

fn range(mapping: &mut Mapping<'_>, id: LineId, setting: &Setting) {
    let mut values = setting.values.iter().map(String::as_str).peekable();
    while values
        .peek()
        .is_some_and(|value| value.contains(':') && value.parse::<Ipv4Addr>().is_err())
    {
        let label = values.next().unwrap_or_default();
        if label.starts_with("tag:") {
            mapping
                .report
                .note(id, "it is for all machines of its network here");
        } else if !label.starts_with("set:") {
            return mapping.report.note(id, "it is no range of IPv4 addresses");
        }
    }
    let Some(first) = values
        .next()
        .and_then(|value| value.parse::<Ipv4Addr>().ok())
    else {
        return mapping.report.note(id, "it is no range of IPv4 addresses");
    };
    let kind = values.next().unwrap_or_default();
    let pool = kind
        .parse::<Ipv4Addr>()
        .map(|last| format!("{first}-{last}"));
    let (mode, pool) =
        match (kind, pool) {
            (_, Ok(pool)) => ("full", Some(pool)),
            ("proxy", _) => ("proxy", None),
            _ => return mapping.report.note(
                id,
                "only a pool or a proxy can be said of a card; reserved addresses are in `clients`",
            ),
        };
    let Some(card) = mapping.card(first) else {
        let pool = pool
            .map(|pool| format!(" and pool = [\"{pool}\"]"))
            .unwrap_or_default();
        let why = format!(
            "no network card of this machine is in its network; where there is one, [interfaces.CARD] with mode = \"{mode}\"{pool} says the same"
        );
        return mapping.report.note(id, why);
    };
    let path = ["interfaces", card.name.as_str()];
    mapping.server.get_or_insert(card.address);
    mapping.text(&path, "mode", mode, id);
    if let Some(pool) = pool {
        mapping.item(&path, "pool", pool, id);
        if let Some(time) = values.rfind(|value| value.parse::<Ipv4Addr>().is_err()) {
            match lease_time(time) {
                Some(time) => mapping.text(&path, "lease_time", time, id),
                None => mapping
                    .report
                    .note(id, "a lease lasts 2m to 30d; lease_time stays 12h"),
            }
        }
    }
}

/// dnsmasq's length of a lease in our words.
fn lease_time(text: &str) -> Option<String> {
    let (number, unit) = text.split_at(
        text.find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len()),
    );
    let number: u64 = number.parse().ok()?;
    let seconds = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return None,
    };
    let whole = number
        .checked_mul(seconds)
        .filter(|seconds| (120..=30 * 86_400).contains(seconds))?;
    Some(match unit {
        "" | "w" => format!("{whole}s"),
        _ => format!("{number}{unit}"),
    })
}

fn names(mapping: &mut Mapping<'_>, id: LineId, setting: &Setting) {
    let (names, address) = match setting.key.as_str() {
        "address" => {
            let whole = setting.values.join(",");
            let parts: Vec<String> = whole.split('/').map(str::to_owned).collect();
            match parts.split_last() {
                Some((address, names)) => (names.to_vec(), address.clone()),
                None => return,
            }
        }
        _ => {
            let (names, rest): (Vec<String>, Vec<String>) = setting
                .values
                .iter()
                .cloned()
                .partition(|value| value.parse::<std::net::IpAddr>().is_err());
            (names, rest.into_iter().next().unwrap_or_default())
        }
    };
    let names: Vec<&String> = names
        .iter()
        .filter(|name| !name.is_empty() && !host::is_time(name))
        .collect();
    if names.is_empty() || address.parse::<Ipv4Addr>().is_err() {
        return mapping
            .report
            .note(id, "dns.hosts has names, each with an IPv4 address");
    }
    if setting.key == "address" {
        mapping
            .report
            .note(id, "for the name itself, not for those below it");
    }
    for name in names {
        mapping.text(&["dns", "hosts"], &name.to_ascii_lowercase(), &address, id);
    }
}
