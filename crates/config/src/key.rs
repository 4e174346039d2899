//! What a key of the configuration is: its place, its kind, its default and its prose.

use crate::keys::KEYS;
use crate::path::KeyPath;

/// What a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Text,
    /// A string out of a closed list.
    Word(&'static [&'static str]),
    /// An integer.
    Number,
    /// `true` or `false`.
    Flag,
    /// An array of strings.
    List,
}

/// What a key means when nobody sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initial {
    /// This value, in TOML.
    Value(&'static str),
    /// Nothing: the daemon finds out by itself (the prose says how). An example value, in TOML.
    Unset(&'static str),
}

/// One key: where it stands, what it holds, and the line of prose that explains it.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Dotted path; `*` stands for a name that the operator chooses.
    pub path: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Its default, or an example of it.
    pub initial: Initial,
    /// One or two sentences for the operator.
    pub prose: &'static str,
}

impl Key {
    /// The key that stands at `path`, if there is one.
    pub fn at(path: &KeyPath) -> Option<&'static Self> {
        KEYS.iter().find(|key| path.matches(key.path))
    }

    /// The first sentence of the prose, to stand inside of another.
    pub(crate) fn gist(&self) -> String {
        gist(self.prose)
    }

    /// The default or the example, in TOML.
    pub fn example(&self) -> &'static str {
        match self.initial {
            Initial::Value(toml) | Initial::Unset(toml) => toml,
        }
    }
}

/// The first sentence, without a capital and a full stop.
pub(crate) fn gist(prose: &str) -> String {
    let sentence = prose
        .split(". ")
        .next()
        .unwrap_or_default()
        .trim_end_matches('.');
    let mut letters = sentence.chars();
    match (letters.next(), letters.next()) {
        (Some(first), Some(second)) if !second.is_uppercase() => first
            .to_lowercase()
            .chain([second])
            .chain(letters)
            .collect(),
        _ => sentence.to_owned(),
    }
}

/// One table of the file: its pattern, an example of the name in it, and what it is for.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    /// Dotted path as in [`Key::path`]; empty for the top of the file.
    pub path: &'static str,
    /// The header to write for it, without brackets.
    pub example: &'static str,
    /// A sentence for the operator.
    pub prose: &'static str,
}
