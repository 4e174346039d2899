//! The small root's own part: an init that checks, and the list of what it checks.

use std::fmt::Write as _;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::Root;
use crate::place::tool;
use crate::process::succeed;

/// How many files the client reads and compares.
const CHECKED: usize = 400;

const INIT: &str = include_str!("small-init.sh");

/// The name of the root's folder: another one when the checks change, so that a root that was made
/// with older checks is not taken for this one.
pub(super) fn versioned_name() -> String {
    let mut hasher = DefaultHasher::new();
    (INIT, CHECKED, include_str!("odd.rs")).hash(&mut hasher);
    format!("small-{:016x}", hasher.finish())
}

/// Adds what makes the unpacked packages a root that judges itself.
pub(super) fn finish(folder: &Path) -> Result<()> {
    let root = Root {
        name: "small",
        folder: folder.to_owned(),
    };
    // Unpacking alone runs no package's script, so nobody has indexed the modules yet.
    succeed(
        Command::new(tool("depmod")?)
            .arg("--basedir")
            .arg(folder)
            .arg(root.kernel_version()?),
    )?;
    for empty in ["proc", "sys", "run", "root", "mnt"] {
        fs::create_dir_all(folder.join(empty))?;
    }
    // Everything that the checks write must be there to be written over.
    fs::write(folder.join("etc/lab-note"), "as the image has it\n")?;
    let init = folder.join("sbin/init");
    fs::write(&init, INIT)?;
    fs::set_permissions(&init, fs::Permissions::from_mode(0o755))?;
    for name in ["sh", "mount", "sha256sum", "poweroff"] {
        let path = folder.join("bin").join(name);
        if !path.exists() {
            symlink("busybox", path)?;
        }
    }
    fs::write(folder.join("etc/lab-manifest"), manifest(folder)?)?;
    super::odd::make(&folder.join(super::odd::FOLDER))?;
    Ok(())
}

/// Lengthens every file that the manifest names, and leaves the manifest as it was.
pub(super) fn change(folder: &Path) -> Result<()> {
    let manifest = fs::read_to_string(folder.join("etc/lab-manifest"))?;
    for line in manifest.lines() {
        let (_, path) = line.split_once("  /").context("not a manifest")?;
        let mut file = fs::OpenOptions::new()
            .append(true)
            .open(folder.join(path))?;
        file.write_all(b"changed")?;
    }
    Ok(())
}

/// The sum and path of [`CHECKED`] files, spread over all folders of programs and modules.
fn manifest(folder: &Path) -> Result<String> {
    let mut files = Vec::new();
    for part in ["bin", "sbin", "lib", "usr/bin", "usr/lib"] {
        collect(&folder.join(part), &mut files)?;
    }
    files.sort();
    let step = (files.len() / CHECKED).max(1);
    let chosen: Vec<PathBuf> = files.into_iter().step_by(step).take(CHECKED).collect();
    if chosen.len() < CHECKED {
        bail!(
            "only {} files to check in {}",
            chosen.len(),
            folder.display()
        );
    }
    let sums = succeed(Command::new(tool("sha256sum")?).args(&chosen))?;
    let prefix = format!("{}/", folder.display());
    let mut manifest = String::new();
    for line in sums.text.lines() {
        let (sum, path) = line.split_once("  ").context("sha256sum printed no sum")?;
        let path = path
            .strip_prefix(&prefix)
            .context("a file outside the root")?;
        writeln!(manifest, "{sum}  /{path}").expect("a String takes everything");
    }
    Ok(manifest)
}

/// Every regular file below, without following links.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(());
    };
    for entry in entries {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            collect(&entry.path(), files)?;
        } else if kind.is_file() && entry.metadata()?.len() < 200_000 {
            files.push(entry.path());
        }
    }
    Ok(())
}
