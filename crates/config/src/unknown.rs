//! Keys that do not exist, and what was probably meant.

use figment::value::Value;

use crate::diagnostic::{Code, Fault};
use crate::key::{Key, gist};
use crate::keys::KEYS;
use crate::path::{KeyPath, toml_name};
use crate::reader::{Reader, Spot, kind_of};
use crate::sections::SECTIONS;

/// Words that other programs use for our keys.
const ALIASES: &[(&str, &str)] = &[
    ("interface", "interfaces"),
    ("network", "interfaces"),
    ("gateway", "router"),
    ("range", "pool"),
    ("dhcp_range", "pool"),
    ("lease", "lease_time"),
    ("nameservers", "dns"),
    ("dns_servers", "dns"),
    ("forwarders", "upstreams"),
    ("servers", "upstreams"),
    ("host", "clients"),
    ("hosts", "clients"),
    ("reservation", "clients"),
    ("ip", "address"),
    ("name", "hostname"),
    ("cmdline", "kernel_arguments"),
    ("append", "kernel_arguments"),
    ("kernel_args", "kernel_arguments"),
    ("authorized_keys", "ssh_keys"),
    ("ssh_authorized_keys", "ssh_keys"),
    ("keys", "ssh_keys"),
    ("key", "ssh_keys"),
    ("user", "users"),
    ("image", "images"),
    ("data_dir", "state_dir"),
    ("export", "exports"),
    ("path", "folder"),
    ("directory", "folder"),
    ("verbosity", "level"),
];

/// Reports every entry that no key or table of ours has room for.
pub(crate) fn report(reader: &mut Reader<'_>) {
    walk(reader, &KeyPath::default());
}

fn walk(reader: &mut Reader<'_>, path: &KeyPath) {
    let Some(dict) = reader.find(path).and_then(Value::as_dict) else {
        return;
    };
    for (name, value) in dict {
        let path = path.child(name);
        let holds_keys = KEYS.iter().any(|key| path.leads_to(key.path));
        if Key::at(&path).is_some() {
            continue;
        }
        match (holds_keys, value) {
            (true, Value::Dict(..)) => walk(reader, &path),
            (true, other) => reader.report(&Spot::value(&path), no_table(&path, other)),
            (false, _) => reader.report(&Spot::key(&path), unknown(&path)),
        }
    }
}

fn unknown(path: &KeyPath) -> Fault {
    let name = path.last();
    let parent = path.parent().unwrap_or_default();
    let here: Vec<&str> = siblings(&parent);
    let place = if parent.names().is_empty() {
        "at the top of the configuration".to_owned()
    } else {
        format!("in [{parent}]")
    };
    let fault = Fault::new(
        Code::UnknownKey,
        format!("there is no key `{name}` {place}"),
        "a key that is not understood is probably a slip, and what it should do would not happen",
    );
    let plain = name.to_ascii_lowercase().replace('-', "_");
    let alias = ALIASES
        .iter()
        .filter(|(other, ours)| *other == plain && here.contains(ours))
        .map(|(_, ours)| *ours);
    if let Some(ours) = alias.chain(nearest(&plain, here.iter().copied())).next() {
        return fault.help(format!("did you mean `{ours}`?"));
    }
    // The right key in the wrong table.
    let mut homes = KEYS
        .iter()
        .filter(|key| key.path.rsplit('.').next() == Some(plain.as_str()));
    if let (Some(home), None) = (homes.next(), homes.next())
        && let Some((table, key)) = home.path.rsplit_once('.')
    {
        let table = SECTIONS.iter().find(|section| section.path == table);
        let table = table.map_or(table_of(home.path), |section| section.example);
        return fault.help(format!("did you mean `{key}` in [{table}]?"));
    }
    fault.help(format!("known here: {}", here.join(", ")))
}

fn table_of(path: &'static str) -> &'static str {
    path.rsplit_once('.').map_or("", |(table, _)| table)
}

/// The names that may stand in a table; none where the operator chooses the names.
fn siblings(parent: &KeyPath) -> Vec<&'static str> {
    let depth = parent.names().len();
    let mut names: Vec<&str> = KEYS
        .iter()
        .filter(|key| parent.leads_to(key.path))
        .filter_map(|key| key.path.split('.').nth(depth))
        .filter(|name| *name != "*")
        .collect();
    names.dedup();
    names
}

/// Where a table is needed and something else stands.
fn no_table(path: &KeyPath, value: &Value) -> Fault {
    let name = path.last();
    let many = KEYS
        .iter()
        .any(|key| key.path.starts_with(&format!("{name}.*")));
    let section = SECTIONS.iter().find(|section| {
        path.matches(section.path) || (many && section.path == format!("{name}.*"))
    });
    let fault = Fault::new(
        Code::WrongType,
        format!("`{name}` is {}, and a table is needed", kind_of(value)),
        section.map_or("it holds further keys".to_owned(), |section| {
            gist(section.prose)
        }),
    );
    let is_named = path.names().len() > 1;
    match (section, is_named) {
        (Some(_), true) => fault.help(format!(
            "write a table `[{path}]` with its keys below it instead"
        )),
        (Some(section), false) => fault.help(format!(
            "write `[{}]` with its keys below it instead",
            section.example
        )),
        (None, _) => fault.help(format!(
            "write `[{}]` with its keys below it instead",
            toml_name(name)
        )),
    }
}

/// The candidate that is a slip of the finger away, if there is one.
pub(crate) fn nearest<'a>(
    given: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let given = given.to_ascii_lowercase();
    let allowed = (given.chars().count() / 3).clamp(1, 3);
    candidates
        .map(|candidate| (strsim::osa_distance(&given, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}
