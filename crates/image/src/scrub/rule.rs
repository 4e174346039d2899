//! One rule: which names, what becomes of them, and why.

use std::borrow::Cow;

use super::{BadPattern, Nature, Pattern};

/// What becomes of the names that a rule matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// They stay, whatever later rules say.
    Keep,
    /// They are not in the image, nor is anything below them.
    LeaveOut,
    /// Regular files become empty; anything else stays.
    Empty,
    /// Regular files stay without some of their lines, see [`Accounts`](super::Accounts).
    Edit(Edit),
}

impl Action {
    /// In a word or two.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::LeaveOut => "leave out",
            Self::Empty => "empty",
            Self::Edit(_) => "edit",
        }
    }
}

/// What is taken out of the account files (`/etc/passwd`, `/etc/shadow`, `/etc/group`, …).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    /// The accounts of people: those with a number in the login range of `/etc/login.defs`.
    Users,
    /// Password hashes of the accounts that stay.
    Passwords,
}

/// Which kinds of entries a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Only {
    /// All.
    Anything,
    /// All but directories.
    NotDirectories,
    /// Regular files: a symbolic link in their place stays.
    RegularFiles,
}

/// Names that are treated alike for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// One or two words, by which reports and the operator call it: `ssh-host-keys`.
    pub name: Cow<'static, str>,
    /// Why, as one would say it: "every client makes its own".
    pub reason: Cow<'static, str>,
    /// Which names.
    pub patterns: Vec<Pattern>,
    /// Which kinds of entries.
    pub only: Only,
    /// What becomes of them.
    pub action: Action,
}

impl Rule {
    /// A rule that an operator or a caller adds.
    ///
    /// # Errors
    /// When one of the patterns does not name something below the root.
    pub fn new(
        name: impl Into<Cow<'static, str>>,
        reason: impl Into<Cow<'static, str>>,
        action: Action,
        patterns: &[&str],
    ) -> Result<Self, BadPattern> {
        Ok(Self {
            name: name.into(),
            reason: reason.into(),
            patterns: patterns
                .iter()
                .map(|text| text.parse())
                .collect::<Result<_, _>>()?,
            only: Only::Anything,
            action,
        })
    }

    /// Whether the rule is about the entry at `path`.
    pub fn matches(&self, path: &[u8], nature: Option<Nature>) -> bool {
        let only = match self.action {
            Action::Empty | Action::Edit(_) => Only::RegularFiles,
            Action::Keep | Action::LeaveOut => self.only,
        };
        let about = match only {
            Only::Anything => true,
            Only::NotDirectories => matches!(nature, Some(Nature::File | Nature::Other)),
            Only::RegularFiles => nature == Some(Nature::File),
        };
        about && self.patterns.iter().any(|pattern| pattern.matches(path))
    }
}
