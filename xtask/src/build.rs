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
    let folder = workspace::lab_binaries();
    static_init(&folder)?;
    Ok(folder)
}

/// Puts the `netbootd` that the test runner has built, unoptimised and with its assertions, into a folder with the static
/// `init`, and returns that folder, which is `LAB_BIN` for the tests; nothing where `LAB_BIN` names one already. What a
/// lab takes is in firmware and guests and in the C libraries that compress: it is no slower with this one, and building
/// the other takes minutes.
pub(crate) fn for_tests() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("LAB_BIN") {
        return Ok(folder.into());
    }
    let folder = workspace::lab_binaries().join("tested");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    let built = workspace::target_dir().join("debug").join("netbootd");
    put(&built, &folder.join("netbootd"))?;
    static_init(&folder)?;
    Ok(folder)
}

/// Builds the `init` of x86-64 clients into `folder`: small, as it travels to every client.
fn static_init(folder: &Path) -> Result<()> {
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
    put_init(STATIC_TARGET, &folder.join("init"))
}

/// Builds the `init` of 64-bit ARM clients and puts it beside that of x86-64's; rustup brings the standard library for
/// it. Nothing where `LAB_BIN` names a folder.
pub(crate) fn arm64_init(folder: &Path) -> Result<()> {
    if std::env::var_os("LAB_BIN").is_some() {
        return Ok(());
    }
    run(&mut command("rustup", ["target", "add", ARM64_TARGET]))?;
    let build = ["build", "--profile", "lab", "--package", "init"];
    // Rust's own linker and C library: no compiler for ARM is needed.
    run(cargo(build)
        .args(["--target", ARM64_TARGET])
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER", "rust-lld"))?;
    put_init(ARM64_TARGET, &folder.join("init-aarch64"))
}

/// Puts the `init` that was built for `target` where the daemon looks for it.
fn put_init(target: &str, place: &Path) -> Result<()> {
    let built = workspace::target_dir()
        .join(target)
        .join("lab")
        .join("init");
    put(&built, place)
}

/// Copies a program, unless it is the one that is there: labs make their images anew when its time changes.
fn put(built: &Path, place: &Path) -> Result<()> {
    let fresh = place.with_extension("new");
    let copied =
        std::fs::copy(built, &fresh).with_context(|| format!("cannot copy {}", built.display()))?;
    let is_there = std::fs::metadata(place).is_ok_and(|there| there.len() == copied)
        && std::fs::read(place)? == std::fs::read(&fresh)?;
    if is_there {
        return Ok(std::fs::remove_file(&fresh)?);
    }
    // Renamed into place, so that a lab that runs meanwhile sees one whole program or the other.
    std::fs::rename(&fresh, place).with_context(|| format!("cannot write {}", place.display()))
}
