//! `cargo xtask test`: the one test command. Its last lines are the test runner's own summary.

use std::process::Command;

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
    if !root {
        eprintln!("note: not root, so the lab's tests (package `integration`) are left out");
        built(root)?;
        return run(&mut runner(root, arguments));
    }
    packages::for_tests()?;
    // Made here, not in the first test that wants one: this takes minutes and the network, and seldom a processor.
    eprintln!("the roots that clients boot, made once from Debian's packages while cargo builds");
    std::thread::scope(|scope| {
        let roots = scope.spawn(|| roots::small().and_then(|_| roots::full()));
        built(root)?;
        roots
            .join()
            .expect("making a root does not panic")
            .map(drop)
    })?;
    let programs = build::for_tests()?;
    if arguments.full {
        build::arm64_init(&programs)?;
    }
    run(runner(root, arguments).env("LAB_BIN", programs))
}

/// Runs the documentation's examples, and builds the tests.
fn built(root: bool) -> Result<()> {
    run(&mut cargo(["test", "--quiet", "--doc", "--workspace"]))?;
    run(runner_for(root).arg("--no-run"))
}

fn has_nextest() -> bool {
    answers(cargo(["nextest", "--version"]))
}

/// The test runner, told of the packages.
fn runner_for(root: bool) -> Command {
    let mut command = if has_nextest() {
        cargo(["nextest", "run", "--workspace"])
    } else {
        cargo(["test", "--workspace", "--lib", "--bins", "--tests"])
    };
    if !root {
        command.args(["--exclude", "integration"]);
    }
    command
}

/// The test runner, told of the tests.
fn runner(root: bool, arguments: &Arguments) -> Command {
    let nextest = has_nextest();
    let mut command = runner_for(root);
    command.arg("--no-fail-fast");
    if nextest {
        // Many tests of the lab wait for clocks of others: beside two guests there is work for two more.
        let processors = std::thread::available_parallelism().map_or(2, usize::from);
        command.args(["--test-threads", &(processors + 2).to_string()]);
    } else {
        eprintln!("note: cargo-nextest is not installed; `cargo test` runs the same tests");
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
    command
}
