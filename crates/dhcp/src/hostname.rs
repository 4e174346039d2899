//! What a client calls itself, made fit for DNS.

/// Names that make other hosts trust their owner: never a client's to choose (wpad is asked for by
/// every browser that looks for a proxy, isatap by every Windows that looks for a tunnel).
const NOT_FOR_CLIENTS: [&str; 3] = ["localhost", "wpad", "isatap"];

/// One DNS label from option 12 (RFC 1035 section 2.3.1, RFC 1123 section 2.1): the part before the
/// first dot, in lower case, blanks and underscores as hyphens, everything else that a host name
/// cannot hold left out, at most 63 letters. `None` when nothing is left or the name is one that
/// clients may not have.
pub(crate) fn label(bytes: &[u8]) -> Option<String> {
    let first = bytes.split(|byte| *byte == b'.').next()?;
    let mut label = String::new();
    for byte in first.iter().map(u8::to_ascii_lowercase) {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' => label.push(char::from(byte)),
            b'-' | b'_' | b' ' if !label.is_empty() => label.push('-'),
            _ => {}
        }
    }
    label.truncate(63);
    let label = label.trim_end_matches('-');
    (!label.is_empty() && !NOT_FOR_CLIENTS.contains(&label)).then(|| label.to_owned())
}

#[cfg(test)]
mod tests {
    use super::label;

    #[track_caller]
    fn becomes(sent: &[u8], expected: Option<&str>) {
        assert_eq!(label(sent).as_deref(), expected);
    }

    #[test]
    fn a_host_name_becomes_its_first_label() {
        becomes(b"Lab-PC7", Some("lab-pc7"));
        becomes(b"lab7.example.org", Some("lab7"));
        becomes(b"lab7\0", Some("lab7"));
        becomes(b"Bob's laptop_2", Some("bobs-laptop-2"));
        becomes(b"caf\xe9", Some("caf"));
        becomes(&[b'a'; 200], Some(&"a".repeat(63)));
    }

    #[test]
    fn nothing_fit_for_dns_gives_no_name() {
        becomes(b"", None);
        becomes(b".", None);
        becomes(b"---", None);
        becomes(b"\xff\xfe", None);
    }

    #[test]
    fn names_that_others_trust_are_refused() {
        becomes(b"WPAD.lab", None);
        becomes(b"localhost", None);
    }
}
