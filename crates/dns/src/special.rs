//! Names with a fixed meaning, which never leave this machine (RFC 6761, RFC 6303 and others).

use hickory_proto::rr::Name;

/// What is said about a special name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Special {
    /// The asker itself: 127.0.0.1 and ::1 (RFC 6761 section 6.3).
    Localhost,
    /// It does not exist; the number of labels of the zone that says so.
    Nonexistent(usize),
    /// It exists and has nothing (RFC 9462 section 6.4: no other way to reach this resolver).
    Empty(usize),
}

/// Domains that no upstream is asked about.
const NONEXISTENT: &[&[&str]] = &[
    &["local"],        // RFC 6762 section 22.1: multicast DNS
    &["invalid"],      // RFC 6761 section 6.4
    &["test"],         // RFC 6761 section 6.2
    &["onion"],        // RFC 7686 section 2
    &["home", "arpa"], // RFC 8375 section 4
];

/// Whether a name is special.
pub(crate) fn special(name: &Name) -> Option<Special> {
    let labels: Vec<&[u8]> = name.iter().collect();
    let ends = |words: &[&str]| {
        labels.len() >= words.len()
            && labels
                .iter()
                .rev()
                .zip(words.iter().rev())
                .all(|(label, word)| label.eq_ignore_ascii_case(word.as_bytes()))
    };
    if ends(&["localhost"]) {
        return Some(Special::Localhost);
    }
    if ends(&["resolver", "arpa"]) {
        return Some(Special::Empty(2));
    }
    let found = NONEXISTENT.iter().find(|words| ends(words))?;
    Some(Special::Nonexistent(found.len()))
}
