//! Which of two kernel versions is the newer.

use std::cmp::Ordering;

/// Orders versions as people do: `6.1.0-9` before `6.1.0-10`, `6.12-rc3` before `6.12`.
///
/// At equal numbers a kernel for virtual machines comes before one for real ones, so that the
/// latter, which has drivers for real network cards, is taken when both are installed.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.replace("-rc", "~rc"), b.replace("-rc", "~rc"));
    let ((a_number, a_flavour), (b_number, b_flavour)) = (split(&a), split(&b));
    natural(a_number, b_number)
        .then_with(|| for_real_machines(a_flavour).cmp(&for_real_machines(b_flavour)))
        .then_with(|| natural(a_flavour, b_flavour))
}

/// `6.1.0-56-cloud-amd64` is number `6.1.0-56` and flavour `-cloud-amd64`.
fn split(version: &str) -> (&str, &str) {
    let flavour = version
        .match_indices('-')
        .find(|(at, _)| !version[at + 1..].starts_with(|first: char| first.is_ascii_digit()))
        .map_or(version.len(), |(at, _)| at);
    version.split_at(flavour)
}

fn for_real_machines(flavour: &str) -> bool {
    let virtual_only = ["cloud", "kvm", "virtual"];
    !virtual_only.iter().any(|word| flavour.contains(word))
}

/// Runs of digits by value, the rest by character; `~` sorts before the end (as in dpkg).
fn natural(mut a: &str, mut b: &str) -> Ordering {
    loop {
        let (a_text, a_rest) = a.split_at(a.find(is_digit).unwrap_or(a.len()));
        let (b_text, b_rest) = b.split_at(b.find(is_digit).unwrap_or(b.len()));
        let rank = |text: &str| -> Vec<u32> {
            let tilde_first = |c: char| if c == '~' { 0 } else { c as u32 + 1 };
            // The end of the text sorts after "~" and before everything else.
            text.chars().map(tilde_first).chain([1]).collect()
        };
        let (a_digits, a_next) = number(a_rest);
        let (b_digits, b_next) = number(b_rest);
        let order = rank(a_text)
            .cmp(&rank(b_text))
            .then_with(|| a_digits.len().cmp(&b_digits.len()))
            .then_with(|| a_digits.cmp(b_digits));
        if order != Ordering::Equal || (a_next.is_empty() && b_next.is_empty()) {
            return order;
        }
        (a, b) = (a_next, b_next);
    }
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

/// The leading run of digits without leading zeros, and the rest.
fn number(text: &str) -> (&str, &str) {
    let end = text.find(|c| !is_digit(c)).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    (digits.trim_start_matches('0'), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_people_do() {
        let ascending = [
            "",
            "0-rescue-3f2a",
            "5.10.0-30-amd64",
            "6.1.0-9-amd64",
            "6.1.0-10-cloud-amd64",
            "6.1.0-10-amd64",
            "6.5.6-300.fc39.x86_64",
            "6.12-rc3-amd64",
            "6.12.4-arch1-1",
            "6.12.10-arch1-1",
        ];
        for pair in ascending.windows(2) {
            assert_eq!(compare(pair[0], pair[1]), Ordering::Less, "{pair:?}");
            assert_eq!(compare(pair[1], pair[0]), Ordering::Greater, "{pair:?}");
        }
        assert_eq!(compare("6.01", "6.1"), Ordering::Equal);
    }
}
