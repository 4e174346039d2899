//! What the rules left out, for the person who started the build.

use std::borrow::Cow;
use std::fmt;

use super::Rule;

/// What each rule left out, in the order in which the rules first applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScrubReport {
    /// One for each rule that applied.
    pub tallies: Vec<Tally>,
}

/// What one rule left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// The rule's name.
    pub rule: Cow<'static, str>,
    /// The rule's reason.
    pub reason: Cow<'static, str>,
    /// Names left out or emptied, those below a directory included.
    pub entries: u64,
    /// What the regular files among them hold.
    pub bytes: u64,
    /// Whether counting stopped early, so that there is at least as much as this.
    pub at_least: bool,
}

impl ScrubReport {
    /// The tally of `rule`, at zero when it applies for the first time.
    pub(crate) fn tally(&mut self, rule: &Rule) -> &mut Tally {
        let known = self
            .tallies
            .iter()
            .position(|tally| tally.rule == rule.name);
        let index = known.unwrap_or_else(|| {
            self.tallies.push(Tally {
                rule: rule.name.clone(),
                reason: rule.reason.clone(),
                entries: 0,
                bytes: 0,
                at_least: false,
            });
            self.tallies.len() - 1
        });
        &mut self.tallies[index]
    }
}

impl fmt::Display for ScrubReport {
    /// A line for each rule: `ssh-host-keys: 6 entries, 3041 bytes (every client makes its own)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for tally in &self.tallies {
            let least = if tally.at_least { "at least " } else { "" };
            let names = if tally.entries == 1 {
                "entry"
            } else {
                "entries"
            };
            writeln!(
                f,
                "{}: {least}{} {names}, {} bytes ({})",
                tally.rule, tally.entries, tally.bytes, tally.reason
            )?;
        }
        Ok(())
    }
}
