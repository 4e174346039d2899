//! Patterns that name paths.

use std::fmt;

/// A path below the source's root in which `?` stands for one byte of a name, `*` for any number of them
/// (leading dots too), and `**` for one or more whole names.
///
/// ```
/// use image::scrub::Pattern;
/// let contents: Pattern = "var/tmp/*".parse().unwrap();
/// assert!(contents.matches(b"var/tmp/.X11-unix"));
/// assert!(!contents.matches(b"var/tmp"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    names: Vec<Box<[u8]>>,
}

/// Why a text is not a pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a path below the root: write it without a leading slash and without empty, `.` or `..` names"
)]
pub struct BadPattern(String);

impl std::str::FromStr for Pattern {
    type Err = BadPattern;

    fn from_str(text: &str) -> Result<Self, BadPattern> {
        let names: Vec<_> = text.split('/').collect();
        if names.iter().any(|name| matches!(*name, "" | "." | "..")) {
            return Err(BadPattern(text.to_owned()));
        }
        Ok(Self {
            names: names
                .into_iter()
                .map(|name| name.as_bytes().into())
                .collect(),
        })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.names.iter().enumerate() {
            let slash = if index > 0 { "/" } else { "" };
            write!(f, "{slash}{}", String::from_utf8_lossy(name))?;
        }
        Ok(())
    }
}

impl Pattern {
    /// Whether the pattern names `path`, which has no leading slash.
    pub fn matches(&self, path: &[u8]) -> bool {
        self.may_match(path) && names_match(&self.names, path)
    }

    /// Whether the first and the last byte allow a match: that is no for nearly all patterns that each path of a source is
    /// held against.
    fn may_match(&self, path: &[u8]) -> bool {
        let allows =
            |of: Option<&u8>, byte: u8| of.is_none_or(|of| b"*?".contains(of) || *of == byte);
        match path {
            [] => false,
            [first, ..] => {
                let last = path[path.len() - 1];
                allows(self.names.first().and_then(|name| name.first()), *first)
                    && allows(self.names.last().and_then(|name| name.last()), last)
            }
        }
    }

    /// Whether the pattern is of one name, without a slash.
    pub(crate) fn is_name(&self) -> bool {
        self.names.len() == 1
    }
}

fn names_match(pattern: &[Box<[u8]>], path: &[u8]) -> bool {
    let Some((first, others)) = pattern.split_first() else {
        return false;
    };
    let mut cut = path.splitn(2, |byte| *byte == b'/');
    let name = cut.next().unwrap_or_default();
    let rest = cut.next();
    if **first == *b"**" {
        return match rest {
            None => others.is_empty(),
            Some(rest) => {
                others.is_empty() || names_match(others, rest) || names_match(pattern, rest)
            }
        };
    }
    name_matches(first, name)
        && match rest {
            None => others.is_empty(),
            Some(rest) => names_match(others, rest),
        }
}

/// One name against one pattern without recursion: after a mismatch the last `*` takes one byte more.
fn name_matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut read) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while read < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(byte) if *byte == b'?' || *byte == name[read] => {
                at += 1;
                read += 1;
            }
            _ => match &mut star {
                Some((star, taken)) => {
                    *taken += 1;
                    at = *star + 1;
                    read = *taken;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    fn check(pattern: &str, yes: &[&str], no: &[&str]) {
        let pattern: Pattern = pattern.parse().expect("a pattern");
        for path in yes {
            assert!(pattern.matches(path.as_bytes()), "{pattern:?} {path}");
        }
        for path in no {
            assert!(!pattern.matches(path.as_bytes()), "{pattern:?} {path}");
        }
    }

    #[test]
    fn a_star_stays_within_a_name() {
        check(
            "etc/ssh/ssh_host_*",
            &["etc/ssh/ssh_host_", "etc/ssh/ssh_host_rsa_key.pub"],
            &[
                "etc/ssh/ssh_config",
                "etc/ssh/ssh_host_x/y",
                "usr/etc/ssh/ssh_host_x",
            ],
        );
    }

    #[test]
    fn a_star_takes_what_it_needs() {
        check("a*b*c", &["abc", "aXbbYc", "abcbc"], &["ab", "acb", "abcd"]);
        check(
            "var/log/*.?",
            &["var/log/syslog.1", "var/log/.1"],
            &["var/log/syslog.12", "var/log/syslog"],
        );
    }

    #[test]
    fn two_stars_take_one_name_or_more() {
        check(
            "var/log/*/**",
            &["var/log/apt/term.log", "var/log/a/b/c"],
            &["var/log/syslog", "var/log"],
        );
        check("**/x", &["a/x", "a/b/x"], &["x", "a/x/b"]);
    }

    #[test]
    fn a_path_outside_the_root_is_refused() {
        for text in ["", "/etc", "etc/", "etc//x", "../etc", "./etc"] {
            assert!(text.parse::<Pattern>().is_err(), "{text}");
        }
    }
}
