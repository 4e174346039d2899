//! The two programs that a lab boots with: the daemon, and the static `init` of the clients.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::command::{cargo, run};
use crate::workspace;

/// The target that `init` is built for. It must be named even where it is the host's own: without
/// `--target`, static linking would reach the procedural macros too, and they cannot be static.
const STATIC_TARGET: &str = "x86_64-unknown-linux-gnu";

/// Builds `netbootd` and `init` with the profile `lab`, puts `init` beside `netbootd`, where the
/// daemon looks for it, and returns that folder; nothing where `LAB_BIN` names a folder that has them.
pub(crate) fn programs() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("LAB_BIN") {
        // The lab takes them from there, whatever we build.
        return Ok(folder.into());
    }
    run(&mut cargo([
        "build",
        "--profile",
        "lab",
        "--package",
        "netbootd",
    ]))?;
    run(cargo([
        "build",
        "--profile",
        "lab",
        "--package",
        "init",
        "--target",
        STATIC_TARGET,
    ])
    .env("RUSTFLAGS", "-C target-feature=+crt-static"))?;
    let folder = workspace::lab_binaries();
    let built = workspace::target_dir()
        .join(STATIC_TARGET)
        .join("lab")
        .join("init");
    // Renamed into place, so that a lab that runs meanwhile sees one whole program or the other.
    let fresh = folder.join(".init.new");
    std::fs::copy(&built, &fresh).with_context(|| format!("cannot copy {}", built.display()))?;
    std::fs::rename(&fresh, folder.join("init"))
        .with_context(|| format!("cannot write {}", folder.join("init").display()))?;
    Ok(folder)
}
