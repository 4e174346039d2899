//! Secrets that tell by themselves what they are, in whatever file.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};
use memchr::memchr_iter;

use super::hashes;

/// A private key in text, wherever it is: libraries hold the words too, but no key behind them.
const KEY: &str = "PRIVATE KEY";

/// What text files are searched for besides, and what says by the text before and behind the word what it is, if it is one.
/// So many and no shorter, so that vector instructions find them: at 5 GB/s, where an automaton makes 0.3. (Password hashes
/// begin with shorter words; all begin with a dollar.)
const WORDS: &[(&str, Test)] = &[
    (KEY, pem),
    ("Private-Lines: ", putty),
    ("AGE-SECRET-KEY-1", |_, rest| {
        token(rest, 50, is_alphanumeric).then_some("a private key (age)")
    }),
    ("{SSHA", |_, rest| hashes::ldap(rest)),
    ("aws_secret_access_key", aws),
    ("AWS_SECRET_ACCESS_KEY", aws),
    ("ghp_", github),
    ("gho_", github),
    ("ghs_", github),
    ("ghu_", github),
    ("github_pat_", |_, rest| {
        token(rest, 60, is_word).then_some("a token (GitHub)")
    }),
    ("glpat-", |_, rest| {
        token(rest, 20, |byte| is_word(byte) || byte == b'-').then_some("a token (GitLab)")
    }),
    ("xoxb-", slack),
    ("xoxp-", slack),
    ("xoxs-", slack),
    ("sk_live_", |_, rest| {
        token(rest, 20, is_alphanumeric).then_some("a token (Stripe)")
    }),
    ("npm_", |_, rest| {
        token(rest, 36, is_alphanumeric).then_some("a token (npm)")
    }),
    ("AccountKey=", |_, rest| {
        token(rest, 80, is_base64).then_some("a token (Azure)")
    }),
];

type Test = fn(&[u8], &[u8]) -> Option<&'static str>;

static IN_TEXT: LazyLock<AhoCorasick> = LazyLock::new(|| searcher(WORDS));
static IN_BINARY: LazyLock<AhoCorasick> = LazyLock::new(|| searcher(&WORDS[..1]));

fn searcher(words: &[(&str, Test)]) -> AhoCorasick {
    AhoCorasick::builder()
        .match_kind(MatchKind::LeftmostFirst) // the kind that vector instructions help
        .build(words.iter().map(|(word, _)| word))
        .expect("a few short words")
}

/// A secret in `bytes`.
pub(super) fn find(bytes: &[u8], text: bool) -> Option<&'static str> {
    let searcher = if text { &*IN_TEXT } else { &*IN_BINARY };
    let mut hits = searcher.find_iter(bytes);
    let word = hits.find_map(|hit| {
        let (_, test) = WORDS[hit.pattern().as_usize()];
        test(&bytes[..hit.start()], &bytes[hit.end()..])
    });
    let hash = || memchr_iter(b'$', bytes).find_map(|at| hashes::hash(&bytes[at..]));
    word.or_else(|| text.then(hash)?)
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
