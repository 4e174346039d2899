//! The files that make one client differ from the next.
//!
//! They are rendered when the client asks and laid over its root before the image's own init runs:
//! no rebuild, no reboot of others. Nothing in them is secret: no password hash, no private key.

use std::net::Ipv4Addr;

use model::MacAddr;

/// One entry of the overlay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverlayEntry {
    /// Relative to the client's root, without a leading slash.
    pub path: String,
    /// What it is.
    pub kind: OverlayKind,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// What an overlay entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OverlayKind {
    /// A folder, made if it is not there.
    Directory,
    /// A file with this content.
    File(Vec<u8>),
    /// A symbolic link to this target.
    Symlink(String),
}

/// A person who may log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Login name.
    pub name: String,
    /// OpenSSH public keys, one per line of `authorized_keys`.
    pub ssh_keys: Vec<String>,
    /// User and group number; `None`: the first free one from 1000 on, in order of name.
    pub uid: Option<u32>,
    /// Further groups, if the image has them.
    pub groups: Vec<String>,
    /// Login shell; `None`: `/bin/bash` if the image has it, else `/bin/sh`.
    pub shell: Option<String>,
}

/// What the overlay is rendered from.
#[derive(Clone, Copy, Debug)]
pub struct OverlayContext<'a> {
    /// The network card that booted.
    pub mac: MacAddr,
    /// The client's name.
    pub hostname: &'a str,
    /// DNS domain, may be empty.
    pub domain: &'a str,
    /// DNS servers for `resolv.conf`; empty: the image's own file stays.
    pub dns: &'a [Ipv4Addr],
    /// machine-id(5) of the client.
    pub machine_id: &'a str,
    /// Who may log in.
    pub users: &'a [User],
    /// The image's `/etc/passwd`.
    pub passwd: &'a str,
    /// The image's `/etc/group`.
    pub group: &'a str,
    /// Whether the image has `/bin/bash`.
    pub has_bash: bool,
    /// Whether the image has `/etc/network/interfaces` (ifupdown).
    pub has_ifupdown: bool,
}

/// Units that fetch packages or rewrite the system behind a benchmark's back, and those that look
/// after the machine's own disks, which are none of this system's business.
const MASKED_UNITS: [&str; 8] = [
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "unattended-upgrades.service",
    "man-db.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
];

/// The overlay is memory already: a journal that is first kept in `/run` and then moved to `/var`
/// costs time and memory twice, and survives no longer.
const JOURNAL: &str = "[Journal]\nStorage=volatile\n";

/// Simple, and not oneshot: systemd is starting as long as a oneshot unit is, and it waits for the end of that.
const CLIENT_UNIT: &str = "[Unit]\n\
    Description=Tell netbootd that this machine is up\n\
    DefaultDependencies=no\n\
    After=multi-user.target\n\
    ConditionPathExists=/run/netbootd/client\n\n\
    [Service]\n\
    Type=simple\n\
    ExecStart=/run/netbootd/client running\n";

/// Where the image's own network managers keep their hands off the card, somebody has to keep its
/// lease: without this, an address whose lease has lapsed is given to another machine.
const LEASE_UNIT: &str = "[Unit]\n\
    Description=Keep the address that this machine booted with\n\
    DefaultDependencies=no\n\
    After=sysinit.target\n\
    ConditionPathExists=/run/netbootd/client\n\n\
    [Service]\n\
    ExecStart=/run/netbootd/client lease\n\
    Restart=on-failure\n\
    RestartSec=10\n";

/// Renders the overlay: parents before children, each path once.
pub fn render(context: &OverlayContext<'_>) -> Vec<OverlayEntry> {
    let mut entries = Entries::default();
    let hostname = context.hostname;
    let fqdn = match context.domain {
        "" => hostname.to_owned(),
        domain => format!("{hostname}.{domain} {hostname}"),
    };
    entries.file("etc/hostname", format!("{hostname}\n"));
    entries.file(
        "etc/hosts",
        format!(
            "127.0.0.1 localhost\n127.0.1.1 {fqdn}\n::1 localhost ip6-localhost ip6-loopback\n"
        ),
    );
    entries.add(
        "etc/machine-id",
        OverlayKind::File(format!("{}\n", context.machine_id).into()),
        0o444,
    );
    if !context.dns.is_empty() {
        let mut text = String::new();
        if !context.domain.is_empty() {
            text.push_str(&format!("search {}\n", context.domain));
        }
        context
            .dns
            .iter()
            .for_each(|server| text.push_str(&format!("nameserver {server}\n")));
        entries.file("etc/resolv.conf", text);
    }
    boot_card(&mut entries, context);
    units(&mut entries);
    users(&mut entries, context);
    entries.0
}

/// The root file system hangs on the card that booted: no network manager may touch it.
fn boot_card(entries: &mut Entries, context: &OverlayContext<'_>) {
    let mac = context.mac;
    entries.file(
        "etc/systemd/network/00-netbootd.network",
        format!("[Match]\nMACAddress={mac}\n\n[Link]\nUnmanaged=yes\n"),
    );
    entries.file(
        "etc/NetworkManager/conf.d/90-netbootd.conf",
        format!("[keyfile]\nunmanaged-devices=mac:{mac}\n"),
    );
    if context.has_ifupdown {
        entries.file(
            "etc/network/interfaces",
            "auto lo\niface lo inet loopback\n".to_owned(),
        );
    }
}

fn units(entries: &mut Entries) {
    for (name, text) in [
        ("netbootd-client", CLIENT_UNIT),
        ("netbootd-lease", LEASE_UNIT),
    ] {
        entries.file(
            &format!("etc/systemd/system/{name}.service"),
            text.to_owned(),
        );
        entries.add(
            &format!("etc/systemd/system/multi-user.target.wants/{name}.service"),
            OverlayKind::Symlink(format!("../{name}.service")),
            0o777,
        );
    }
    entries.file(
        "etc/systemd/journald.conf.d/90-netbootd.conf",
        JOURNAL.to_owned(),
    );
    for unit in MASKED_UNITS {
        let path = format!("etc/systemd/system/{unit}");
        entries.add(&path, OverlayKind::Symlink("/dev/null".into()), 0o777);
    }
}

/// Accounts are added to the image's own. Their password field is `*`, so that they log in by key
/// and never by password, and need no line in the shadow file, which is never served.
fn users(entries: &mut Entries, context: &OverlayContext<'_>) {
    let (mut passwd, mut group) = (lines(context.passwd), lines(context.group));
    let mut changed = false;
    for user in context.users {
        let known = field(&passwd, &user.name, 5).map(|home| {
            let number = |n| field(&passwd, &user.name, n).and_then(|text| text.parse().ok());
            (number(2).unwrap_or(0), number(3).unwrap_or(0), home)
        });
        let (uid, gid, home) = known.unwrap_or_else(|| {
            changed = true;
            let uid = user.uid.unwrap_or_else(|| free_id(&passwd, &group));
            let shell = match (&user.shell, context.has_bash) {
                (Some(shell), _) => shell.as_str(),
                (None, true) => "/bin/bash",
                (None, false) => "/bin/sh",
            };
            let home = format!("/home/{}", user.name);
            passwd.push(format!("{}:*:{uid}:{uid}::{home}:{shell}", user.name));
            if field(&group, &user.name, 2).is_none() {
                group.push(format!("{}:x:{uid}:", user.name));
            }
            (uid, uid, home)
        });
        for name in &user.groups {
            changed |= join_group(&mut group, name, &user.name);
        }
        let home = home.trim_start_matches('/');
        if home.is_empty() || home.split('/').any(|part| part == ".." || part.is_empty()) {
            continue; // an account of the image without a home folder of its own
        }
        let mode = if uid == 0 { 0o700 } else { 0o750 };
        entries.owned(home, OverlayKind::Directory, mode, uid, gid);
        entries.owned(
            &format!("{home}/.ssh"),
            OverlayKind::Directory,
            0o700,
            uid,
            gid,
        );
        let keys = user
            .ssh_keys
            .iter()
            .map(|key| format!("{}\n", key.trim()))
            .collect::<String>();
        let path = format!("{home}/.ssh/authorized_keys");
        entries.owned(&path, OverlayKind::File(keys.into()), 0o600, uid, gid);
    }
    if changed {
        entries.file("etc/passwd", passwd.join("\n") + "\n");
        entries.file("etc/group", group.join("\n") + "\n");
    }
}

fn lines(text: &str) -> Vec<String> {
    text.lines()
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Field `n` of the line whose first field is `name`.
fn field(lines: &[String], name: &str, n: usize) -> Option<String> {
    lines
        .iter()
        .find(|line| line.split(':').next() == Some(name))?
        .split(':')
        .nth(n)
        .map(str::to_owned)
}

fn free_id(passwd: &[String], group: &[String]) -> u32 {
    let taken = |id: u32| {
        let has = |line: &String| line.split(':').nth(2) == Some(&id.to_string());
        passwd.iter().any(has) || group.iter().any(has)
    };
    (1000..60_000).find(|&id| !taken(id)).unwrap_or(60_000)
}

fn join_group(group: &mut [String], name: &str, member: &str) -> bool {
    let Some(line) = group
        .iter_mut()
        .find(|line| line.split(':').next() == Some(name))
    else {
        return false;
    };
    let members = line.rsplit(':').next().unwrap_or_default();
    if members.split(',').any(|present| present == member) {
        return false;
    }
    if !members.is_empty() {
        line.push(',');
    }
    line.push_str(member);
    true
}

#[derive(Default)]
struct Entries(Vec<OverlayEntry>);

impl Entries {
    fn file(&mut self, path: &str, text: String) {
        self.add(path, OverlayKind::File(text.into()), 0o644);
    }

    fn add(&mut self, path: &str, kind: OverlayKind, mode: u32) {
        self.owned(path, kind, mode, 0, 0);
    }

    /// Adds an entry, and before it the folders on its way that are not there yet.
    fn owned(&mut self, path: &str, kind: OverlayKind, mode: u32, uid: u32, gid: u32) {
        for (end, _) in path.match_indices('/') {
            let parent = &path[..end];
            if !self.0.iter().any(|entry| entry.path == parent) {
                self.0.push(OverlayEntry {
                    path: parent.to_owned(),
                    kind: OverlayKind::Directory,
                    mode: 0o755,
                    uid: 0,
                    gid: 0,
                });
            }
        }
        self.0.push(OverlayEntry {
            path: path.to_owned(),
            kind,
            mode,
            uid,
            gid,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\nbob:x:1000:1000::/home/bob:/bin/sh\n";
    const GROUP: &str = "root:x:0:\nsudo:x:27:bob\nbob:x:1000:\n";

    fn user(name: &str) -> User {
        User {
            name: name.into(),
            ssh_keys: vec!["ssh-ed25519 AAAA a@b".into()],
            uid: None,
            groups: vec!["sudo".into(), "absent".into()],
            shell: None,
        }
    }

    fn rendered(users: &[User]) -> Vec<OverlayEntry> {
        render(&OverlayContext {
            mac: MacAddr([2, 0, 0, 0, 0, 1]),
            hostname: "pc1",
            domain: "lab.internal",
            dns: &[Ipv4Addr::new(192, 168, 67, 1)],
            machine_id: "0123",
            users,
            passwd: PASSWD,
            group: GROUP,
            has_bash: true,
            has_ifupdown: false,
        })
    }

    fn text<'a>(entries: &'a [OverlayEntry], path: &str) -> Option<&'a str> {
        let entry = entries.iter().find(|entry| entry.path == path)?;
        match &entry.kind {
            OverlayKind::File(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    #[test]
    fn a_client_has_its_own_name_and_id() {
        let entries = rendered(&[]);
        assert_eq!(text(&entries, "etc/hostname"), Some("pc1\n"));
        assert!(
            text(&entries, "etc/hosts")
                .unwrap()
                .contains("pc1.lab.internal pc1")
        );
        assert_eq!(text(&entries, "etc/machine-id"), Some("0123\n"));
        assert_eq!(
            text(&entries, "etc/passwd"),
            None,
            "without users the image's accounts stay"
        );
    }

    #[test]
    fn what_looks_after_the_machines_own_disks_is_masked() {
        let entries = rendered(&[]);
        for unit in ["fstrim.timer", "e2scrub_reap.service"] {
            let path = format!("etc/systemd/system/{unit}");
            let entry = entries.iter().find(|entry| entry.path == path).unwrap();
            assert_eq!(entry.kind, OverlayKind::Symlink("/dev/null".into()));
        }
    }

    #[test]
    fn a_user_is_added_and_logs_in_by_key_only() {
        let entries = rendered(&[user("alice")]);
        let passwd = text(&entries, "etc/passwd").unwrap();
        assert!(
            passwd.ends_with("alice:*:1001:1001::/home/alice:/bin/bash\n"),
            "{passwd}"
        );
        assert!(
            text(&entries, "etc/group")
                .unwrap()
                .contains("sudo:x:27:bob,alice\n")
        );
        assert_eq!(
            text(&entries, "home/alice/.ssh/authorized_keys"),
            Some("ssh-ed25519 AAAA a@b\n")
        );
        let keys = entries
            .iter()
            .find(|e| e.path.ends_with("authorized_keys"))
            .unwrap();
        assert_eq!((keys.mode, keys.uid, keys.gid), (0o600, 1001, 1001));
        assert!(!entries.iter().any(|entry| entry.path.contains("shadow")));
    }

    #[test]
    fn an_account_of_the_image_keeps_its_number_and_home() {
        let entries = rendered(&[user("root"), user("bob")]);
        let keys = entries
            .iter()
            .find(|e| e.path == "root/.ssh/authorized_keys")
            .unwrap();
        assert_eq!(keys.uid, 0);
        let keys = entries
            .iter()
            .find(|e| e.path == "home/bob/.ssh/authorized_keys")
            .unwrap();
        assert_eq!(keys.uid, 1000);
        assert!(
            text(&entries, "etc/passwd")
                .unwrap()
                .starts_with(PASSWD.trim_end())
        );
    }

    #[test]
    fn folders_come_before_what_is_in_them_and_once() {
        let entries = rendered(&[user("alice")]);
        for (index, entry) in entries.iter().enumerate() {
            assert!(
                !entries[..index]
                    .iter()
                    .any(|earlier| earlier.path == entry.path),
                "{}",
                entry.path
            );
            if let Some((parent, _)) = entry.path.rsplit_once('/') {
                assert!(
                    entries[..index]
                        .iter()
                        .any(|earlier| earlier.path == parent),
                    "{}",
                    entry.path
                );
            }
        }
    }
}
