//! `cargo xtask check`: what a reviewer would say, before the reviewer.

use anyhow::Result;

use crate::command::{cargo, run};
use crate::tidy;

/// Formatting, then tidy (both take a second), then clippy with every warning an error.
pub(crate) fn all() -> Result<()> {
    run(&mut cargo(["fmt", "--all", "--check"]))?;
    tidy::run()?;
    run(&mut cargo([
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))
}
