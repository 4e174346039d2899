//! `cargo xtask lab NAME`: one test of the lab, as it looks from close by.

use anyhow::{Result, bail};

use crate::build;
use crate::command::{cargo, output, run};

/// What `cargo xtask lab` can be told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The test's name, or a part of it that only one test has
    name: String,
}

/// Builds what the lab needs and runs the one test, the guest's console shown as it speaks.
pub(crate) fn one(arguments: &Arguments) -> Result<()> {
    let listed = output(&mut cargo([
        "test",
        "--quiet",
        "--package",
        "integration",
        "--tests",
        "--",
        "--list",
    ]))?;
    let tests: Vec<&str> = listed
        .lines()
        .filter_map(|line| line.strip_suffix(": test"))
        .collect();
    let name = chosen(&tests, &arguments.name)?;
    let programs = build::programs()?;
    if name.contains("arm64") {
        build::arm64_init(&programs)?;
    }
    run(cargo([
        "test",
        "--quiet",
        "--package",
        "integration",
        "--tests",
        "--",
        "--exact",
        name,
        "--nocapture",
    ])
    .env("LAB_SHOW", "1"))
}

/// The test with this name, or the only one whose name has it as a part.
fn chosen<'a>(tests: &[&'a str], wanted: &str) -> Result<&'a str> {
    if let Some(test) = tests.iter().find(|test| **test == wanted) {
        return Ok(test);
    }
    let alike: Vec<&str> = tests
        .iter()
        .copied()
        .filter(|test| test.contains(wanted))
        .collect();
    match alike[..] {
        [test] => Ok(test),
        [] => bail!(
            "no test is called {wanted:?}; there are:\n  {}",
            tests.join("\n  ")
        ),
        _ => bail!("{wanted:?} may be any of:\n  {}", alike.join("\n  ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_chosen_by_its_name_or_by_a_part_that_only_it_has() {
        let tests = ["boots", "boots_again", "leases"];
        assert_eq!(chosen(&tests, "boots").unwrap(), "boots");
        assert_eq!(chosen(&tests, "lea").unwrap(), "leases");
        assert!(
            chosen(&tests, "bo")
                .unwrap_err()
                .to_string()
                .contains("boots_again")
        );
        assert!(
            chosen(&tests, "x")
                .unwrap_err()
                .to_string()
                .contains("no test")
        );
    }
}
