//! Which machines a section of ltsp.conf is for, and what table of ours is for the same.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use model::{KnownBy, MacAddr, Pattern};

use super::ltsp_conf::{LtspConf, Section};

/// Where the values of a section go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Every client, and with `common` the server too: `[boot]`, and a group of this name.
    Everyone(&'static str),
    /// The server: `[boot]`.
    Server,
    /// A group.
    Group {
        /// Its name.
        name: String,
        /// Who belongs to it.
        members: Vec<String>,
        /// Parts of the header that are no members, because they are addresses.
        addresses: Vec<String>,
    },
    /// One client.
    Client(KnownBy),
    /// Nowhere, and why.
    Nothing(String),
}

/// How LTSP comes to a section: what is later wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// Above all headers.
    Unnamed,
    /// `[clients]`
    Clients,
    /// `[common]`
    Common,
    /// `[server]`
    Server,
    /// For those that include it.
    Included,
    /// By the card's address.
    Mac,
    /// By name.
    Host,
}

/// The scopes of all sections, in the order in which their values are to be set: a later one wins.
pub fn scopes(
    conf: &LtspConf,
    reserved: &BTreeMap<Ipv4Addr, KnownBy>,
) -> Vec<(usize, Rank, Scope)> {
    let parameters = conf.sections.iter().flat_map(|section| &section.parameters);
    let included: Vec<&str> = parameters
        .filter(|parameter| parameter.name == "INCLUDE")
        .map(|parameter| parameter.value.as_str())
        .collect();
    let mut names = Names::default();
    let mut scopes = Vec::new();
    for (at, section) in conf.sections.iter().enumerate() {
        let again = conf.sections[at + 1..]
            .iter()
            .find(|later| later.header == section.header);
        let (rank, scope) = match again {
            Some(later) if section.line > 0 => {
                let why = format!(
                    "the section stands again in line {}, and LTSP reads that one only",
                    later.line
                );
                (Rank::Included, Scope::Nothing(why))
            }
            _ => scope(section, &included, reserved, &mut names),
        };
        scopes.push((at, rank, scope));
    }
    // LTSP takes the first section that fits; ours take the last.
    scopes.sort_by_key(|(at, rank, _)| (*rank, usize::MAX - at));
    scopes
}

fn scope(
    section: &Section,
    included: &[&str],
    reserved: &BTreeMap<Ipv4Addr, KnownBy>,
    names: &mut Names,
) -> (Rank, Scope) {
    match section.header.as_str() {
        "" if section.line == 0 => return (Rank::Unnamed, Scope::Everyone("unnamed")),
        "clients" => return (Rank::Clients, Scope::Everyone("clients")),
        "common" => return (Rank::Common, Scope::Everyone("common")),
        "server" => return (Rank::Server, Scope::Server),
        _ => {}
    }
    let header = section.header.as_str();
    if header.contains('/') {
        let why = format!("[{header}] is for one applet of LTSP, and none of them runs");
        return (Rank::Included, Scope::Nothing(why));
    }
    let parts: Vec<&str> = header.split('|').filter(|part| !part.is_empty()).collect();
    if let [one] = parts[..] {
        if let Some(mac) = one
            .contains(':')
            .then(|| one.parse::<MacAddr>().ok())
            .flatten()
        {
            return (Rank::Mac, Scope::Client(mac.into()));
        }
        let client = one
            .parse()
            .ok()
            .and_then(|address: Ipv4Addr| reserved.get(&address));
        if let Some(known_by) = client {
            return (Rank::Mac, Scope::Client(known_by.clone()));
        }
    }
    let (addresses, rest): (Vec<&str>, Vec<&str>) =
        parts.into_iter().partition(|part| is_address(part));
    if rest.is_empty() {
        return (Rank::Included, Scope::Nothing(no_addresses(header)));
    }
    let is_included = rest.iter().any(|part| included.contains(part));
    let members: Vec<String> = match is_included {
        true => Vec::new(),
        false => rest
            .iter()
            .filter(|part| part.parse::<Pattern>().is_ok())
            .map(|part| (*part).to_owned())
            .collect(),
    };
    if members.is_empty() && !is_included {
        let why = format!("nothing includes [{header}], and no machine can have such a name");
        return (Rank::Included, Scope::Nothing(why));
    }
    let rank = match is_included {
        true => Rank::Included,
        false if members.iter().any(|member| member.contains(':')) => Rank::Mac,
        false => Rank::Host,
    };
    let scope = Scope::Group {
        name: names.new_name(header),
        members,
        addresses: addresses.into_iter().map(str::to_owned).collect(),
    };
    (rank, scope)
}

/// Why a section by address has no equivalent.
fn no_addresses(header: &str) -> String {
    format!(
        "[{header}] is for machines by IP address, for which there is no equivalent: members of a group are host names or \
         MAC addresses (`netbootd leases` lists them)"
    )
}

/// An IPv4 address, or a pattern of such.
fn is_address(part: &str) -> bool {
    part.contains('.')
        && part
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b".*?".contains(&byte))
}

/// Names of groups, each once.
#[derive(Default)]
struct Names(Vec<String>);

impl Names {
    fn new_name(&mut self, header: &str) -> String {
        let mut base = String::new();
        for letter in header.chars().take(40) {
            match letter {
                'a'..='z' | '0'..='9' => base.push(letter),
                _ if base.ends_with('-') || base.is_empty() => {}
                _ => base.push('-'),
            }
        }
        let base = match base.trim_end_matches('-') {
            "" => "section",
            base => base,
        };
        let taken = |name: &str| {
            ["clients", "common", "unnamed"].contains(&name)
                || self.0.iter().any(|other| other == name)
        };
        let mut name = base.to_owned();
        let mut number = 2;
        while taken(&name) {
            name = format!("{base}-{number}");
            number += 1;
        }
        self.0.push(name.clone());
        name
    }
}

#[cfg(test)]
mod tests {
    use super::super::ltsp_conf::parse;
    use super::*;

    fn scope_of(header: &str) -> Scope {
        let conf = parse(&format!("[{header}]\nA=1\n[x]\nINCLUDE=crt_monitor\n"));
        let reserved = BTreeMap::from([(
            Ipv4Addr::new(10, 0, 0, 7),
            MacAddr([2, 0, 0, 0, 0, 7]).into(),
        )]);
        let all = scopes(&conf, &reserved);
        all.into_iter().find(|(at, ..)| *at == 1).unwrap().2
    }

    #[test]
    fn every_kind_of_section_has_its_place() {
        assert_eq!(scope_of("Common"), Scope::Everyone("common"));
        assert_eq!(
            scope_of("52:54:00:00:00:01"),
            Scope::Client("52:54:00:00:00:01".parse().unwrap())
        );
        assert_eq!(
            scope_of("10.0.0.7"),
            Scope::Client("02:00:00:00:00:07".parse().unwrap())
        );
        let group = |name: &str, members: &[&str], addresses: &[&str]| Scope::Group {
            name: name.to_owned(),
            members: members.iter().map(|m| (*m).to_owned()).collect(),
            addresses: addresses.iter().map(|m| (*m).to_owned()).collect(),
        };
        assert_eq!(
            scope_of("pc*|52:54:*"),
            group("pc-52-54", &["pc*", "52:54:*"], &[])
        );
        assert_eq!(
            scope_of("pc1|10.0.*"),
            group("pc1-10-0", &["pc1"], &["10.0.*"])
        );
        assert_eq!(scope_of("crt_monitor"), group("crt-monitor", &[], &[]));
        for nothing in ["10.0.0.*", "10.0.0.8", "init/pc1", "some_name"] {
            assert!(matches!(scope_of(nothing), Scope::Nothing(_)), "{nothing}");
        }
    }
}
