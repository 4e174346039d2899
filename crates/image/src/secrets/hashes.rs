//! Password hashes as crypt(5) writes them.

/// Longer than any hash's name (`argon2id`) and the dollar behind it.
const LONGEST: usize = 10;

/// What follows `{SSHA`: a hash, or nothing of interest.
pub(super) fn ldap(text: &[u8]) -> Option<&'static str> {
    let end = text.iter().take(6).position(|byte| *byte == b'}')?;
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
    (run(&text[end + 1..], is_base64) >= 32).then_some("a password hash (LDAP)")
}

/// What a text that begins with a dollar is, if it is a whole hash: `$6$salt$…`.
pub(super) fn hash(text: &[u8]) -> Option<&'static str> {
    let dollar = |text: &[u8]| text.iter().position(|byte| *byte == b'$');
    let id_end = 1 + dollar(text.get(1..text.len().min(1 + LONGEST))?)?;
    let (id, rest) = (&text[1..id_end], &text[id_end + 1..]);
    // Fields of salt and parameters, then as many characters.
    let (fields, length, what) = match id {
        b"1" | b"apr1" => (1, 22, "a password hash (MD5)"),
        b"5" => (1, 43, "a password hash (SHA-256)"),
        b"6" => (1, 86, "a password hash (SHA-512)"),
        b"y" | b"gy" => (2, 43, "a password hash (yescrypt)"),
        b"7" => (1, 43, "a password hash (scrypt)"),
        b"2a" | b"2b" | b"2y" => (1, 53, "a password hash (bcrypt)"),
        b"argon2i" | b"argon2id" => (3, 0, "a password hash (Argon2)"),
        _ => return None,
    };
    let mut rest = match rest.strip_prefix(b"rounds=") {
        Some(rest) => &rest[dollar(rest)? + 1..],
        None => rest,
    };
    for _ in 0..fields {
        let end = dollar(rest.get(..rest.len().min(200))?)?;
        let is_salt = end > 0
            && rest[..end]
                .iter()
                .all(|byte| is_crypt(*byte) || b"=,+-_".contains(byte));
        if !is_salt {
            return None;
        }
        rest = &rest[end + 1..];
    }
    let run = run(rest, is_crypt);
    let whole = if length == 0 {
        run >= 22
    } else {
        run == length
    };
    let varied = rest[..run].iter().any(|byte| *byte != rest[0]);
    (whole && varied).then_some(what)
}

/// Whether the second field of a line of `shadow`, `gshadow` or `htpasswd` lets somebody in by password:
/// any hash, the 13 letters of the old crypt(3) among them, behind a lock or not.
pub(super) fn in_field(line: &[u8]) -> bool {
    let password = line.split(|byte| *byte == b':').nth(1).unwrap_or_default();
    let unlocked = password
        .iter()
        .position(|byte| *byte != b'!')
        .unwrap_or(password.len());
    let password = &password[unlocked..];
    password.len() >= 13 && !password.starts_with(b"*")
}

fn is_crypt(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"./".contains(&byte)
}

fn run(text: &[u8], of: fn(u8) -> bool) -> usize {
    text.iter().take_while(|byte| of(**byte)).count()
}

#[cfg(test)]
mod tests {
    use super::super::markers;
    use super::*;

    #[test]
    fn every_kind_of_hash_is_known_and_examples_are_not() {
        let sha512 = format!("$6$rounds=5000$abcdefgh${}:", "aB./9".repeat(17) + "x");
        let kinds = [
            (sha512.as_str(), "SHA-512"),
            ("$1$abcdefgh$0123456789abcdefghijkl", "MD5"),
            ("$apr1$abcdefgh$0123456789abcdefghijkl\n", "MD5"),
            (
                "$y$j9T$saltsalt$0123456789abcdefghijklmnopqrstuvwxyzABCDEFG:1",
                "yescrypt",
            ),
            (
                "$2y$05$0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ",
                "bcrypt",
            ),
            (
                "$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ$0123456789abcdefghijklmnop",
                "Argon2",
            ),
            ("{SSHA}0123456789abcdefghijklmnopqrstuvwxyz", "LDAP"),
        ];
        for (text, what) in kinds {
            assert!(
                markers::find(text.as_bytes(), true).is_some_and(|found| found.contains(what)),
                "{text}"
            );
        }
        for text in [
            "$6$",
            "$6$salt$",
            "$6$salt$short",
            "$1$ + $2$ = $3$",
            "$y$",
            "$2a$",
            "{SSHA}",
            "$1$$$$",
        ] {
            assert_eq!(markers::find(text.as_bytes(), true), None, "{text}");
        }
    }

    #[test]
    fn a_lock_before_a_hash_does_not_hide_it() {
        for line in [
            "a:!$6$x$y0123456789:1",
            "a:0123456789abc:1",
            "a:!!$1$abcdefgh$01234:",
        ] {
            assert!(in_field(line.as_bytes()), "{line}");
        }
        for line in ["a:*:1", "a:!*:1", "a:!!:1", "a::1", "a:x:0", "a"] {
            assert!(!in_field(line.as_bytes()), "{line}");
        }
    }
}
