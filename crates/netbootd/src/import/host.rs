//! From dnsmasq's `dhcp-host` to clients' tables.

use std::net::Ipv4Addr;

use model::{KnownBy, MacAddr};

use super::dnsmasq::Setting;
use super::mapping::Mapping;
use super::report::{LineId, shown};

/// What a line says of its machine.
#[derive(Default)]
struct Host {
    macs: Vec<MacAddr>,
    /// A client identifier as our configuration has it.
    identifier: Option<KnownBy>,
    address: Option<Ipv4Addr>,
    name: Option<String>,
    tags: Vec<String>,
    ignored: bool,
}

/// The group that has the place of a tag.
pub fn group(tag: &str) -> String {
    format!("tag-{}", tag.to_ascii_lowercase())
}

/// Maps a `dhcp-host`.
pub fn map(mapping: &mut Mapping<'_>, id: LineId, setting: &Setting) {
    let host = read(mapping, id, setting);
    let cards = host.macs.iter().map(|mac| KnownBy::Mac(*mac));
    let known_by: Vec<KnownBy> = cards.chain(host.identifier.clone()).collect();
    if known_by.is_empty() {
        let why = "without a MAC address or an identifier, there is no client to say it of";
        return mapping.report.note(id, why);
    }
    let has_more = host.address.is_some() || host.name.is_some();
    if known_by.len() > 1 && has_more && !host.ignored {
        let first = &known_by[0];
        let why = format!("a name and an address belong to one table here, that of {first}");
        mapping.report.note(id, why);
    }
    for (at, known_by) in known_by.iter().enumerate() {
        let table = known_by.to_string();
        let path = ["clients", table.as_str()];
        if host.ignored {
            mapping.text(&path, "image", "none", id);
            continue;
        }
        mapping.doc.keep(&mut mapping.report, &path, id);
        if at > 0 {
            continue;
        }
        if let Some(name) = &host.name {
            mapping.text(&path, "hostname", name, id);
        }
        if let Some(address) = host.address {
            mapping.text(&path, "address", address.to_string(), id);
            mapping.reserved.insert(address, known_by.clone());
        }
    }
    for tag in &host.tags {
        let group = group(tag);
        let mut members: Vec<String> = host.macs.iter().map(ToString::to_string).collect();
        if members.is_empty() {
            members.extend(host.name.clone());
        }
        if members.is_empty() {
            let why =
                format!("set:{tag} was left out: members of a group go by name or by MAC address");
            mapping.report.note(id, why);
        }
        for member in members {
            mapping.item(&["groups", &group], "members", member, id);
        }
    }
}

fn read(mapping: &mut Mapping<'_>, id: LineId, setting: &Setting) -> Host {
    let mut host = Host::default();
    let mut left_out = |what: &str, why: &str| {
        let why = format!("{} was left out: {why}", shown(what));
        mapping.report.note(id, why);
    };
    for value in setting.values.iter().map(String::as_str) {
        if let Some(text) = value.strip_prefix("id:") {
            match identifier(text) {
                Some(found) => host.identifier = Some(found),
                // No identifier counts: so it is where a card has the table.
                None if text == "*" => {}
                None => left_out(
                    value,
                    "an identifier has 2 to 255 bytes, as letters or as `01:a0:…`",
                ),
            }
        } else if let Some(tag) = value.strip_prefix("set:").or(value.strip_prefix("net:")) {
            host.tags.push(tag.to_owned());
        } else if value.starts_with("tag:") {
            left_out(value, "what is said of a client holds wherever it is");
        } else if value.starts_with('[') {
            left_out(value, "netbootd serves IPv4");
        } else if value.contains(':') {
            match value.parse() {
                Ok(mac) => host.macs.push(mac),
                Err(_) => left_out(value, "clients are known by whole MAC addresses"),
            }
        } else if let Ok(parsed) = value.parse::<Ipv4Addr>() {
            host.address = Some(parsed);
        } else if value == "ignore" {
            host.ignored = true;
        } else if is_time(value) {
            left_out(
                value,
                "how long a lease lasts is said of a card, as lease_time",
            );
        } else if !value.is_empty() {
            host.name = Some(value.split('.').next().unwrap_or(value).to_owned());
        }
    }
    host
}

/// An identifier as dnsmasq reads it: with colons it is in hexadecimal, else it is text.
fn identifier(text: &str) -> Option<KnownBy> {
    let digits = |part: &str| {
        u8::from_str_radix(part, 16)
            .ok()
            .filter(|_| part.len() <= 2)
    };
    let bytes = match text.contains(':') {
        true => text.split(':').map(digits).collect::<Option<Vec<u8>>>()?,
        false => text.as_bytes().to_vec(),
    };
    (2..=255)
        .contains(&bytes.len())
        .then_some(KnownBy::ClientId(bytes))
}

/// Whether it is a length of time, as dnsmasq writes it.
pub fn is_time(value: &str) -> bool {
    let number = value.trim_end_matches(['s', 'm', 'h', 'd', 'w']);
    value == "infinite" || (!number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::super::import;
    use super::super::tests::{DNSMASQ, fate, group, meaning, school, sources};

    #[test]
    fn hosts_by_identifier_and_tags_are_carried_and_what_is_not_is_said() {
        let imported = school();
        let config = meaning(&imported);
        let client = |known_by: &str| &config.clients[&known_by.parse().unwrap()];
        let address = |last| Some(Ipv4Addr::new(192, 168, 67, last));
        assert_eq!(client("id:pc03").hostname.as_deref(), Some("pc03"));
        assert_eq!(client("id:pc03").address, address(23));
        assert_eq!(client("id:01:02:03:ab").address, address(24));
        let room = group(&config, "tag-room2");
        let members: Vec<String> = room.members.iter().map(ToString::to_string).collect();
        assert_eq!(members, ["52:54:00:67:00:02", "pc03"]);
        let options: Vec<u8> = room
            .settings
            .options
            .iter()
            .map(|option| option.code)
            .collect();
        assert_eq!(options, [42]);
        for (line, why) in [
            (
                "dhcp-host=id:x,192.168.67.25",
                "an identifier has 2 to 255 bytes",
            ),
            ("dhcp-host=52:54:00:67:00:*,set:wild", "whole MAC addresses"),
            ("dhcp-option=tag:ipxe,224,text", "with a tag"),
        ] {
            let fate = fate(&imported, line);
            assert!(
                fate.starts_with("not carried") && fate.contains(why),
                "{line}: {fate}"
            );
        }
        // ltsp.conf may name a machine by the address that dnsmasq keeps for it.
        let mut sources = sources("[192.168.67.23]\nHOSTNAME=lab3\n", DNSMASQ, "", &[]);
        sources.exports.clear();
        let config = meaning(&import(&sources).unwrap());
        let client = &config.clients[&"id:pc03".parse().unwrap()];
        assert_eq!(client.hostname.as_deref(), Some("lab3"));
    }
}
