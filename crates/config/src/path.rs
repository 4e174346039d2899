//! Where a value stands in the configuration: `interfaces.enp1s0.mode`.

use std::fmt;

/// The names from the top of the file down to a key or a table.
///
/// Displays as TOML writes it, with quotes around a name that needs them:
/// `clients."52:54:00:12:34:56".hostname`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyPath(Vec<String>);

impl KeyPath {
    /// A path of these names.
    pub fn new<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }

    /// Reads dotted names. Quotes (`"` or `'`) hold dots together; everything else stands for
    /// itself, so a MAC address needs none. `None` for an empty name or an open quote.
    pub fn parse(text: &str) -> Option<Self> {
        let mut names = vec![String::new()];
        let mut quote = None;
        for letter in text.chars() {
            match (quote, letter) {
                (None, '.') => names.push(String::new()),
                (None, '"' | '\'') => quote = Some(letter),
                (Some(open), close) if open == close => quote = None,
                _ => names.last_mut()?.push(letter),
            }
        }
        let good = quote.is_none() && names.iter().all(|name| !name.trim().is_empty());
        good.then(|| {
            Self(
                names
                    .into_iter()
                    .map(|name| name.trim().to_owned())
                    .collect(),
            )
        })
    }

    /// This path and one more name.
    pub fn child(&self, name: &str) -> Self {
        let mut names = self.0.clone();
        names.push(name.to_owned());
        Self(names)
    }

    /// This path without its last name; `None` at the top.
    pub fn parent(&self) -> Option<Self> {
        let (_, names) = self.0.split_last()?;
        Some(Self(names.to_vec()))
    }

    /// The names.
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// The last name; empty at the top.
    pub fn last(&self) -> &str {
        self.0.last().map_or("", String::as_str)
    }

    /// Whether a dotted pattern, in which `*` is any name, is this path.
    pub(crate) fn matches(&self, pattern: &str) -> bool {
        self.0.len() == pattern.split('.').count() && self.starts(pattern)
    }

    /// Whether this path is a table in which keys of the pattern may stand.
    pub(crate) fn leads_to(&self, pattern: &str) -> bool {
        self.0.len() < pattern.split('.').count() && self.starts(pattern)
    }

    fn starts(&self, pattern: &str) -> bool {
        let mut pairs = self.0.iter().zip(pattern.split('.'));
        pairs.all(|(name, word)| word == "*" || word == name)
    }
}

/// A name as TOML writes it in a key: bare if it can be, else in quotes.
pub(crate) fn toml_name(name: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !name.is_empty() && name.bytes().all(bare) {
        name.to_owned()
    } else {
        format!("{name:?}")
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(".")?;
            }
            f.write_str(&toml_name(name))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_what_it_writes() {
        for text in [
            "log.level",
            "clients.\"52:54:00:12:34:56\".hostname",
            "subnets.\"10.1.0.0/24\".pool",
        ] {
            assert_eq!(KeyPath::parse(text).unwrap().to_string(), text);
        }
        let loose = KeyPath::parse("clients.52:54:00:12:34:56.image").unwrap();
        assert_eq!(loose.names()[1], "52:54:00:12:34:56");
    }

    #[test]
    fn a_path_has_no_empty_names() {
        for text in ["", ".", "log.", "log..level", "subnets.\"10"] {
            assert_eq!(KeyPath::parse(text), None, "{text}");
        }
    }
}
