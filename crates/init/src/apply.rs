//! Changes of the configuration for a client that runs: a freshly rendered overlay, over the one before.
//!
//! It comes over ssh on standard input, from whoever has a key that the server's authority has signed for
//! this (`etc/netbootd/keys/root` of the overlay). What did not change since the last overlay is left alone, so
//! what the running system made of it stays.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::process::Command;

use crate::cpio::{self, Entry, Kind};
use crate::{overlay, pam, unpack};

/// The overlay that holds now. Only root reads it: it may have been rendered with what a group may not see.
pub(crate) const OVERLAY: &str = "run/netbootd/overlay";
/// Accounts are merged line by line: packages and administrators of the running machine add to them too.
const ACCOUNTS: [&str; 2] = ["etc/passwd", "etc/group"];
/// What is read when the machine starts and harms one that runs.
const AT_START: [&str; 2] = ["etc/machine-id", "etc/resolv.conf"];

/// Applies the overlay on standard input. Says on standard output what was done.
pub(crate) fn run() -> Result<(), String> {
    let mut archive = Vec::new();
    let limit = overlay::MAX_LEN as u64;
    io::stdin()
        .lock()
        .take(limit + 1)
        .read_to_end(&mut archive)
        .map_err(|error| format!("reading the overlay: {error}"))?;
    if archive.len() as u64 > limit {
        return Err("the overlay is too long".to_owned());
    }
    let root = Path::new("/");
    let before = fs::read(root.join(OVERLAY)).unwrap_or_default();
    let (written, removed) = apply(root, &before, &archive)?;
    let units = |paths: &[String]| paths.iter().any(|path| path.starts_with("etc/systemd/"));
    if units(&written) || units(&removed) {
        systemctl(&["daemon-reload"]);
        // Targets that are reached do not look for what they want anew.
        for unit in written.iter().filter_map(|path| wanted(path)) {
            systemctl(&["start", "--no-block", unit]);
        }
    }
    for path in &written {
        println!("wrote /{path}");
    }
    for path in &removed {
        println!("removed /{path}");
    }
    if written.is_empty() && removed.is_empty() {
        println!("nothing has changed");
    }
    Ok(())
}

/// Brings `root` from one overlay to the next: which files were written, and which removed.
fn apply(root: &Path, before: &[u8], archive: &[u8]) -> Result<(Vec<String>, Vec<String>), String> {
    let after = cpio::parse(archive).map_err(|error| error.to_string())?;
    // Without what was there before, everything is new, and nothing is removed.
    let before = cpio::parse(before).unwrap_or_default();
    let known: HashMap<&str, &Entry<'_>> = before.iter().map(|it| (&*it.path, it)).collect();
    let same = |entry: &Entry<'_>| {
        let known = known.get(&*entry.path);
        known.is_some_and(|known| {
            (known.kind, known.mode, known.uid, known.gid)
                == (entry.kind, entry.mode, entry.uid, entry.gid)
        })
    };
    let mut written = Vec::new();
    for entry in &after {
        if same(entry) || AT_START.contains(&&*entry.path) {
            continue;
        }
        let mut entry = entry.clone();
        let merged;
        if let (true, Kind::File(text)) = (ACCOUNTS.contains(&&*entry.path), entry.kind) {
            let old = match known.get(&*entry.path).map(|known| known.kind) {
                Some(Kind::File(old)) => old,
                _ => b"",
            };
            let now = fs::read(root.join(&entry.path)).unwrap_or_default();
            merged = merge(&now, old, text);
            entry.kind = Kind::File(&merged);
        }
        unpack::into_root(root, std::slice::from_ref(&entry))?;
        if !matches!(entry.kind, Kind::Folder) {
            written.push(entry.path);
        }
    }
    let mut removed = Vec::new();
    for gone in before
        .iter()
        .filter(|old| !after.iter().any(|it| it.path == old.path))
    {
        // What somebody has changed since is theirs.
        let path = root.join(&gone.path);
        let ours = match gone.kind {
            Kind::File(content) => fs::read(&path).is_ok_and(|now| now == content),
            Kind::Symlink(target) => fs::read_link(&path).is_ok_and(|now| now == Path::new(target)),
            Kind::Folder => false,
        };
        if ours && fs::remove_file(&path).is_ok() {
            removed.push(gone.path.clone());
        }
    }
    pam::prepare(root);
    keep(root, archive).map_err(|error| format!("/{OVERLAY}: {error}"))?;
    Ok((written, removed))
}

/// Notes which overlay holds.
pub(crate) fn keep(root: &Path, archive: &[u8]) -> io::Result<()> {
    let path = root.join(OVERLAY);
    let fresh = path.with_extension("new");
    let _ = fs::remove_file(&fresh);
    let mut file = fs::OpenOptions::new();
    std::os::unix::fs::OpenOptionsExt::mode(file.write(true).create_new(true), 0o600);
    io::Write::write_all(&mut file.open(&fresh)?, archive)?;
    fs::rename(fresh, path)
}

/// The lines of `after`, and those of `now` whose names neither it nor `before` has.
fn merge(now: &[u8], before: &[u8], after: &[u8]) -> Vec<u8> {
    fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
        text.split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
    }
    let name = |line: &[u8]| {
        line.split(|byte| *byte == b':')
            .next()
            .unwrap_or_default()
            .to_vec()
    };
    let ours: Vec<Vec<u8>> = lines(after).chain(lines(before)).map(name).collect();
    let added = lines(now).filter(|line| !ours.contains(&name(line)));
    let mut merged = Vec::new();
    for line in lines(after).chain(added) {
        merged.extend(line);
        merged.push(b'\n');
    }
    merged
}

/// The unit that this path has started with the machine.
fn wanted(path: &str) -> Option<&str> {
    let (target, unit) = path
        .strip_prefix("etc/systemd/system/")?
        .split_once(".wants/")?;
    target.ends_with(".target").then_some(unit)
}

fn systemctl(words: &[&str]) {
    let ended = Command::new("systemctl").args(words).status();
    if !ended.as_ref().is_ok_and(std::process::ExitStatus::success) {
        println!("systemctl {}: {ended:?}", words.join(" "));
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    fn archive(files: &[(&str, &str)], owner: &fs::Metadata) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (path, text) in files.iter().chain(&[("TRAILER!!!", "")]) {
            let fields = [
                1,
                0o100_644,
                owner.uid(),
                owner.gid(),
                1,
                0,
                text.len() as u32,
                0,
                0,
                0,
                0,
            ];
            let fields: String = fields.iter().map(|field| format!("{field:08X}")).collect();
            bytes.extend(format!("070701{fields}{:08X}00000000{path}\0", path.len() + 1).bytes());
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes.extend(text.bytes());
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        bytes
    }

    #[test]
    fn a_running_root_gets_what_changed_and_keeps_what_is_its_own() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("run/netbootd")).unwrap();
        let owner = fs::metadata(root.path()).unwrap();
        let read = |path: &str| fs::read_to_string(root.path().join(path)).ok();
        let next = |files: &[(&str, &str)]| {
            let before = fs::read(root.path().join(OVERLAY)).unwrap_or_default();
            apply(root.path(), &before, &archive(files, &owner)).unwrap()
        };
        let passwd = "root:x:0:0::/root:/bin/sh\nalice:*:1000:1000::/home/alice:/bin/sh\n";
        next(&[
            ("etc/passwd", passwd),
            ("etc/motd", "one"),
            ("etc/same", "same"),
            ("etc/gone", "1"),
        ]);
        // Meanwhile on the machine: a package's account, and an edited file.
        fs::write(
            root.path().join("etc/passwd"),
            format!("{passwd}daemon2:x:990:990::/:/bin/false\n"),
        )
        .unwrap();
        fs::write(root.path().join("etc/same"), "edited here").unwrap();
        let bob = "root:x:0:0::/root:/bin/sh\nbob:*:1001:1001::/home/bob:/bin/sh\n";
        let (written, removed) = next(&[
            ("etc/passwd", bob),
            ("etc/motd", "two"),
            ("etc/same", "same"),
            ("etc/machine-id", "x"),
        ]);
        assert_eq!(written, ["etc/passwd", "etc/motd"]);
        assert_eq!(removed, ["etc/gone"]);
        assert_eq!(
            read("etc/passwd").unwrap(),
            format!("{bob}daemon2:x:990:990::/:/bin/false\n")
        );
        assert_eq!(read("etc/same").as_deref(), Some("edited here"));
        assert_eq!((read("etc/gone"), read("etc/machine-id")), (None, None));
        assert_eq!(
            fs::metadata(root.path().join(OVERLAY)).unwrap().mode() & 0o777,
            0o600
        );
        let again = next(&[
            ("etc/passwd", bob),
            ("etc/motd", "two"),
            ("etc/same", "same"),
        ]);
        assert_eq!(again, (vec![], vec![]));
    }

    #[test]
    fn a_unit_that_a_target_wants_is_started() {
        let path = "etc/systemd/system/local-fs.target.wants/home-alice.automount";
        assert_eq!(wanted(path), Some("home-alice.automount"));
        assert_eq!(wanted("etc/systemd/system/x.service.wants/y.service"), None);
        assert_eq!(wanted("etc/systemd/system/x.service"), None);
    }

    #[test]
    fn what_was_changed_since_is_not_removed() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("run/netbootd")).unwrap();
        let owner = fs::metadata(root.path()).unwrap();
        let before = archive(&[("a", "1"), ("b", "1")], &owner);
        apply(root.path(), b"", &before).unwrap();
        fs::write(root.path().join("a"), "mine").unwrap();
        fs::remove_file(root.path().join("b")).unwrap();
        symlink("/etc/shadow", root.path().join("b")).unwrap();
        let (_, removed) = apply(root.path(), &before, &archive(&[], &owner)).unwrap();
        assert_eq!(removed, [""; 0]);
        assert!(apply(root.path(), &before, b"no archive").is_err());
    }
}
