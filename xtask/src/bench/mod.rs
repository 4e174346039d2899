//! `cargo xtask bench AREA`: netbootd's figures, beside its peers' in the same run.
//!
//! Every bench runs its subjects in turn, prints one row per figure,
//! `area.case.metric.subject: value`, and exits with 0 whatever the figures are; another exit code
//! means that something could not be measured. A figure is the median of its rounds.

mod boot;
mod rows;

use anyhow::Result;

/// What `cargo xtask bench` can measure.
#[derive(clap::Subcommand)]
pub(crate) enum Bench {
    /// Power-on to login prompt: netbootd, what an operator has today, and the best that is known
    Boot(boot::Arguments),
}

/// Measures, and prints the rows.
pub(crate) fn run(bench: &Bench) -> Result<()> {
    match bench {
        Bench::Boot(arguments) => boot::measure(arguments),
    }
}
