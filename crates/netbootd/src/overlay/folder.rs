//! The operator's own files for clients, read when a client asks.
//!
//! Whoever can start a machine in this network can fetch them, so a file with a secret in it is left
//! out, and so is whatever cannot be read or rendered: the client boots without it, and the log and
//! `netbootd client NAME --explain` say so.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use boot::overlay::{OverlayEntry, OverlayKind};

use super::template::{Facts, render};

/// The ending of a template's name, which the client's file does not have.
const TEMPLATE: &str = ".j2";
/// Files and folders that are looked at for one client.
const MAX_ENTRIES: usize = 4096;
/// Bytes of one client's overlay.
const MAX_BYTES: u64 = 16 << 20;
/// Folders within folders.
const MAX_DEPTH: usize = 64;

/// The files of one client, and what was left out of them.
#[derive(Debug, Default)]
pub struct Files {
    /// What the client gets, each path once.
    pub entries: Vec<OverlayEntry>,
    /// The file that each entry was made from, in the same order.
    pub sources: Vec<PathBuf>,
    /// What was left out and why: `PATH: reason`.
    pub problems: Vec<String>,
    places: HashMap<String, usize>,
    bytes: u64,
    seen: usize,
}

impl Files {
    /// Reads the folders of a client, the lowest rank first: a later one's files replace an earlier
    /// one's. Folders that do not exist have no files.
    pub fn read(folders: &[PathBuf], facts: &Facts<'_>) -> Self {
        let mut files = Self::default();
        for folder in folders {
            match fs::symlink_metadata(folder) {
                Ok(metadata) if metadata.is_dir() => files.walk(folder, "", facts, 0),
                Ok(_) => files.problem(folder, "it is not a folder"),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => files.problem(folder, error),
            }
        }
        files
    }

    fn problem(&mut self, path: &Path, why: impl std::fmt::Display) {
        self.problems.push(format!("{}: {why}", path.display()));
    }

    fn walk(&mut self, folder: &Path, below: &str, facts: &Facts<'_>, depth: usize) {
        let names = fs::read_dir(folder).and_then(|entries| {
            let mut names = entries
                .take(MAX_ENTRIES + 1)
                .map(|entry| Ok(entry?.file_name()))
                .collect::<io::Result<Vec<_>>>()?;
            names.sort();
            Ok(names)
        });
        let names = match names {
            Ok(names) => names,
            Err(error) => return self.problem(folder, error),
        };
        for name in names {
            let path = folder.join(&name);
            self.seen += 1;
            if self.seen > MAX_ENTRIES {
                if self.seen == MAX_ENTRIES + 1 {
                    let limit =
                        format!("a client gets {MAX_ENTRIES} files at most; the rest is left out");
                    self.problem(&path, limit);
                }
                return;
            }
            let Some(name) = name.to_str().filter(|name| !name.contains('\n')) else {
                self.problem(&path, "its name is not UTF-8 text on one line");
                continue;
            };
            let inside = match below {
                "" => name.to_owned(),
                below => format!("{below}/{name}"),
            };
            if let Err(why) = self.add(&path, inside, facts, depth) {
                self.problem(&path, why);
            }
        }
    }

    fn add(
        &mut self,
        path: &Path,
        mut inside: String,
        facts: &Facts<'_>,
        depth: usize,
    ) -> Result<(), String> {
        if depth >= MAX_DEPTH {
            return Err(format!("it is more than {MAX_DEPTH} folders deep"));
        }
        let text = |error: io::Error| error.to_string();
        let metadata = fs::symlink_metadata(path).map_err(text)?;
        let mode = metadata.permissions().mode() & 0o7777;
        let kind = if metadata.is_dir() {
            // Folders of the image keep their owner and mode; one that is new in somebody's home is
            // theirs, and so has to be told.
            if inside.starts_with("home/") && inside.matches('/').count() > 1 {
                self.put(path, inside.clone(), OverlayKind::Directory, mode);
            }
            self.walk(path, &inside, facts, depth + 1);
            return Ok(());
        } else if metadata.is_symlink() {
            let target = fs::read_link(path).map_err(text)?;
            let target = target.to_str().ok_or("its target is not UTF-8 text")?;
            OverlayKind::Symlink(target.to_owned())
        } else if metadata.is_file() {
            let mut content = self.content(path).map_err(text)?;
            if let Some(plain) = inside.strip_suffix(TEMPLATE) {
                let source = String::from_utf8(content).map_err(|_| "a template is UTF-8 text")?;
                content = render(&source, facts)?.into_bytes();
                inside = plain.to_owned();
            }
            if let Some(what) = image::secrets::in_file(&inside, &content) {
                return Err(format!(
                    "it holds {what}, and whoever can start a machine here could read it"
                ));
            }
            OverlayKind::File(content)
        } else {
            return Err("only files, folders and symbolic links can be brought".to_owned());
        };
        self.put(path, inside, kind, mode);
        Ok(())
    }

    fn content(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        let room = MAX_BYTES - self.bytes;
        File::open(path)?.take(room + 1).read_to_end(&mut content)?;
        if content.len() as u64 > room {
            let why = format!(
                "with it a client's files would exceed {} MiB",
                MAX_BYTES >> 20
            );
            return Err(io::Error::other(why));
        }
        self.bytes += content.len() as u64;
        Ok(content)
    }

    fn put(&mut self, source: &Path, path: String, kind: OverlayKind, mode: u32) {
        let known = self.places.get(&path).copied();
        let entry = OverlayEntry {
            path,
            kind,
            mode,
            uid: 0,
            gid: 0,
        };
        match known {
            Some(index) => {
                self.entries[index] = entry;
                source.clone_into(&mut self.sources[index]);
            }
            None => {
                self.places.insert(entry.path.clone(), self.entries.len());
                self.entries.push(entry);
                self.sources.push(source.to_owned());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEIC5pIGFtIG5vdCBhIHJlYWwga2V5IGF0IGFsbCAhIQ==\n-----END PRIVATE KEY-----\n";

    fn facts() -> Facts<'static> {
        Facts {
            hostname: "pc1",
            fqdn: "pc1.lab.internal",
            domain: "lab.internal",
            mac: "02:00:00:00:00:01".into(),
            address: Some("192.168.67.20".into()),
            image: "demo",
            generation: "abab".into(),
            groups: vec!["gpu"],
        }
    }

    fn tree(files: &[(&str, &str)]) -> (tempfile::TempDir, Vec<PathBuf>) {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let folders = ["all", "groups/gpu"].map(|name| folder.path().join(name));
        (folder, folders.to_vec())
    }

    fn text<'a>(files: &'a Files, path: &str) -> Option<&'a str> {
        let entry = files.entries.iter().find(|entry| entry.path == path)?;
        match &entry.kind {
            OverlayKind::File(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    #[test]
    fn the_later_folder_wins_and_templates_are_rendered() {
        let (_folder, folders) = tree(&[
            ("all/etc/motd", "all"),
            ("all/etc/plain", "{{ hostname }}"),
            (
                "groups/gpu/etc/motd.j2",
                "I am {{ hostname }} of {{ groups[0] }}",
            ),
        ]);
        let files = Files::read(&folders, &facts());
        assert_eq!(files.problems, [""; 0]);
        assert_eq!(text(&files, "etc/motd"), Some("I am pc1 of gpu"));
        assert_eq!(text(&files, "etc/plain"), Some("{{ hostname }}"));
        assert!(files.sources[0].ends_with("gpu/etc/motd.j2"));
    }

    #[test]
    fn what_is_secret_or_broken_is_left_out_with_its_name() {
        let (folder, folders) = tree(&[
            ("all/etc/ssl/private/server.key", KEY),
            ("all/etc/bad.j2", "line one\n{{ no_such_thing }}"),
            (
                "all/etc/endless.j2",
                "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
            ),
            ("all/etc/good", "good"),
        ]);
        rustix::fs::mknodat(
            rustix::fs::CWD,
            folder.path().join("all/etc/pipe"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        let files = Files::read(&folders, &facts());
        assert_eq!(files.entries.len(), 1, "{:?}", files.sources);
        let about = |name: &str| {
            let found = files.problems.iter().find(|line| line.contains(name));
            found.unwrap_or_else(|| panic!("{name}: {:?}", files.problems))
        };
        assert!(about("server.key").contains("a private key"));
        assert!(about("bad.j2").contains("line 2"), "{}", about("bad.j2"));
        assert!(about("endless.j2").contains("fuel"));
        assert!(about("pipe").contains("only files"));
    }

    #[test]
    fn links_are_brought_as_links_and_never_followed() {
        let (folder, folders) = tree(&[("secret", "x"), ("all/etc/good", "good")]);
        let link = folder.path().join("all/etc/link");
        std::os::unix::fs::symlink("/etc/shadow", &link).unwrap();
        let outside = folder.path().join("all/outside");
        std::os::unix::fs::symlink(folder.path(), &outside).unwrap();
        let files = Files::read(&folders, &facts());
        let links: Vec<&OverlayEntry> = files
            .entries
            .iter()
            .filter(|entry| matches!(entry.kind, OverlayKind::Symlink(_)))
            .collect();
        assert_eq!((links.len(), files.entries.len()), (2, 3));
    }

    #[test]
    fn a_client_gets_so_much_and_no_more() {
        let big = "x".repeat(9 << 20);
        let (_folder, folders) = tree(&[("all/a", &big), ("all/b", &big), ("all/c", "small")]);
        let files = Files::read(&folders, &facts());
        assert_eq!(files.entries.len(), 2);
        assert!(files.problems[0].contains("all/b"), "{:?}", files.problems);
    }

    #[test]
    fn too_many_files_are_said_once() {
        let (folder, folders) = tree(&[("all/a/first", ""), ("all/c/last", "")]);
        let many = folder.path().join("all/b");
        fs::create_dir(&many).unwrap();
        for number in 0..MAX_ENTRIES {
            std::os::unix::fs::symlink("nowhere", many.join(number.to_string())).unwrap();
        }
        let files = Files::read(&folders, &facts());
        assert!(text(&files, "a/first").is_some() && text(&files, "c/last").is_none());
        assert_eq!(files.problems.len(), 1, "{:?}", files.problems);
        assert!(files.problems[0].contains("at most"));
    }
}
