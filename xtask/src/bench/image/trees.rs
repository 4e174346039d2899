//! What images are made of.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::command::run;

/// Files of the made tree, and how many are in one directory.
const FILES: u32 = 200_000;
const IN_DIRECTORY: u32 = 200;

/// A tree of small files of words, 100 to 4000 bytes each, made once.
pub(super) fn small_files(folder: &Path) -> Result<PathBuf> {
    let tree = folder.join("small-files");
    if tree.is_dir() {
        return Ok(tree);
    }
    let fresh = folder.join("small-files.new");
    let _ = fs::remove_dir_all(&fresh);
    let words = [
        "boot", "client", "image", "kernel", "lease", "server", "packet", "block", "file",
    ];
    let mut state = 1_u32;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state
    };
    for number in 0..FILES {
        let directory = fresh.join(format!(
            "{:02x}/{:03x}",
            number / IN_DIRECTORY % 16,
            number / IN_DIRECTORY
        ));
        if number % IN_DIRECTORY == 0 {
            fs::create_dir_all(&directory)?;
        }
        let length = 100 + next() as usize % 3900;
        let mut text = format!("{number}\n");
        while text.len() < length {
            text.push_str(words[next() as usize % words.len()]);
            text.push_str(&format!(" {:x}\n", next() % 4096));
        }
        fs::write(directory.join(format!("{number}.txt")), text)?;
    }
    fs::rename(&fresh, &tree)?;
    Ok(tree)
}

/// A copy of a root that may be changed.
pub(super) fn copy(root: &Path, folder: &Path) -> Result<PathBuf> {
    let tree = folder.join("changing");
    if tree.exists() {
        fs::remove_dir_all(&tree)?;
    }
    run(Command::new("cp").args(["-a", "--"]).arg(root).arg(&tree))?;
    // What was written just now is never trusted.
    std::thread::sleep(std::time::Duration::from_secs(4));
    Ok(tree)
}

/// Changes one regular file in a hundred: its first bytes, not its length. Kernel and modules stay, as a build refuses
/// those that begin with something else.
pub(super) fn change(tree: &Path, time: &str) -> Result<()> {
    let mut files = Vec::new();
    list(tree, &mut files)?;
    let is_kernel = |path: &Path| path.iter().any(|name| name == "modules" || name == "boot");
    files.retain(|path| !is_kernel(path));
    files.sort();
    for path in files.iter().step_by(100) {
        let mut bytes =
            fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let mark = format!("changed {time} {}", path.display());
        let length = mark.len().min(bytes.len());
        bytes[..length].copy_from_slice(&mark.as_bytes()[..length]);
        fs::write(path, bytes)?;
    }
    Ok(())
}

/// Reads everything once, so that the first subject does not pay for the disk.
pub(super) fn warm(tree: &Path) -> Result<()> {
    let mut files = Vec::new();
    list(tree, &mut files)?;
    for path in files {
        io::copy(&mut fs::File::open(path)?, &mut io::sink())?;
    }
    Ok(())
}

/// The regular files below a folder.
fn list(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            list(&entry.path(), files)?;
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}
