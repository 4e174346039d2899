//! The rules as text for nft(8), and what is to be read in its listings. Nothing is run here.

use std::fmt::Write;
use std::net::Ipv4Addr;

/// Our table. Nobody else has anything in it.
pub const TABLE: &str = "ip netbootd";
/// Docker's chain for rules of others (Docker's own chain drops what no rule accepts).
pub const DOCKER: &str = "ip filter DOCKER-USER";
/// The comment that our rules in Docker's chain are known by.
const OURS: &str = "comment \"netbootd\"";
/// The comment of our table when it was us who switched forwarding on. It lives exactly as long as that
/// does: it outlives a killed daemon, and no reboot.
const OPENED: &str = "comment \"ip_forward was 0\"";

/// A network whose clients reach the world by another card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lab {
    /// The clients' card.
    pub interface: String,
    /// Their network, with the length of its prefix.
    pub network: (Ipv4Addr, u8),
    /// The card to the world.
    pub uplink: String,
}

/// One transaction that puts our table in place, whatever was there, and our rules into Docker's chain,
/// if there is one (as `nft -s -a` lists it). `opened`: it is us who switched forwarding on.
pub fn put(labs: &[Lab], opened: bool, docker: Option<&str>) -> String {
    let mut text = remove(docker);
    let mut line = |line: &str| {
        let _ = writeln!(text, "{line}");
    };
    line(&format!("table {TABLE} {{"));
    if opened {
        line(&format!("\t{OPENED}"));
    }
    line("\tchain forward {");
    line("\t\ttype filter hook forward priority filter; policy accept;");
    for lab in labs {
        // An accept here is no more than "not by us": other firewalls have their say too.
        let (inside, outside) = (&lab.interface, &lab.uplink);
        let inwards = format!("\t\tiifname \"{outside}\" oifname \"{inside}\"");
        line(&format!("{inwards} ct state established,related accept"));
        line(&format!("{inwards} ct status dnat accept"));
        line(&format!("{inwards} drop"));
        if opened {
            // Nothing was forwarded before, and only this shall be.
            line(&format!(
                "\t\tiifname \"{inside}\" oifname \"{outside}\" accept"
            ));
            line(&format!(
                "\t\tiifname \"{inside}\" ct state established,related accept"
            ));
            line(&format!("\t\tiifname \"{inside}\" ct status dnat accept"));
            line(&format!("\t\tiifname \"{inside}\" drop"));
        }
    }
    line("\t}");
    line("\tchain postrouting {");
    line("\t\ttype nat hook postrouting priority srcnat; policy accept;");
    for lab in labs {
        let (network, len) = lab.network;
        let uplink = &lab.uplink;
        line(&format!(
            "\t\tip saddr {network}/{len} oifname \"{uplink}\" masquerade"
        ));
    }
    line("\t}");
    line("}");
    if docker.is_some() {
        // Each is put in front of the others.
        for rule in docker_rules(labs).iter().rev() {
            line(&format!("insert rule {DOCKER} {rule}"));
        }
    }
    text
}

/// One transaction that leaves nothing of ours.
pub fn remove(docker: Option<&str>) -> String {
    // The first line is for the second, which fails where there is no table.
    let mut text = format!("table {TABLE}\ndelete table {TABLE}\n");
    for (_, handle) in docker.map(ours).unwrap_or_default() {
        let _ = writeln!(text, "delete rule {DOCKER} handle {handle}");
    }
    text
}

/// Whether Docker's chain has our rules for these networks.
pub fn is_in_docker(labs: &[Lab], docker: &str) -> bool {
    let (found, wanted) = (ours(docker), docker_rules(labs));
    found.iter().map(|(rule, _)| rule).eq(&wanted)
}

/// Both ways: that only answers come in is held by our own table, whose drop is final. (iptables lists
/// this chain too, and knows of no `ct` that nft wrote.)
fn docker_rules(labs: &[Lab]) -> Vec<String> {
    let ways = labs
        .iter()
        .flat_map(|lab| [(&lab.interface, &lab.uplink), (&lab.uplink, &lab.interface)]);
    ways.map(|(from, to)| format!("iifname \"{from}\" oifname \"{to}\" counter accept {OURS}"))
        .collect()
}

/// Our rules in a chain's listing, with their handles.
fn ours(listing: &str) -> Vec<(String, u64)> {
    let rule = |line: &str| {
        let (rule, handle) = line.rsplit_once(" # handle ")?;
        let rule = rule.trim();
        let handle = handle.trim().parse().ok()?;
        rule.ends_with(OURS).then(|| (rule.to_owned(), handle))
    };
    listing.lines().filter_map(rule).collect()
}

/// Whether a listing of our table says that it was us who switched forwarding on.
pub fn has_opened(table: &str) -> bool {
    table.lines().any(|line| line.trim() == OPENED)
}

/// A chain that the kernel calls, of `nft list chains`.
#[derive(Debug, PartialEq, Eq)]
pub struct Hooked {
    /// Family, table and name.
    pub chain: String,
    /// Whether it is for packets that are sent on, and drops those that no rule accepts.
    pub drops_forwarded: bool,
    /// Whether it translates addresses of packets that leave.
    pub translates: bool,
}

/// The chains of others in a listing that have to do with us.
pub fn of_others(chains: &str) -> Vec<Hooked> {
    let (mut table, mut chain) = ("", "");
    let mut found = Vec::new();
    for line in chains.lines().map(str::trim) {
        let named = |kind: &str| line.strip_prefix(kind)?.strip_suffix(" {");
        if let Some(name) = named("table ") {
            table = name;
        } else if let Some(name) = named("chain ") {
            chain = name;
        } else if line.starts_with("type ") && table != TABLE && table.starts_with("i") {
            let hooked = Hooked {
                chain: format!("{table} {chain}"),
                drops_forwarded: line.contains(" hook forward ") && line.contains("policy drop"),
                translates: line.starts_with("type nat hook postrouting "),
            };
            if (hooked.drops_forwarded || hooked.translates) && !table.starts_with("ip6 ") {
                found.push(hooked);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lab(interface: &str, third: u8, uplink: &str) -> Lab {
        Lab {
            interface: interface.to_owned(),
            network: (Ipv4Addr::new(192, 168, third, 0), 24),
            uplink: uplink.to_owned(),
        }
    }

    #[test]
    fn one_network_is_translated_and_not_entered() {
        let expected = "table ip netbootd
delete table ip netbootd
table ip netbootd {
\tchain forward {
\t\ttype filter hook forward priority filter; policy accept;
\t\tiifname \"up0\" oifname \"lan0\" ct state established,related accept
\t\tiifname \"up0\" oifname \"lan0\" ct status dnat accept
\t\tiifname \"up0\" oifname \"lan0\" drop
\t}
\tchain postrouting {
\t\ttype nat hook postrouting priority srcnat; policy accept;
\t\tip saddr 192.168.67.0/24 oifname \"up0\" masquerade
\t}
}
";
        assert_eq!(put(&[lab("lan0", 67, "up0")], false, None), expected);
    }

    #[test]
    fn where_nothing_was_forwarded_only_this_is() {
        let expected = "table ip netbootd
delete table ip netbootd
table ip netbootd {
\tcomment \"ip_forward was 0\"
\tchain forward {
\t\ttype filter hook forward priority filter; policy accept;
\t\tiifname \"up0\" oifname \"lan0\" ct state established,related accept
\t\tiifname \"up0\" oifname \"lan0\" ct status dnat accept
\t\tiifname \"up0\" oifname \"lan0\" drop
\t\tiifname \"lan0\" oifname \"up0\" accept
\t\tiifname \"lan0\" ct state established,related accept
\t\tiifname \"lan0\" ct status dnat accept
\t\tiifname \"lan0\" drop
\t}
\tchain postrouting {
\t\ttype nat hook postrouting priority srcnat; policy accept;
\t\tip saddr 192.168.67.0/24 oifname \"up0\" masquerade
\t}
}
";
        let text = put(&[lab("lan0", 67, "up0")], true, None);
        assert_eq!(text, expected);
        assert!(has_opened(&text));
        assert!(!has_opened(&put(&[], false, None)));
    }

    const DOCKERS: &str = "table ip filter {
\tchain DOCKER-USER { # handle 2
\t\tiifname \"lan0\" oifname \"up0\" counter accept comment \"netbootd\" # handle 7
\t\tiifname \"up0\" oifname \"lan0\" counter accept comment \"netbootd\" # handle 6
\t\tiifname \"x\" counter accept comment \"not netbootd\" # handle 5
\t\tcounter return # handle 4
\t}
}
";

    #[test]
    fn dockers_chain_has_our_rules_once_and_others_keep_theirs() {
        let labs = [lab("lan0", 67, "up0")];
        assert!(is_in_docker(&labs, DOCKERS));
        assert!(!is_in_docker(&[], DOCKERS));
        assert!(!is_in_docker(
            &labs,
            "table ip filter {\n\tchain DOCKER-USER {\n\t}\n}\n"
        ));
        assert_eq!(
            remove(Some(DOCKERS)),
            "table ip netbootd\ndelete table ip netbootd\ndelete rule ip filter DOCKER-USER handle 7\n\
             delete rule ip filter DOCKER-USER handle 6\n"
        );
        let text = put(&labs, false, Some(DOCKERS));
        assert!(text.starts_with(&remove(Some(DOCKERS))));
        assert!(text.ends_with(
            "}\ninsert rule ip filter DOCKER-USER iifname \"up0\" oifname \"lan0\" counter accept comment \"netbootd\"\n\
             insert rule ip filter DOCKER-USER iifname \"lan0\" oifname \"up0\" counter accept comment \"netbootd\"\n"
        ));
    }

    #[test]
    fn firewalls_and_translations_of_others_are_found() {
        let chains = "table ip netbootd {
\tchain postrouting {
\t\ttype nat hook postrouting priority srcnat; policy accept;
\t}
}
table ip filter {
\tchain FORWARD {
\t\ttype filter hook forward priority filter; policy drop;
\t}
\tchain DOCKER-USER {
\t}
}
table ip6 filter {
\tchain FORWARD {
\t\ttype filter hook forward priority filter; policy drop;
\t}
}
table ip nat {
\tchain POSTROUTING {
\t\ttype nat hook postrouting priority srcnat; policy accept;
\t}
}
";
        let found = of_others(chains);
        let chain = |number: usize| (found[number].chain.as_str(), found[number].drops_forwarded);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(chain(0), ("ip filter FORWARD", true));
        assert_eq!(chain(1), ("ip nat POSTROUTING", false));
        assert!(found[1].translates);
    }
}
