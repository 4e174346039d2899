//! mmdebstrap, from the package archive that this machine itself uses.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::place::tool;
use crate::process::succeed;

/// Makes a root of these packages.
pub(super) fn make(folder: &Path, variant: &str, packages: &[&str]) -> Result<()> {
    make_for(None, folder, variant, packages)
}

/// The same for another processor than this machine's, as Debian calls it.
pub(super) fn make_for(
    architecture: Option<&str>,
    folder: &Path,
    variant: &str,
    packages: &[&str],
) -> Result<()> {
    succeed(
        Command::new(tool("mmdebstrap")?)
            .arg(format!("--variant={variant}"))
            .args(architecture.map(|name| format!("--architectures={name}")))
            .arg(format!("--include={}", packages.join(",")))
            .arg(release()?)
            .arg(folder)
            .arg(sources()?)
            // Packages' scripts print what they do in English.
            .env("LC_ALL", "C"),
    )?;
    Ok(())
}

/// Copies a root with everything that a root has.
pub(super) fn copy(from: &Path, to: &Path) -> Result<()> {
    succeed(Command::new(tool("cp")?).arg("-a").arg(from).arg(to))?;
    Ok(())
}

/// The Debian release that this machine runs, by its code name.
fn release() -> Result<String> {
    let text = std::fs::read_to_string("/etc/os-release").context("no /etc/os-release")?;
    let value = |key: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
            .map(|value| value.trim_matches('"').to_owned())
    };
    if value("ID").as_deref() != Some("debian") {
        bail!("the lab's roots are made from Debian's packages, on Debian");
    }
    value("VERSION_CODENAME").context("/etc/os-release names no release")
}

/// Where this machine gets its packages from.
fn sources() -> Result<PathBuf> {
    let candidates = [
        "/etc/apt/sources.list.d/debian.sources",
        "/etc/apt/sources.list",
    ];
    candidates
        .iter()
        .map(PathBuf::from)
        .find(|path| std::fs::read_to_string(path).is_ok_and(|text| names_a_source(&text)))
        .with_context(|| format!("none of {} names a package source", candidates.join(", ")))
}

/// Whether apt would fetch from somewhere because of this file.
fn names_a_source(text: &str) -> bool {
    text.lines().any(|line| {
        line.starts_with("deb ") || line.starts_with("deb [") || line.starts_with("URIs:")
    })
}
