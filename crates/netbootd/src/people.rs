//! The server's own people, as `/etc/passwd` and `/etc/group` have them when a client asks.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::Path;
use std::{fs, io};

use boot::overlay::{Login, People, User};
use config::{Config, Diagnostic, Loaded};
use model::Home;

use crate::daemon::Daemon;

/// Where the public host keys of this machine are.
const SSH: &str = "/etc/ssh";

/// What is read of this machine for one client's overlay.
#[derive(Debug)]
pub struct Here {
    people: People,
    host_keys: Vec<String>,
    server: String,
    /// What is not had of them, and why.
    pub problems: Vec<String>,
}

impl Here {
    /// Reads it for a client at `address`; `None` where clients have nobody of the server's.
    pub fn read(daemon: &Daemon, address: Option<Ipv4Addr>) -> Option<Self> {
        let ours = address.and_then(|address| daemon.address_for(address));
        Self::new(&daemon.config, ours)
    }

    fn new(config: &Config, ours: Option<Ipv4Addr>) -> Option<Self> {
        let login = &config.login;
        if login.users.is_empty() {
            return None;
        }
        let mut problems = Vec::new();
        let mut text = |path: &str| {
            fs::read_to_string(path).unwrap_or_else(|error| {
                problems.push(format!("{path}: {error}"));
                String::new()
            })
        };
        let (passwd, group) = (text("/etc/passwd"), text("/etc/group"));
        let mut people = People::choose(&passwd, &group, &login.users);
        problems.append(&mut people.problems);
        let host_keys = match login.host_keys.as_slice() {
            [] => public_host_keys(Path::new(SSH)).unwrap_or_else(|error| {
                problems.push(format!("{SSH}: {error}"));
                Vec::new()
            }),
            keys => keys.to_vec(),
        };
        if host_keys.is_empty() {
            let why = "no ssh_host_*_key.pub: nobody's password can be checked. Is openssh-server installed here?";
            problems.push(format!("{SSH}: {why}"));
        }
        let server = login.server.or(ours).map(|server| server.to_string());
        if server.is_none() {
            problems.push("which of this machine's addresses the client reaches is not known; set `login.server`".to_owned());
        }
        Some(Self {
            people,
            host_keys,
            server: server.unwrap_or_default(),
            problems,
        })
    }

    /// For the overlay.
    pub fn login<'a>(&'a self, config: &'a Config) -> Login<'a> {
        Login {
            people: &self.people,
            server: self.server.clone(),
            host_keys: &self.host_keys,
            home: config.login.home,
            nfs: config.login.nfs.as_deref(),
        }
    }
}

/// Everybody who is to be on clients: of the configuration, and of this machine.
pub fn users(config: &Config, here: Option<&Here>) -> Vec<User> {
    let accounts = here.map_or(&[][..], |here| &here.people.accounts);
    let names = accounts.iter().map(|account| &account.name);
    let names: BTreeSet<&String> = names.chain(config.users.keys()).collect();
    let user = |name: &String| {
        let said = config.users.get(name).cloned().unwrap_or_default();
        let account = accounts.iter().find(|account| account.name == *name);
        User {
            name: name.clone(),
            ssh_keys: said.ssh_keys,
            uid: account.map(|account| account.uid).or(said.uid),
            groups: said.groups,
            shell: said.shell,
            passwordless: said.passwordless,
        }
    };
    names.into_iter().map(user).collect()
}

/// The ways in which clients have homes; none where they have nobody of the server's.
fn homes(config: &Config) -> Vec<Home> {
    if config.login.users.is_empty() {
        return Vec::new();
    }
    let of_clients = config.clients.values().map(|client| &client.settings);
    let settings = of_clients.chain(config.groups.iter().map(|group| &group.settings));
    let said = settings.filter_map(|settings| settings.home);
    said.chain([config.login.home]).collect()
}

/// Whose homes some client may have with a key of its own.
pub fn with_machine_homes(config: &Config) -> Vec<String> {
    if !homes(config).contains(&Home::Machine) {
        return Vec::new();
    }
    let people = Here::new(config, None).map(|here| here.people);
    let accounts = people.unwrap_or_default().accounts.into_iter();
    accounts.map(|account| account.name).collect()
}

/// The people that the configuration names and this machine does not have, each with its line.
pub fn check(loaded: &Loaded) -> Vec<Diagnostic> {
    let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
    check_in(loaded, &text("/etc/passwd"), &text("/etc/group"))
}

fn check_in(loaded: &Loaded, passwd: &str, group: &str) -> Vec<Diagnostic> {
    let all = People::choose(passwd, group, &loaded.config.login.users);
    let why_not = |wish: &str| {
        let problems = People::choose(passwd, group, &[wish.to_owned()]).problems;
        (!problems.is_empty()).then(|| problems.join("; "))
    };
    let has = |name: &str| all.accounts.iter().any(|account| account.name == name);
    loaded.check_people(why_not, has)
}

/// Whether the kernel of this version can have file systems in programs (fuse), as sshfs is one. `has` says
/// whether the image has the file of this path; `builtin` is its list of what the kernel has without a module.
pub fn has_fuse(version: &str, builtin: &str, has: impl Fn(&str) -> bool) -> bool {
    let module = "kernel/fs/fuse/fuse.ko";
    builtin.lines().any(|line| line.trim() == module)
        || ["", ".xz", ".zst", ".gz"]
            .iter()
            .any(|end| has(&format!("lib/modules/{version}/{module}{end}")))
}

/// What an image lacks for the server's people to log in and to have their homes. `has` says whether it has
/// the file of this path, without a leading slash; `fuse` is [`has_fuse`] of its kernel.
pub fn lacks(config: &Config, fuse: bool, has: impl Fn(&str) -> bool) -> Vec<String> {
    let homes = homes(config);
    let used = |home: Home| homes.contains(&home);
    let sshfs = used(Home::Sshfs) || used(Home::Machine);
    let lacking = [
        (
            !homes.is_empty(),
            "usr/bin/ssh",
            "passwords cannot be checked at the server",
        ),
        (
            sshfs,
            "usr/bin/sshfs",
            "homes cannot be mounted (package sshfs)",
        ),
        (
            used(Home::Nfs),
            "sbin/mount.nfs",
            "homes cannot be mounted (package nfs-common or nfs-utils)",
        ),
    ];
    let lacking = lacking
        .into_iter()
        .filter(|(wanted, path, _)| *wanted && !has(path));
    let mut said: Vec<String> = lacking
        .map(|(_, path, so)| format!("it has no /{path}: {so}"))
        .collect();
    if sshfs && !fuse {
        said.push("its kernel has no module fuse: homes cannot be mounted by sshfs".to_owned());
    }
    said
}

/// The lines of `ssh_host_*_key.pub`, without their comments.
fn public_host_keys(folder: &Path) -> io::Result<Vec<String>> {
    let mut keys = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("ssh_host_") && name.ends_with("_key.pub") {
            let text = fs::read_to_string(entry.path())?;
            let words: Vec<&str> = text.split_whitespace().take(2).collect();
            keys.push(words.join(" "));
        }
    }
    keys.sort();
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        let loaded = config::load_text("lab.toml", text, &config::LoadOptions::default());
        loaded.unwrap_or_else(|errors| panic!("{errors}")).config
    }

    #[test]
    fn a_machine_without_an_ssh_server_of_its_own_says_so() {
        assert!(Here::new(&config(""), None).is_none());
        let here = Here::new(&config("[login]\nusers = [\"no-such-person\"]\n"), None).unwrap();
        let said = here.problems.join("\n");
        assert!(said.contains("no account `no-such-person`"), "{said}");
        assert!(said.contains("set `login.server`"), "{said}");
    }

    #[test]
    fn an_image_that_cannot_mount_homes_is_told_of() {
        let lacking = |text: &str| lacks(&config(text), true, |path| path == "usr/bin/ssh");
        assert!(lacking("").is_empty());
        let login = "[login]\nusers = [\"alice\"]\nhome = \"tmpfs\"\n";
        assert!(lacking(login).is_empty());
        let group = format!("{login}[groups.a]\nhome = \"machine\"\n[groups.b]\nhome = \"nfs\"\n");
        let said = lacking(&group);
        assert!(
            said.len() == 2 && said[0].contains("/usr/bin/sshfs"),
            "{said:?}"
        );
    }

    #[test]
    fn sshfs_needs_fuse_in_the_kernel() {
        let login = config("[login]\nusers = [\"alice\"]\n");
        let said = lacks(&login, false, |_| true);
        assert!(
            said.len() == 1 && said[0].contains("no module fuse"),
            "{said:?}"
        );
        assert!(lacks(&login, true, |_| true).is_empty());
        let packed = |path: &str| path == "lib/modules/6.1.0-1/kernel/fs/fuse/fuse.ko.xz";
        assert!(has_fuse("6.1.0-1", "", packed) && !has_fuse("6.1.0-2", "", packed));
        assert!(has_fuse(
            "6",
            "kernel/fs/a.ko\nkernel/fs/fuse/fuse.ko\n",
            |_| false
        ));
    }

    #[test]
    fn a_misspelt_name_is_told_with_its_line() {
        let text = "[login]\nusers = [\"alice\", \"alcie\", \"@staff\", \"@stuff\"]\n\
                    [users.bob]\n[groups.a]\nmembers = [\"*\"]\nusers = [\"alice\", \"bob\", \"carl\"]\n";
        let loaded = config::load_text("lab.toml", text, &config::LoadOptions::default());
        let loaded = loaded.unwrap_or_else(|errors| panic!("{errors}"));
        let passwd = "alice:x:1001:1001::/home/alice:/bin/sh\n";
        let said = check_in(&loaded, passwd, "staff:x:50:alice\n");
        let places: Vec<(usize, usize)> = said.iter().map(|it| (it.line, it.column)).collect();
        assert_eq!(places, [(2, 19), (2, 38), (6, 26)], "{said:#?}");
        assert!(
            said[0].what.contains("no account `alcie`"),
            "{}",
            said[0].what
        );
        assert!(said[2].what.contains("`carl`"), "{}", said[2].what);
    }

    #[test]
    fn host_keys_are_told_without_their_comments() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        put("ssh_host_ed25519_key.pub", "ssh-ed25519 AAAA root@server\n");
        put("ssh_host_ed25519_key", "secret");
        put("ssh_host_ed25519_key-cert.pub", "cert");
        let keys = public_host_keys(folder.path()).unwrap();
        assert_eq!(keys, ["ssh-ed25519 AAAA"]);
    }
}
