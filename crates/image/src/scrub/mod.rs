//! What is left out of an image, and why.
//!
//! A machine that serves as template holds things that no client may share (its ssh host keys, its
//! machine-id), things that are only of use to it (logs, leases, swap), and things that are merely large
//! (package archives). [`Rules`] names them; a source asks [`Rules::judge`] for each name it meets. A
//! directory whose content is left out stays, with its mode: something is mounted there later.

mod pattern;
mod report;
mod rule;
mod standard;

pub use pattern::{BadPattern, Pattern};
pub use report::{ScrubReport, Tally};
pub use rule::{Action, Only, Rule};

/// An ordered list of rules; the first that matches decides.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Judged first and not to be taken away.
    required: Vec<Rule>,
    rules: Vec<Rule>,
}

/// What becomes of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<'r> {
    /// It goes into the image as it is.
    Keep,
    /// It does not go into the image, nor does anything below it.
    LeaveOut(&'r Rule),
    /// It goes into the image as a file of no bytes.
    Empty(&'r Rule),
}

impl Rules {
    /// What LTSP leaves out, and a few things more that it ought to.
    pub fn standard() -> Self {
        Self {
            required: standard::required(),
            rules: standard::usual(),
        }
    }

    /// Only what may never be in an image: keys and numbers that make a machine itself.
    pub fn required_only() -> Self {
        Self {
            required: standard::required(),
            rules: Vec::new(),
        }
    }

    /// Nothing is left out, not even secrets: for trees that are not a machine's root, and for tests.
    pub fn none() -> Self {
        Self {
            required: Vec::new(),
            rules: Vec::new(),
        }
    }

    /// Puts `rule` before the others, but after the required ones.
    #[must_use]
    pub fn with(mut self, rule: Rule) -> Self {
        self.rules.insert(0, rule);
        self
    }

    /// Takes the rule of this name away. A required one stays.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.rules.retain(|rule| rule.name != name);
        self
    }

    /// Every rule, in the order in which they are judged.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.required.iter().chain(&self.rules)
    }

    /// What becomes of the entry at `path`; `nature` is `None` when that cannot be told.
    pub fn judge(&self, path: &[u8], nature: Option<Nature>) -> Verdict<'_> {
        match self.iter().find(|rule| rule.matches(path, nature)) {
            None => Verdict::Keep,
            Some(rule) => match rule.action {
                Action::Keep => Verdict::Keep,
                Action::LeaveOut => Verdict::LeaveOut(rule),
                Action::Empty => Verdict::Empty(rule),
            },
        }
    }
}

/// As much as rules want to know of what an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// Anything else.
    Other,
}
