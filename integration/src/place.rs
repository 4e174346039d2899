//! Where things are on this machine.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// The repository's root.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("integration is a folder of the repository")
}

/// What labs build and leave: `lab` in cargo's target folder, where the built programs are too.
pub fn lab() -> PathBuf {
    let target = match std::env::var_os("CARGO_TARGET_DIR") {
        Some(target) => repository().join(target),
        None => repository().join("target"),
    };
    target.join("lab")
}

/// One of our built programs: `netbootd`, or the clients' `init`.
///
/// `LAB_BIN` names another folder to take them from.
pub fn built(program: &str) -> Result<PathBuf> {
    let folder = std::env::var_os("LAB_BIN").map_or_else(lab, PathBuf::from);
    let path = folder.join(program);
    if !path.exists() {
        bail!(
            "{} is not there; `cargo xtask lab`, `boot` and `demo` build it",
            path.display()
        );
    }
    Ok(path)
}

/// A program of Debian's that the lab cannot do without.
pub fn tool(name: &str) -> Result<PathBuf> {
    let folders = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];
    match folders
        .iter()
        .map(|folder| Path::new(folder).join(name))
        .find(|path| path.exists())
    {
        Some(path) => Ok(path),
        None => {
            bail!("`{name}` is not installed; `cargo xtask install` installs what the lab needs")
        }
    }
}
