//! Which modules drive a device: the patterns of `modules.alias` against a device's `modalias`.

/// The parsed `modules.alias` (depmod's text form).
///
/// Patterns are kept by the part before their first `:` (the bus), because every device asks
/// about one bus and a distribution's file has tens of thousands of lines.
#[derive(Debug, Default)]
pub(crate) struct Aliases {
    rows: Vec<(String, String)>,
}

impl Aliases {
    /// Reads lines of `alias <pattern> <module>`; other lines are comments.
    pub(crate) fn parse(text: &str) -> Self {
        let mut rows: Vec<(String, String)> = text
            .lines()
            .filter_map(|line| {
                let mut words = line.split_ascii_whitespace();
                (words.next()? == "alias").then_some(())?;
                Some((words.next()?.to_owned(), words.next()?.to_owned()))
            })
            .collect();
        // Stable: the order of the file among equals of one bus is kept.
        rows.sort_by(|a, b| bus(&a.0).cmp(bus(&b.0)));
        Self { rows }
    }

    /// The modules whose pattern matches, in the file's order, each once.
    pub(crate) fn matching(&self, modalias: &str) -> Vec<&str> {
        let wanted = bus(modalias);
        let start = self.rows.partition_point(|row| bus(&row.0) < wanted);
        let mut found: Vec<&str> = Vec::new();
        for (pattern, module) in &self.rows[start..] {
            if bus(pattern) != wanted {
                break;
            }
            if matches(pattern, modalias) && !found.contains(&module.as_str()) {
                found.push(module);
            }
        }
        found
    }
}

fn bus(text: &str) -> &str {
    text.split_once(':').map_or("", |(bus, _)| bus)
}

/// fnmatch(3) without flags, as kmod uses it: `*`, `?`, `[a-f]`, `[!x]`; `-` and `_` are one.
///
/// Linear in space and at worst quadratic in time: only the last `*` is ever tried again.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p + 1, t));
            p += 1;
        } else if let Some(next) = one(pattern, p, text[t]) {
            (p, t) = (next, t + 1);
        } else if let Some((after, from)) = star {
            star = Some((after, from + 1));
            (p, t) = (after, from + 1);
        } else {
            return false;
        }
    }
    pattern[p.min(pattern.len())..]
        .iter()
        .all(|byte| *byte == b'*')
}

/// Where the pattern goes on when its item at `at` matches `byte`.
fn one(pattern: &[u8], at: usize, byte: u8) -> Option<usize> {
    match *pattern.get(at)? {
        b'?' => Some(at + 1),
        b'[' => class(pattern, at, byte),
        literal => (fold(literal) == fold(byte)).then_some(at + 1),
    }
}

fn class(pattern: &[u8], at: usize, byte: u8) -> Option<usize> {
    let mut i = at + 1;
    let negated = matches!(pattern.get(i), Some(b'!' | b'^'));
    i += usize::from(negated);
    let (first, mut hit) = (i, false);
    loop {
        let low = *pattern.get(i)?;
        if low == b']' && i > first {
            return (hit != negated).then_some(i + 1);
        }
        match (pattern.get(i + 1), pattern.get(i + 2)) {
            (Some(b'-'), Some(&high)) if high != b']' => {
                hit |= (low..=high).contains(&byte);
                i += 3;
            }
            _ => {
                hit |= low == byte;
                i += 1;
            }
        }
    }
}

fn fold(byte: u8) -> u8 {
    if byte == b'-' { b'_' } else { byte }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_kmod_matches_them() {
        let pci = "pci:v00008086d0000100Esv00001AF4sd00001100bc02sc00i00";
        for (pattern, text, want) in [
            ("pci:v00008086d0000100Esv*sd*bc*sc*i*", pci, true),
            ("pci:v00008086d0000100Fsv*sd*bc*sc*i*", pci, false),
            ("pci:v*d*sv*sd*bc02sc00i*", pci, true),
            ("usb:v0BDAp8152d*dc*", "usb:v0BDAp8152d3100dc00", true),
            ("mdio:0000????", "mdio:00001010", true),
            ("mdio:0000????", "mdio:0000101", false),
            ("usb:v[0-9A]Bp*", "usb:vABp1", true),
            ("usb:v[!0-9]Bp*", "usb:v1Bp1", false),
            ("fs-nfs", "fs_nfs", true),
            ("of:N*T*Cfoo,bar", "of:NethT(null)Cfoo,bar", true),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("[", "[", false),
            ("a[b", "ab", false),
        ] {
            assert_eq!(matches(pattern, text), want, "{pattern} on {text}");
        }
    }

    #[test]
    fn a_pattern_of_many_stars_ends_quickly() {
        assert!(!matches(&"*a".repeat(200), &"b".repeat(20_000)));
    }

    #[test]
    fn a_device_finds_each_of_its_modules_once_in_the_order_of_the_file() {
        let aliases = Aliases::parse(
            "# comment\nalias pci:v1d2* second_listed\nalias usb:v1* other\n\
             alias pci:v1d* third\nalias pci:v1d2sv* second_listed\nalias broken\n",
        );
        assert_eq!(aliases.matching("pci:v1d2sv3"), ["second_listed", "third"]);
        assert!(aliases.matching("virtio:d1v1").is_empty());
    }
}
