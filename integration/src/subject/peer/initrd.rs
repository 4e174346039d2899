//! The peer's initrd: busybox, the modules that a boot needs, and a script.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::place::tool;
use crate::process::succeed;
use crate::roots::Root;

/// What a client needs to reach its root. A module that the kernel has built in is no error.
pub const MODULES: [&str; 8] = [
    "virtio_net",
    "virtio_pci",
    "e1000e",
    "af_packet",
    "nfsv3",
    "squashfs",
    "loop",
    "overlay",
];

/// The script that the peer's initrd runs; it says what it reads from the kernel's command line.
pub const INIT: &str = include_str!("initrd-init.sh");

/// Writes an initrd for the newest kernel of this root: busybox, `init`, and the modules that are
/// named with what they depend on.
pub fn make(root: &Root, init: &str, modules: &[&str], to: &Path) -> Result<()> {
    make_with(root, init, modules, &[], to)
}

/// The same with further files of this machine, programs with the libraries that they need.
pub fn make_with(
    root: &Root,
    init: &str,
    modules: &[&str],
    files: &[&Path],
    to: &Path,
) -> Result<()> {
    let version = root.kernel_version()?;
    let tree = to.with_extension("tree");
    for folder in ["bin", "dev", "proc", "sys", "run", "newroot", "tmp", "etc"] {
        fs::create_dir_all(tree.join(folder))?;
    }
    fs::copy(tool("busybox")?, tree.join("bin/busybox"))?;
    for (name, text) in [
        ("init", init),
        ("bin/leased", include_str!("initrd-leased.sh")),
    ] {
        let path = tree.join(name);
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    for file in files {
        for part in [file.to_path_buf()].into_iter().chain(libraries(file)?) {
            let copy = tree.join(part.strip_prefix("/")?);
            fs::create_dir_all(copy.parent().context("a file in no folder")?)?;
            fs::copy(&part, copy).with_context(|| format!("cannot copy {}", part.display()))?;
        }
    }
    for module in module_files(root, &version, modules)? {
        let inside = module
            .strip_prefix(&root.folder)
            .context("modprobe named a module outside the root")?;
        let copy = tree.join(inside);
        fs::create_dir_all(copy.parent().context("a module in no folder")?)?;
        fs::copy(&module, copy)?;
    }
    succeed(
        Command::new(tool("depmod")?)
            .arg("-b")
            .arg(&tree)
            .arg(&version),
    )?;
    succeed(
        Command::new("/bin/sh")
            .args([
                "-c",
                "cd \"$0\" && find . | cpio --quiet -o -H newc | gzip -1 >\"$1\"",
            ])
            .arg(&tree)
            .arg(to),
    )?;
    fs::remove_dir_all(&tree)?;
    Ok(())
}

/// The files of these modules and of what they depend on.
fn module_files(root: &Root, version: &str, modules: &[&str]) -> Result<BTreeSet<PathBuf>> {
    let mut files = BTreeSet::new();
    for module in modules {
        let shown = crate::process::ran(
            Command::new(tool("modprobe")?)
                .args(["--show-depends", "--set-version", version, "--dirname"])
                .arg(&root.folder)
                .arg(module),
        )?;
        files.extend(
            shown
                .text
                .lines()
                .filter_map(|line| line.strip_prefix("insmod ")?.split(' ').next())
                .map(PathBuf::from),
        );
    }
    Ok(files)
}

/// The shared libraries that a program loads, its loader included; none for what is no program.
fn libraries(file: &Path) -> Result<Vec<PathBuf>> {
    let listed = crate::process::ran(Command::new(tool("ldd")?).arg(file))?;
    let words = listed.text.split_whitespace();
    let paths = words.filter(|word| word.starts_with('/') && !word.ends_with(':'));
    Ok(paths
        .map(PathBuf::from)
        .filter(|path| path.exists())
        .collect())
}
