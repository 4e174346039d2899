//! How machines are called that nobody named.

use std::fmt;
use std::str::FromStr;

use crate::MacAddr;

/// A host name with the machine's address in it: `{mac}` stands for all twelve hexadecimal digits, `{mac6}` for
/// the last six, which differ among the cards of one maker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePattern {
    before: String,
    digits: usize,
    after: String,
}

impl NamePattern {
    /// The name of this machine, in lower case.
    pub fn name(&self, client: MacAddr) -> String {
        let digits: String = crate::text::hex(&client.0);
        let digits = &digits[digits.len() - self.digits..];
        format!("{}{digits}{}", self.before, self.after)
    }

    /// All such names, as a pattern of `known_hosts(5)`: each digit is a `?`.
    pub fn glob(&self) -> String {
        format!("{}{}{}", self.before, "?".repeat(self.digits), self.after)
    }

    /// Whether [`NamePattern::glob`] matches this name.
    pub fn matches(&self, name: &str) -> bool {
        let middle = name
            .strip_prefix(&self.before)
            .and_then(|rest| rest.strip_suffix(&self.after));
        middle.is_some_and(|middle| middle.len() == self.digits)
    }
}

impl Default for NamePattern {
    /// `pc-{mac6}`.
    fn default() -> Self {
        Self {
            before: "pc-".to_owned(),
            digits: 6,
            after: String::new(),
        }
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.digits == 6 { "{mac6}" } else { "{mac}" };
        write!(f, "{}{mark}{}", self.before, self.after)
    }
}

/// The text makes no host names, or the same one for every machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseNamePatternError;

impl fmt::Display for ParseNamePatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it is letters, digits and hyphens, with {mac} or {mac6} once")
    }
}

impl std::error::Error for ParseNamePatternError {}

impl FromStr for NamePattern {
    type Err = ParseNamePatternError;

    fn from_str(text: &str) -> Result<Self, ParseNamePatternError> {
        let parts = [("{mac}", 12), ("{mac6}", 6)]
            .into_iter()
            .find_map(|(mark, digits)| Some((text.split_once(mark)?, digits)));
        let Some(((before, after), digits)) = parts else {
            return Err(ParseNamePatternError);
        };
        let letters = |part: &str| {
            part.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        // A label of DNS: 63 characters, no hyphen at an end (RFC 1035, section 2.3.1).
        let good = letters(before) && letters(after) && before.len() + digits + after.len() <= 63;
        if !good || before.starts_with('-') || after.ends_with('-') {
            return Err(ParseNamePatternError);
        }
        Ok(Self {
            before: before.to_ascii_lowercase(),
            digits,
            after: after.to_ascii_lowercase(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PC: MacAddr = MacAddr([0x52, 0x54, 0, 0xab, 2, 1]);

    #[test]
    fn a_machine_is_named_after_its_address() {
        for (text, name, glob) in [
            ("pc-{mac6}", "pc-ab0201", "pc-??????"),
            ("Lab2-{mac}", "lab2-525400ab0201", "lab2-????????????"),
            ("{mac6}-gpu", "ab0201-gpu", "??????-gpu"),
        ] {
            let pattern: NamePattern = text.parse().unwrap();
            assert_eq!(
                (pattern.name(PC), pattern.glob()),
                (name.into(), glob.into())
            );
            assert!(pattern.matches(name) && !pattern.matches("pc-1"));
            assert_eq!(pattern.to_string(), text.to_lowercase());
        }
        assert_eq!(NamePattern::default(), "pc-{mac6}".parse().unwrap());
    }

    #[test]
    fn what_is_no_name_for_every_machine_is_refused() {
        let long = format!("{}{{mac}}", "x".repeat(52));
        for text in [
            "",
            "pc",
            "-{mac}",
            "{mac}-",
            "{mac}{mac6}",
            "a.{mac}",
            "{MAC}",
            &long,
        ] {
            assert!(text.parse::<NamePattern>().is_err(), "{text}");
        }
    }
}
