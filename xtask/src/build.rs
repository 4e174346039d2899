//! The two programs that a lab boots with: the daemon, and the static `init` of the clients.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::command::{cargo, command, run};
use crate::workspace;

/// The target that `init` is built for. It must be named even where it is the host's own: without
/// `--target`, static linking would reach the procedural macros too, and they cannot be static.
const STATIC_TARGET: &str = "x86_64-unknown-linux-gnu";

const ARM64_TARGET: &str = "aarch64-unknown-linux-musl";

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
    put_init(STATIC_TARGET, &folder.join("init"))?;
    Ok(folder)
}

/// Builds the `init` of 64-bit ARM clients and puts it beside that of x86-64's; rustup brings the standard library for
/// it. Nothing where `LAB_BIN` names a folder.
pub(crate) fn arm64_init() -> Result<()> {
    if std::env::var_os("LAB_BIN").is_some() {
        return Ok(());
    }
    run(&mut command("rustup", ["target", "add", ARM64_TARGET]))?;
    let build = ["build", "--profile", "lab", "--package", "init"];
    // Rust's own linker and C library: no compiler for ARM is needed.
    run(cargo(build)
        .args(["--target", ARM64_TARGET])
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER", "rust-lld"))?;
    put_init(
        ARM64_TARGET,
        &workspace::lab_binaries().join("init-aarch64"),
    )
}

/// Puts the `init` that was built for `target` where the daemon looks for it.
fn put_init(target: &str, place: &Path) -> Result<()> {
    let built = workspace::target_dir()
        .join(target)
        .join("lab")
        .join("init");
    // Renamed into place, so that a lab that runs meanwhile sees one whole program or the other.
    let fresh = place.with_extension("new");
    std::fs::copy(&built, &fresh).with_context(|| format!("cannot copy {}", built.display()))?;
    std::fs::rename(&fresh, place).with_context(|| format!("cannot write {}", place.display()))
}
