//! What is left out of an image, and why.
//!
//! A machine that serves as template holds things that no client may share (its ssh host keys, its
//! machine-id), things that are only of use to it (logs, leases, swap), and things that are merely large
//! (package archives). [`Rules`] names them; a source asks [`Rules::judge`] for each name it meets. A
//! directory whose content is left out stays, with its mode: something is mounted there later.
//!
//! The account files are not left out but edited: [`Accounts`] works out what becomes of them, and
//! [`Edited`] puts that in their place as a source's entries pass.
//!
//! ```
//! use image::scrub::{Action, Nature, Rule, Rules, Verdict};
//!
//! let mine = Rule::new("excluded", "asked for", Action::LeaveOut, &["opt/games"]).unwrap();
//! let rules = Rules::standard().with(mine).without("homes");
//! let verdict = |path: &str| rules.judge(path.as_bytes(), Some(Nature::Directory));
//! assert!(matches!(verdict("opt/games"), Verdict::LeaveOut(rule) if rule.name == "excluded"));
//! assert_eq!(verdict("home/alice"), Verdict::Keep);
//! ```

mod accounts;
mod edit;
mod pattern;
mod report;
mod rule;
mod standard;

pub use accounts::Accounts;
pub use edit::Edited;
pub use pattern::{BadPattern, Pattern};
pub use report::{ScrubReport, Tally};
pub use rule::{Action, Edit, Only, Rule};

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
        for rule in self.iter() {
            match rule.action {
                // Those come on top of what another rule says.
                Action::Edit(_) => continue,
                _ if !rule.matches(path, nature) => continue,
                Action::Keep => return Verdict::Keep,
                Action::LeaveOut => return Verdict::LeaveOut(rule),
                Action::Empty => return Verdict::Empty(rule),
            }
        }
        Verdict::Keep
    }

    /// The rule that makes this edit to the regular file at `path`, unless a rule before it keeps
    /// the file as it is.
    pub fn edit(&self, path: &[u8], edit: Edit) -> Option<&Rule> {
        self.iter()
            .filter(|rule| rule.action == Action::Keep || rule.action == Action::Edit(edit))
            .find(|rule| rule.matches(path, Some(Nature::File)))
            .filter(|rule| rule.action != Action::Keep)
    }

    /// The rule of this name, and whether it is one that cannot be taken away.
    pub fn named(&self, name: &str) -> Option<(&Rule, bool)> {
        let required = self.required.iter().map(|rule| (rule, true));
        let usual = self.rules.iter().map(|rule| (rule, false));
        required.chain(usual).find(|(rule, _)| rule.name == name)
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
