//! `cargo xtask fuzz TARGET --for 60s`: one fuzz target for as long as one likes.

use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::command::{cargo, run};

/// What `cargo xtask fuzz` can be told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// records, calls, handles, images, ltsp, leases; or all
    target: String,
    /// How long, for each target: 90s, 10m, 2h
    #[arg(long = "for", default_value = "60s", value_parser = duration)]
    time: Duration,
    /// Another row of inputs
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Only the input with this number, to see again what went wrong
    #[arg(long)]
    only: Option<u64>,
}

/// Each target: its name, where its test is in cargo's words, and the test.
const TARGETS: &[(&str, &[&str], &str)] = &[
    ("records", &["--package=nfs", "--lib"], "fuzzing::records"),
    ("calls", &["--package=nfs", "--lib"], "fuzzing::calls"),
    (
        "handles",
        &["--package=netbootd", "--bin=netbootd"],
        "export::tests::fuzzing::handles",
    ),
    ("images", &["--package=squashfs", "--test=fuzz"], "images"),
    (
        "ltsp",
        &["--package=netbootd", "--bin=netbootd"],
        "import::tests::ltsp",
    ),
    (
        "leases",
        &["--package=netbootd", "--bin=netbootd"],
        "lease_file::tests::leases",
    ),
];

/// Runs the target's test, optimised, with this much time.
pub(crate) fn target(arguments: &Arguments) -> Result<()> {
    let name = arguments.target.as_str();
    let chosen: Vec<_> = TARGETS
        .iter()
        .filter(|(target, ..)| name == "all" || *target == name)
        .collect();
    if chosen.is_empty() {
        let names: Vec<&str> = TARGETS.iter().map(|(name, ..)| *name).collect();
        bail!("there is no target {name}; there are {}", names.join(", "));
    }
    for (_, place, test) in chosen {
        let mut command = cargo(["test", "--quiet", "--profile", "lab"]);
        command
            .args(*place)
            .args(["--", "--exact", test, "--nocapture"]);
        command.env("FUZZ_SECONDS", arguments.time.as_secs().to_string());
        command.env("FUZZ_SEED", arguments.seed.to_string());
        if let Some(only) = arguments.only {
            command.env("FUZZ_ONLY", only.to_string());
        }
        run(&mut command)?;
    }
    Ok(())
}

fn duration(text: &str) -> Result<Duration> {
    let (number, unit) = text.split_at(text.trim_end_matches(char::is_alphabetic).len());
    let seconds = match unit {
        "s" | "" => 1,
        "m" => 60,
        "h" => 3600,
        _ => bail!("write a time like 90s, 10m or 2h"),
    };
    let number: u64 = number.parse().context("write a time like 90s, 10m or 2h")?;
    Ok(Duration::from_secs(number.saturating_mul(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(duration("90s").unwrap(), Duration::from_secs(90));
        assert_eq!(duration("2m").unwrap(), Duration::from_secs(120));
        assert!(duration("2 weeks").is_err());
        assert!(duration("").is_err());
    }
}
