//! The rules that come with netbootd: LTSP's list, and what it ought to have left out as well.
//!
//! One file for each kind of reason; the order is that of judging, the first match decides.

mod accounts;
mod identity;
mod keys;
mod leftovers;
mod required;
mod services;
mod surroundings;

use super::{Action, Only, Rule};

/// Name, action, on what, patterns, reason.
type Line = (
    &'static str,
    Action,
    Only,
    &'static [&'static str],
    &'static str,
);

/// The rules that no option takes away.
pub(super) fn required() -> Vec<Rule> {
    rules([required::LINES])
}

/// The other rules.
pub(super) fn usual() -> Vec<Rule> {
    rules([
        accounts::LINES,
        surroundings::LINES,
        identity::LINES,
        keys::LINES,
        services::LINES,
        leftovers::LINES,
    ])
}

fn rules<const N: usize>(tables: [&[Line]; N]) -> Vec<Rule> {
    let rule = |(name, action, only, patterns, reason): &Line| Rule {
        only: *only,
        ..Rule::new(*name, *reason, *action, patterns).expect("the built-in patterns are tested")
    };
    tables.into_iter().flatten().map(rule).collect()
}
