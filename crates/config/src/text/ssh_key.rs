//! OpenSSH public keys, as in `~/.ssh/id_ed25519.pub` (RFC 4253 section 6.6 in base64).

use super::short;
use crate::diagnostic::{Code, Fault};

const KINDS: &[&str] = &[
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

const WRITE: &str = "write the line of ~/.ssh/id_ed25519.pub, which looks like \"ssh-ed25519 AAAA… you@desk\", instead";

/// A line of an `authorized_keys` file without options.
pub(crate) fn ssh_key(text: &str) -> Result<String, Fault> {
    if text.contains("PRIVATE KEY") {
        return Err(Fault::new(
            Code::PrivateKey,
            "this is a PRIVATE key",
            "whoever can read this file could log in as you; treat the key as known to others and make a new one",
        )
        .help(WRITE));
    }
    let bad = |what: String, why: &str| Fault::new(Code::BadSshKey, what, why).help(WRITE);
    let line = text.trim();
    if line.contains(['\n', '\r']) {
        return Err(bad(
            "this is more than one line".to_owned(),
            "each key is one line, and one string of the array",
        ));
    }
    let mut words = line.split_whitespace();
    let kind = words.next().unwrap_or_default();
    if !KINDS.contains(&kind) {
        let what = format!("`{}` is not an OpenSSH public key", short(line));
        return Err(if line.ends_with(".pub") && !line.contains(' ') {
            bad(
                what,
                "this is the name of a file; the key itself is needed, so that the configuration is whole",
            )
        } else if kind == "ssh-dss" {
            bad(what, "OpenSSH refuses DSA keys since version 7")
        } else if KINDS.iter().any(|kind| line.contains(kind)) {
            bad(what, "options before the kind of the key are not supported")
        } else {
            bad(
                what,
                "a key starts with its kind, like ssh-ed25519 or ssh-rsa",
            )
        });
    }
    let body = words.next().unwrap_or_default();
    let whole = decode_base64(body).is_some_and(|bytes| is_key(&bytes, kind));
    if !whole {
        return Err(bad(
            format!("the {kind} key is damaged"),
            "the part after the kind is the key in base64; this one was cut, changed, or is only a placeholder",
        ));
    }
    Ok(line.to_owned())
}

/// Whether the fields are whole, and the first repeats the kind (RFC 4253 section 6.6).
fn is_key(bytes: &[u8], kind: &str) -> bool {
    let mut rest = bytes;
    let mut fields = Vec::new();
    while let Some((length, tail)) = rest.split_first_chunk::<4>() {
        let Some((field, tail)) = tail.split_at_checked(u32::from_be_bytes(*length) as usize)
        else {
            return false;
        };
        fields.push(field);
        rest = tail;
    }
    let length_of = |index: usize| fields.get(index).map_or(0, |field| field.len());
    rest.is_empty()
        && fields.first() == Some(&kind.as_bytes())
        && match kind {
            "ssh-ed25519" | "sk-ssh-ed25519@openssh.com" => length_of(1) == 32,
            // Exponent and modulus; OpenSSH refuses less than 1024 bits.
            "ssh-rsa" => length_of(2) >= 128,
            _ => length_of(1) > 0 && length_of(2) > 0,
        }
}

/// RFC 4648 section 4, padding optional.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=').as_bytes();
    let mut bytes = Vec::with_capacity(digits.len() * 3 / 4);
    for group in digits.chunks(4) {
        let mut bits: u32 = 0;
        for place in 0..4 {
            let value = match group.get(place) {
                None => 0,
                Some(&digit @ b'A'..=b'Z') => digit - b'A',
                Some(&digit @ b'a'..=b'z') => digit - b'a' + 26,
                Some(&digit @ b'0'..=b'9') => digit - b'0' + 52,
                Some(b'+') => 62,
                Some(b'/') => 63,
                Some(_) => return None,
            };
            bits = bits << 6 | u32::from(value);
        }
        let whole = match group.len() {
            1 => return None,
            length => length - 1,
        };
        bytes.extend_from_slice(&bits.to_be_bytes()[1..=whole]);
    }
    Some(bytes)
}
