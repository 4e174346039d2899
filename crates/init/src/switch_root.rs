//! Handing over: the new root becomes `/`, and its own init becomes process 1.

use std::convert::Infallible;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use rustix::fs::{FsWord, statfs};

/// Where an init is looked for, inside the new root.
const CANDIDATES: [&str; 5] = [
    "/sbin/init",
    "/lib/systemd/systemd",
    "/usr/lib/systemd/systemd",
    "/etc/init",
    "/bin/init",
];

const RAMFS: FsWord = 0x8584_58f6;
const TMPFS: FsWord = 0x0102_1994;

/// Moves into `root` and becomes its init, which gets `arguments` (what the kernel gave to us).
/// `init=` on the kernel's command `line` names one to try first. Returns only the reason why
/// that did not work.
pub(crate) fn switch(
    root: &Path,
    arguments: &[OsString],
    line: &str,
) -> Result<Infallible, String> {
    // Its /dev is mounted already; ours stays behind, out of sight.
    for name in ["proc", "sys", "run"] {
        let target = root.join(name);
        let step = |error: io::Error| format!("moving /{name} into the new root: {error}");
        fs::create_dir_all(&target).map_err(step)?;
        rustix::mount::mount_move(Path::new("/").join(name), &target)
            .map_err(|error| step(error.into()))?;
    }
    empty_initramfs();
    let step = |what: &str, error: rustix::io::Errno| format!("{what}: {error}");
    rustix::process::chdir(root).map_err(|error| step("entering the new root", error))?;
    rustix::mount::mount_move(".", "/").map_err(|error| step("moving the new root", error))?;
    rustix::process::chroot(".").map_err(|error| step("chroot", error))?;
    rustix::process::chdir("/").map_err(|error| step("chdir", error))?;
    let mut tried = Vec::new();
    for init in asked_for(line).into_iter().chain(CANDIDATES) {
        let error = Command::new(init).args(arguments).exec();
        tried.push(format!("{init}: {error}"));
    }
    Err(format!(
        "the image has no init that starts ({}). Is it a whole system, built for this processor?",
        tried.join("; ")
    ))
}

/// The last `init=` on the command line, as the kernel reads it without an initrd.
fn asked_for(line: &str) -> Option<&str> {
    let mut words = line.split_ascii_whitespace().rev();
    words.find_map(|word| {
        word.strip_prefix("init=")
            .filter(|path| path.starts_with('/'))
    })
}

/// Runs a program with `root` as its `/`. Returns only why it did not start.
pub(crate) fn run_inside(root: &Path, program: &OsString, arguments: &[OsString]) -> io::Error {
    let enter = || {
        rustix::process::chroot(root)?;
        rustix::process::chdir("/")
    };
    match enter() {
        Ok(()) => Command::new(program).args(arguments).exec(),
        Err(error) => error.into(),
    }
}

/// Gives the initramfs's memory back: removes everything on the first root's own file system.
/// Other mounts are stepped over, and anything but a memory file system is left alone.
fn empty_initramfs() {
    let in_memory = statfs("/").is_ok_and(|root| [RAMFS, TMPFS].contains(&root.f_type));
    let Ok(root) = fs::symlink_metadata("/") else {
        return;
    };
    if in_memory && std::process::id() == 1 {
        remove_below(Path::new("/"), root.dev());
    }
}

fn remove_below(folder: &Path, device: u64) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        // A folder that something is mounted on shows that file system's device.
        let Ok(metadata) = fs::symlink_metadata(&path) else {
            continue;
        };
        if metadata.dev() != device {
            continue;
        }
        // What cannot be removed only costs memory.
        if metadata.is_dir() {
            remove_below(&path, device);
            let _ = fs::remove_dir(&path);
        } else {
            let _ = fs::remove_file(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_may_name_the_init() {
        assert_eq!(asked_for("quiet init=/a rdinit=/b init=/c"), Some("/c"));
        assert_eq!(asked_for("init= rdinit=/b"), None);
    }
}
