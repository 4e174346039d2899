//! The older iptables, `iptables-legacy`: its tables are apart, and nft lists nothing of them. Packets that they
//! drop are gone whatever our rules say, and nobody else would say so.

use std::process::Command;

use super::LIMIT;
use crate::program::run;

/// Tables in use in this network namespace; for root's eyes only.
const TABLES: &str = "/proc/self/net/ip_tables_names";
/// For all eyes, and of the whole machine.
const MODULES: &str = "/proc/modules";

/// What the older iptables does to what is sent on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Legacy {
    /// Nothing: it is not in use, or it drops nothing.
    Unused,
    /// It drops what no rule accepts; its rules, as `iptables-legacy -S` prints them.
    Drops(String),
    /// It is in use, and this process may not ask it; why.
    Unknown(String),
}

/// Looks at it as it is now. Nothing is loaded that is not there.
pub fn look() -> Legacy {
    let read = std::fs::read_to_string;
    let in_use = match read(TABLES) {
        Ok(tables) => has_filter(&tables),
        Err(_) => read(MODULES).is_ok_and(|modules| is_loaded(&modules)),
    };
    if !in_use {
        return Legacy::Unused;
    }
    let mut list = Command::new("iptables-legacy");
    // Its lock is for changes, and root's.
    list.arg("-S").env("XTABLES_LOCKFILE", "/dev/null");
    match run(list, "", LIMIT) {
        Ok(ran) if ran.good && drops(&ran.output) => Legacy::Drops(ran.output),
        Ok(ran) if ran.good => Legacy::Unused,
        Ok(ran) => Legacy::Unknown(ran.output.trim().to_owned()),
        Err(reason) => Legacy::Unknown(reason),
    }
}

impl Legacy {
    /// What stands against packets between these two cards, and what to do.
    pub fn obstacle(&self, inside: &str, outside: &str) -> Option<String> {
        let Self::Drops(rules) = self else {
            return None;
        };
        let ways = [(inside, outside, true), (outside, inside, false)];
        let missing = ways
            .into_iter()
            .filter(|(from, to, first)| !rules.lines().any(|rule| accepts(rule, from, to, *first)));
        let chain = match rules.lines().any(|line| line == "-N DOCKER-USER") {
            true => "DOCKER-USER",
            false => "FORWARD",
        };
        let commands: Vec<String> = missing
            .map(|(from, to, _)| format!("iptables-legacy -I {chain} -i {from} -o {to} -j ACCEPT"))
            .collect();
        (!commands.is_empty()).then(|| {
            format!(
                "iptables-legacy, which nft does not see, drops what is sent on between {inside} and {outside}; \
                 this lets it pass: {}",
                commands.join(" && ")
            )
        })
    }
}

fn has_filter(tables: &str) -> bool {
    tables.lines().any(|table| table == "filter")
}

fn is_loaded(modules: &str) -> bool {
    modules
        .lines()
        .any(|line| line.starts_with("iptable_filter "))
}

fn drops(rules: &str) -> bool {
    rules.lines().any(|line| line == "-P FORWARD DROP")
}

/// Whether a rule lets packets pass from one card to the other; the first of a connection, or else the answers to it.
/// What else it asks of a packet, like its address, we take for fulfilled.
fn accepts(rule: &str, from: &str, to: &str, first: bool) -> bool {
    let words: Vec<&str> = rule.split_whitespace().collect();
    let [
        "-A",
        "FORWARD" | "DOCKER-USER" | "DOCKER-FORWARD",
        rest @ ..,
    ] = words.as_slice()
    else {
        return false;
    };
    let of = |key: &str| rest.windows(2).find(|pair| pair[0] == key);
    let is = |key, card: &str| {
        of(key).is_none_or(|pair| match pair[1].strip_suffix('+') {
            Some(start) => card.starts_with(start),
            None => pair[1] == card,
        })
    };
    let states = of("--ctstate").or_else(|| of("--state"));
    let state = if first { "NEW" } else { "ESTABLISHED" };
    rest.ends_with(&["-j", "ACCEPT"])
        && !rest.contains(&"!")
        && is("-i", from)
        && is("-o", to)
        && states.is_none_or(|pair| pair[1].split(',').any(|word| word == state))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCKERS: &str = "-P INPUT ACCEPT
-P FORWARD DROP
-P OUTPUT ACCEPT
-N DOCKER
-N DOCKER-USER
-A FORWARD -j DOCKER-USER
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A DOCKER-USER -j RETURN
";

    #[test]
    fn the_older_iptables_in_use_is_known_from_what_proc_says() {
        assert!(has_filter("nat\nfilter\n"));
        assert!(!has_filter("nat\n") && !has_filter(""));
        let modules =
            "iptable_filter 16384 1 - Live 0x0\nip_tables 36864 1 iptable_filter, Live 0x0\n";
        assert!(is_loaded(modules));
        assert!(!is_loaded("ip_tables 36864 1 iptable_filter, Live 0x0\n"));
    }

    #[test]
    fn what_dockers_chains_drop_has_the_command_that_lets_it_pass() {
        assert!(drops(DOCKERS) && !drops("-P FORWARD ACCEPT\n"));
        let said = Legacy::Drops(DOCKERS.into())
            .obstacle("lan0", "up0")
            .unwrap();
        assert!(
            said.ends_with(
                ": iptables-legacy -I DOCKER-USER -i lan0 -o up0 -j ACCEPT && \
                 iptables-legacy -I DOCKER-USER -i up0 -o lan0 -j ACCEPT"
            ),
            "{said}"
        );
        let said = Legacy::Drops("-P FORWARD DROP\n".into()).obstacle("lan0", "up0");
        assert!(said.unwrap().contains("-I FORWARD -i lan0 -o up0"));
    }

    #[test]
    fn rules_of_the_operator_that_let_it_pass_are_enough() {
        let after = |rules: &str| {
            let rules = format!("{DOCKERS}{rules}");
            Legacy::Drops(rules).obstacle("lan0", "up0")
        };
        let both =
            "-A DOCKER-USER -i lan0 -o up0 -j ACCEPT\n-A DOCKER-USER -i up0 -o lan0 -j ACCEPT\n";
        assert_eq!(after(both), None);
        let answers = "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n";
        let said = after(answers).unwrap();
        assert!(
            said.contains("-i lan0 -o up0") && !said.contains("-i up0"),
            "{said}"
        );
        assert_eq!(
            after(&format!("{answers}-A FORWARD -i lan+ -j ACCEPT\n")),
            None
        );
        assert!(after("-A FORWARD -i lan0 -j DROP\n").is_some());
        assert_eq!(Legacy::Unused.obstacle("lan0", "up0"), None);
    }
}
