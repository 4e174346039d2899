//! `cargo xtask test`: the one test command. Its last lines are the test runner's own summary.

use anyhow::Result;
use integration::roots;

use crate::command::{answers, cargo, run};
use crate::{build, packages, workspace};

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
    let root = workspace::is_root();
    if root {
        packages::for_tests()?;
        build::programs()?;
        if arguments.full {
            build::arm64_init()?;
        }
        // Made here, not in the first test that wants one: this takes minutes and the network.
        eprintln!("the roots that clients boot, made once from Debian's packages");
        roots::small()?;
        roots::full()?;
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
