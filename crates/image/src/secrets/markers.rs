//! Secrets that tell by themselves what they are, in whatever file.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

use super::hashes;

/// A private key in text, wherever it is: libraries hold the words too, but no key behind them.
const KEY: &str = "PRIVATE KEY";

/// What text files are searched for besides.
const WORDS: &[(&str, Test)] = &[
    (KEY, Behind(pem)),
    ("Private-Lines: ", Behind(putty)),
    (
        "AGE-SECRET-KEY-1",
        Behind(|_, rest| token(rest, 50, is_alphanumeric).then_some("a private key (age)")),
    ),
    ("$1$", Whole(hashes::hash)),
    ("$5$", Whole(hashes::hash)),
    ("$6$", Whole(hashes::hash)),
    ("$7$", Whole(hashes::hash)),
    ("$y$", Whole(hashes::hash)),
    ("$gy$", Whole(hashes::hash)),
    ("$2a$", Whole(hashes::hash)),
    ("$2b$", Whole(hashes::hash)),
    ("$2y$", Whole(hashes::hash)),
    ("$apr1$", Whole(hashes::hash)),
    ("$argon2i", Whole(hashes::hash)),
    ("{SSHA", Whole(hashes::hash)),
    ("aws_secret_access_key", Behind(aws)),
    ("AWS_SECRET_ACCESS_KEY", Behind(aws)),
    ("ghp_", Behind(github)),
    ("gho_", Behind(github)),
    ("ghs_", Behind(github)),
    ("ghu_", Behind(github)),
    (
        "github_pat_",
        Behind(|_, rest| token(rest, 60, is_word).then_some("a token (GitHub)")),
    ),
    (
        "glpat-",
        Behind(|_, rest| {
            token(rest, 20, |byte| is_word(byte) || byte == b'-').then_some("a token (GitLab)")
        }),
    ),
    ("xoxb-", Behind(slack)),
    ("xoxp-", Behind(slack)),
    ("xoxs-", Behind(slack)),
    (
        "sk_live_",
        Behind(|_, rest| token(rest, 20, is_alphanumeric).then_some("a token (Stripe)")),
    ),
    (
        "npm_",
        Behind(|_, rest| token(rest, 36, is_alphanumeric).then_some("a token (npm)")),
    ),
    (
        "AccountKey=",
        Behind(|_, rest| token(rest, 80, is_base64).then_some("a token (Azure)")),
    ),
];

/// Given what precedes a word, and the rest beginning with the word or behind it: what it is, if it is one.
enum Test {
    Behind(fn(&[u8], &[u8]) -> Option<&'static str>),
    Whole(fn(&[u8]) -> Option<&'static str>),
}
use Test::{Behind, Whole};

static IN_TEXT: LazyLock<AhoCorasick> = LazyLock::new(|| {
    let words = WORDS.iter().map(|(word, _)| word);
    AhoCorasick::new(words).expect("a few short words")
});
static IN_BINARY: LazyLock<AhoCorasick> =
    LazyLock::new(|| AhoCorasick::new([KEY]).expect("one short word"));

/// The first secret in `bytes`.
pub(super) fn find(bytes: &[u8], text: bool) -> Option<&'static str> {
    let (searcher, words) = match text {
        true => (&*IN_TEXT, WORDS),
        false => (&*IN_BINARY, &WORDS[..1]),
    };
    searcher
        .find_iter(bytes)
        .find_map(|hit| match words[hit.pattern().as_usize()].1 {
            Behind(test) => test(&bytes[..hit.start()], &bytes[hit.end()..]),
            Whole(test) => test(&bytes[hit.start()..]),
        })
}

/// A key in DER that is the whole file of `size` bytes: PKCS#8, PKCS#1 or SEC 1. They begin with the length
/// of everything and a version.
pub(super) fn binary_key(begin: &[u8], size: u64) -> Option<&'static str> {
    let (length, rest) = match begin {
        [0x30, 0x82, high, low, rest @ ..] => {
            (4 + u64::from(u16::from_be_bytes([*high, *low])), rest)
        }
        [0x30, 0x81, length, rest @ ..] => (3 + u64::from(*length), rest),
        [0x30, length @ 0..=0x7f, rest @ ..] => (2 + u64::from(*length), rest),
        _ => return None,
    };
    let key = matches!(rest, [2, 1, 0, 0x30 | 2, ..] | [2, 1, 1, 4, ..]);
    (key && length == size).then_some("a private key (DER)")
}

/// `-----BEGIN … PRIVATE KEY-----`, perhaps some `Name: value` lines, and a line of base64. In JSON and in
/// programs lines end with `\n`.
fn pem(before: &[u8], after: &[u8]) -> Option<&'static str> {
    const KINDS: [(&[u8], &str); 7] = [
        (b"-----BEGIN ", "a private key (PEM)"),
        (b"-----BEGIN RSA ", "a private key (PEM)"),
        (b"-----BEGIN DSA ", "a private key (PEM)"),
        (b"-----BEGIN EC ", "a private key (PEM)"),
        (
            b"-----BEGIN ENCRYPTED ",
            "a private key (PEM, with a password)",
        ),
        (b"-----BEGIN OPENSSH ", "a private key (OpenSSH)"),
        (b"-----BEGIN PGP ", "a private key (PGP)"),
    ];
    let (_, what) = KINDS.iter().find(|(kind, _)| before.ends_with(kind))?;
    let after = after.strip_prefix(b" BLOCK").unwrap_or(after);
    let mut rest = after.strip_prefix(b"-----")?;
    for _ in 0..8 {
        let blank = rest
            .iter()
            .take_while(|byte| b" \t\r\n\\\"'+,>".contains(byte));
        rest = &rest[blank.count()..];
        let run = rest.iter().take_while(|byte| is_base64(**byte)).count();
        if run >= 40 {
            return Some(what);
        }
        // A line of a header, or the `n` of a `\n`.
        match rest {
            [b'n' | b'r', next, ..] if !next.is_ascii_lowercase() && *next != b':' => {
                rest = &rest[1..];
            }
            _ => {
                let end = rest.iter().position(|byte| *byte == b'\n')?;
                let header = &rest[..end];
                if !header.contains(&b':') || header.len() > 200 {
                    return None;
                }
                rest = &rest[end..];
            }
        }
    }
    None
}

fn putty(_: &[u8], after: &[u8]) -> Option<&'static str> {
    after
        .first()?
        .is_ascii_digit()
        .then_some("a private key (PuTTY)")
}

fn aws(_: &[u8], after: &[u8]) -> Option<&'static str> {
    let value = after.iter().position(|byte| !b" \t=:\"'".contains(byte))?;
    let value = &after[value..];
    let is_example = value.get(..40)?.windows(7).any(|part| part == b"EXAMPLE");
    let exact = value.get(40).is_none_or(|byte| !is_base64(*byte));
    (exact && !is_example && token(value, 40, is_base64)).then_some("a token (AWS)")
}

fn github(_: &[u8], after: &[u8]) -> Option<&'static str> {
    token(after, 36, is_alphanumeric).then_some("a token (GitHub)")
}

fn slack(_: &[u8], after: &[u8]) -> Option<&'static str> {
    token(after, 24, |byte| is_alphanumeric(byte) || byte == b'-').then_some("a token (Slack)")
}

/// Whether `text` begins with at least `length` characters of an alphabet that look drawn by lot.
fn token(text: &[u8], length: usize, of: fn(u8) -> bool) -> bool {
    let Some(text) = text
        .get(..length)
        .filter(|text| text.iter().all(|byte| of(*byte)))
    else {
        return false;
    };
    let mut seen = [false; 256];
    text.iter().for_each(|byte| seen[usize::from(*byte)] = true);
    seen.iter().filter(|seen| **seen).count() >= 8 && text.iter().any(u8::is_ascii_digit)
}

fn is_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/=".contains(&byte)
}

#[cfg(test)]
mod tests;
