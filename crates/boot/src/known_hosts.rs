//! The line of `known_hosts` that makes an ssh client trust the lab's authority.
//!
//! Its patterns say for which names the authority is asked at all. They are as narrow as OpenSSH's
//! wildcards allow (`*` any characters, `?` one), and what they let through besides does no harm: a
//! certificate has the name of its machine in it, and ssh compares that too.

use std::net::Ipv4Addr;

/// The end of a line that is ours.
fn mark(domain: &str) -> String {
    format!(" netbootd:{domain}")
}

/// The line for this authority's public key. `hostnames` are names without a domain; wildcards in them
/// are good. `networks` are addresses with the length of their prefix, 0 to 32.
pub fn line(
    public: &str,
    domain: &str,
    hostnames: impl IntoIterator<Item = String>,
    networks: &[(Ipv4Addr, u8)],
) -> String {
    let mut patterns = Vec::new();
    if !domain.is_empty() {
        patterns.push(format!("*.{domain}"));
    }
    patterns.extend(hostnames);
    for (address, len) in networks {
        patterns.extend(network(*address, *len));
    }
    let mut seen = std::collections::HashSet::new();
    patterns.retain(|pattern| seen.insert(pattern.clone()));
    format!(
        "@cert-authority {} {public}{}",
        patterns.join(","),
        mark(domain)
    )
}

/// The file's text with `line` in it: in place of our earlier line for this domain, else at the end.
/// Every other line stays as it is.
pub fn with_line(text: &str, line: &str, domain: &str) -> String {
    let ours = |old: &str| old.starts_with("@cert-authority ") && old.ends_with(&mark(domain));
    let mut lines: Vec<&str> = Vec::new();
    let mut placed = false;
    for old in text.lines() {
        match (ours(old), placed) {
            (false, _) => lines.push(old),
            (true, false) => {
                lines.push(line);
                placed = true;
            }
            (true, true) => {}
        }
    }
    if !placed {
        lines.push(line);
    }
    lines.join("\n") + "\n"
}

/// Patterns that match the addresses of a network and no others.
fn network(address: Ipv4Addr, len: u8) -> Vec<String> {
    let octets = address.octets();
    let whole = usize::from(len.min(32) / 8);
    let fixed: String = octets[..whole]
        .iter()
        .map(|octet| format!("{octet}."))
        .collect();
    let Some(&octet) = octets.get(whole) else {
        return vec![address.to_string()];
    };
    let host_bits = 8 - len % 8;
    let mask = u8::MAX.checked_shl(host_bits.into()).unwrap_or(0);
    let (first, last) = (octet & mask, octet | !mask);
    let rest = ".*".repeat(if whole < 3 { 1 } else { 0 });
    range(first, last)
        .into_iter()
        .map(|pattern| match pattern.as_str() {
            "*" => format!("{fixed}*"),
            pattern => format!("{fixed}{pattern}{rest}"),
        })
        .collect()
}

/// Patterns for the decimal numbers from `first` to `last`.
fn range(first: u8, last: u8) -> Vec<String> {
    let mut patterns = Vec::new();
    let mut next = u16::from(first);
    while next <= u16::from(last) {
        let (end, pattern) = widest(next, last.into());
        patterns.push(pattern);
        next = end + 1;
    }
    patterns
}

/// The pattern that begins with `first` and reaches furthest without going beyond `last`.
fn widest(first: u16, last: u16) -> (u16, String) {
    let tens = first.is_multiple_of(10).then(|| match first {
        0 => (9, "?".to_owned()),
        _ => ((first + 9).min(255), format!("{}?", first / 10)),
    });
    let named = match first {
        0 => vec![(255, "*")],
        10 => vec![(99, "??")],
        100 => vec![(255, "???"), (199, "1??")],
        200 => vec![(255, "2??")],
        _ => Vec::new(),
    };
    let named = named.into_iter().map(|(end, text)| (end, text.to_owned()));
    named
        .chain(tens)
        .find(|(end, _)| *end <= last)
        .unwrap_or_else(|| (first, first.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// OpenSSH's wildcards.
    fn matches(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            ([b'*', rest @ ..], _) => {
                matches(rest, text) || (!text.is_empty() && matches(pattern, &text[1..]))
            }
            ([b'?', rest @ ..], [_, text @ ..]) => matches(rest, text),
            ([one, rest @ ..], [two, text @ ..]) => one == two && matches(rest, text),
            _ => false,
        }
    }

    #[test]
    fn a_network_is_matched_and_its_neighbours_are_not() {
        let base = u32::from(Ipv4Addr::new(10, 77, 133, 200));
        for len in 15..=32 {
            let patterns = network(base.into(), len);
            assert!(patterns.len() <= 20, "/{len}: {patterns:?}");
            let mask = u32::MAX << (32 - u32::from(len));
            for step in [1, 3, 97, 255, 1021, 65_537] {
                for other in (0..600).map(|n| (base & mask).wrapping_add(n * step)) {
                    let text = Ipv4Addr::from(other).to_string();
                    let inside = other & mask == base & mask;
                    let found = patterns
                        .iter()
                        .any(|pattern| matches(pattern.as_bytes(), text.as_bytes()));
                    assert_eq!(found, inside, "{text} in /{len}: {patterns:?}");
                }
            }
        }
    }

    #[test]
    fn the_line_names_the_domain_the_hosts_and_the_networks() {
        let networks = [
            (Ipv4Addr::new(192, 168, 67, 1), 24),
            (Ipv4Addr::new(10, 1, 0, 0), 16),
        ];
        let hosts = ["pc1", "pc-??????", "pc1"].map(str::to_owned);
        assert_eq!(
            line("ssh-ed25519 AAAA", "lab.internal", hosts, &networks),
            "@cert-authority *.lab.internal,pc1,pc-??????,192.168.67.*,10.1.* ssh-ed25519 AAAA netbootd:lab.internal"
        );
    }

    #[test]
    fn only_our_own_line_is_replaced() {
        let ours = |key| line(key, "lab.internal", ["pc1".to_owned()], &[]);
        let text = format!(
            "# mine\nnas ssh-rsa AAAA\n{}\n@cert-authority *.x ssh-rsa B netbootd:other.lab\nlast ssh-rsa C",
            ours("old")
        );
        let after = with_line(&text, &ours("new"), "lab.internal");
        assert_eq!(after, text.replace(&ours("old"), &ours("new")) + "\n");
        assert_eq!(with_line(&after, &ours("new"), "lab.internal"), after);
        assert_eq!(
            with_line("", &ours("new"), "lab.internal"),
            ours("new") + "\n"
        );
    }
}
