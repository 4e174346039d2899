//! `cargo xtask test`: the one test command. Its last lines are the test runner's own summary.

use anyhow::Result;

use crate::build;
use crate::command::{answers, cargo, run};

/// What `cargo xtask test` can be told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The whole matrix of boots too: every firmware, DHCP mode and kind of root
    #[arg(long)]
    full: bool,
}

/// The prefix of the tests that only `--full` runs. `.config/nextest.toml` knows it too.
const MATRIX: &str = "matrix_";

/// Documentation examples first, then every crate's tests; as root the lab's tests among them.
///
/// A test that cannot run (no root, a tool that is missing) fails and says why. Only when the
/// whole command runs without root are the lab's tests left out, and that is said first.
pub(crate) fn all(arguments: &Arguments) -> Result<()> {
    let root = is_root();
    if root {
        build::programs()?;
    } else {
        eprintln!("note: not root, so the lab's tests (package `integration`) are left out");
    }
    run(&mut cargo(["test", "--quiet", "--doc", "--workspace"]))?;

    let nextest = answers(cargo(["nextest", "--version"]));
    let mut command = if nextest {
        cargo(["nextest", "run", "--workspace", "--no-fail-fast"])
    } else {
        eprintln!("note: cargo-nextest is not installed; `cargo test` runs the same tests");
        cargo([
            "test",
            "--workspace",
            "--no-fail-fast",
            "--lib",
            "--bins",
            "--tests",
        ])
    };
    if !root {
        command.args(["--exclude", "integration"]);
    }
    match (arguments.full, nextest) {
        (true, true) => {
            command.arg("--ignore-default-filter");
        }
        (false, false) => {
            command.args(["--", "--skip", MATRIX]);
        }
        (false, true) | (true, false) => {}
    }
    run(&mut command)
}

/// Whether we run as root, by what the kernel says of this process.
fn is_root() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| {
        status
            .lines()
            .find_map(|line| line.strip_prefix("Uid:"))
            .and_then(|ids| ids.split_whitespace().nth(1))
            == Some("0")
    })
}
