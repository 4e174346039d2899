//! The files that make one client differ from the next.
//!
//! They are rendered when the client asks and laid over its root before the image's own init runs:
//! no rebuild, no reboot of others. Nothing in them is secret: no password hash, no private key.

mod accounts;
mod entries;
mod homes;
mod login;
mod network;
mod units;

use std::net::Ipv4Addr;

use model::{MacAddr, SshHostKey};

use self::entries::Entries;
pub use self::login::{Login, People, ServerAccount, ServerGroup};
use crate::{Authority, Layers};

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
    /// Whether whoever sits at the machine logs in without a password. sshd lets nobody in so.
    pub passwordless: bool,
}

/// What the overlay is rendered from.
#[derive(Clone, Debug)]
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
    /// The public key of the authority that signs keys for applying changes.
    pub authority: &'a str,
    /// Who may log in.
    pub users: &'a [User],
    /// The server's own people, if clients have any.
    pub login: Option<Login<'a>>,
    /// The image's `/etc/passwd`.
    pub passwd: &'a str,
    /// The image's `/etc/group`.
    pub group: &'a str,
    /// Whether the image has `/bin/bash`.
    pub has_bash: bool,
    /// Whether the image has `/etc/network/interfaces` (ifupdown).
    pub has_ifupdown: bool,
    /// What the operator says of the client.
    pub layers: Layers<'a>,
    /// The operator's own files; they win over ours. What is in an account's home belongs to it.
    pub files: Vec<OverlayEntry>,
}

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
    network::boot_card(&mut entries, context);
    units::units(&mut entries, context);
    let fstab: Vec<&str> = context.layers.fstab().collect();
    if !fstab.is_empty() {
        entries.file("etc/fstab", fstab.join("\n") + "\n");
    }
    let host_key = context.layers.ssh_host_key();
    if host_key != SshHostKey::default() {
        let text = format!("{}\n", host_key.as_str());
        entries.file("etc/netbootd/ssh_host_key", text);
    }
    login::files(&mut entries, context);
    entries.file(
        &login::keys_file("root"),
        Authority::task_lines(context.authority),
    );
    let accounts = accounts::users(&mut entries, context);
    for file in &context.files {
        let mut file = file.clone();
        if let Some((uid, gid)) = accounts.owner(&file.path) {
            (file.uid, file.gid) = (uid, gid);
        }
        entries.put(file);
    }
    entries.0
}

#[cfg(test)]
mod tests {
    use model::{Group, Settings};

    use super::*;
    use crate::Site;

    const PC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\nbob:x:1000:1000::/home/bob:/bin/sh\n";
    const GROUP: &str = "root:x:0:\nsudo:x:27:bob\nbob:x:1000:\n";

    fn user(name: &str) -> User {
        User {
            name: name.into(),
            ssh_keys: vec!["ssh-ed25519 AAAA a@b".into()],
            uid: None,
            groups: vec!["sudo".into(), "absent".into()],
            shell: None,
            passwordless: false,
        }
    }

    fn rendered(users: &[User]) -> Vec<OverlayEntry> {
        render(&context(users, &Site::default()))
    }

    fn context<'a>(users: &'a [User], site: &'a Site) -> OverlayContext<'a> {
        OverlayContext {
            mac: PC,
            hostname: "pc1",
            domain: "lab.internal",
            dns: const { &[Ipv4Addr::new(192, 168, 67, 1)] },
            machine_id: "0123",
            authority: "ssh-ed25519 AAAA",
            users,
            login: None,
            passwd: PASSWD,
            group: GROUP,
            has_bash: true,
            has_ifupdown: false,
            layers: site.layers(PC),
            files: Vec::new(),
        }
    }

    /// A site on which this is said of every client.
    fn site(settings: Settings) -> Site {
        Site {
            groups: vec![Group {
                name: "all".into(),
                members: vec!["*".parse().unwrap()],
                include: Vec::new(),
                settings,
            }],
            ..Site::default()
        }
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
    fn each_network_manager_is_told_to_leave_the_card_alone() {
        let site = Site::default();
        let mut context = context(&[], &site);
        context.has_ifupdown = true;
        let entries = render(&context);
        let has = |path: &str, wanted: &str| {
            let text = text(&entries, path).unwrap_or_default();
            assert!(text.contains(wanted), "{path}: {text}");
        };
        let manager = "etc/NetworkManager/conf.d/90-netbootd.conf";
        has(manager, "unmanaged-devices=mac:02:00:00:00:00:01\n");
        has(manager, "rc-manager=unmanaged\n");
        has(
            "etc/network/if-pre-up.d/00-netbootd",
            "!= 02:00:00:00:00:01 ]",
        );
        has(
            "etc/network/interfaces",
            "source /etc/network/interfaces.d/*",
        );
        context.dns = &[];
        let entries = render(&context);
        assert_eq!(
            text(&entries, "etc/dhcp/dhclient-enter-hooks.d/netbootd"),
            None
        );
        assert!(!text(&entries, manager).unwrap().contains("rc-manager"));
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
    fn the_servers_people_have_their_numbers_and_homes_and_no_password_hash() {
        let passwd = "bob:x:4212:50::/srv/bob:/bin/zsh\n";
        let people = People::choose(passwd, "staff:x:50:\n", &["bob".into()]);
        let site = site(Settings {
            users: Some(vec!["bob".into()]),
            ..Settings::default()
        });
        let users = [user("alice"), user("bob")];
        let host_keys = ["ssh-ed25519 AAAA".to_owned()];
        let mut context = context(&users, &site);
        context.login = Some(Login {
            people: &people,
            server: "192.168.67.1".into(),
            host_keys: &host_keys,
            home: model::Home::Sshfs,
            nfs: None,
        });
        let entries = render(&context);
        let account = "bob:*:4212:50::/srv/bob:/bin/zsh\n";
        let passwd = text(&entries, "etc/passwd").unwrap();
        assert_eq!(
            passwd,
            format!("root:x:0:0:root:/root:/bin/bash\n{account}")
        );
        assert!(
            text(&entries, "etc/group")
                .unwrap()
                .contains("staff:x:50:\n")
        );
        assert_eq!(text(&entries, "etc/netbootd/users"), Some(account));
        let keys = text(&entries, "etc/netbootd/keys/bob");
        assert_eq!(keys, Some("ssh-ed25519 AAAA a@b\n"));
        let known = text(&entries, "etc/netbootd/known_hosts");
        assert_eq!(known, Some("netbootd ssh-ed25519 AAAA\n"));
        let home = entries
            .iter()
            .find(|entry| entry.path == "srv/bob")
            .unwrap();
        assert_eq!((home.uid, home.gid), (4212, 50));

        // A client that has none of them is told nothing of them.
        let site = self::site(Settings {
            users: Some(Vec::new()),
            ..Settings::default()
        });
        context.layers = site.layers(PC);
        let entries = render(&context);
        let told = ["users", "known_hosts", "keys/bob"];
        assert!(
            told.iter()
                .all(|name| text(&entries, &format!("etc/netbootd/{name}")).is_none())
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

    #[test]
    fn lines_and_commands_of_the_configuration_become_files() {
        let site = site(Settings {
            fstab: vec!["nas:/data /data nfs ro 0 0".into()],
            commands: vec!["echo 'a b'".into(), "false".into()],
            autologin: Some("alice".into()),
            mask: vec!["cups.service".into()],
            ..Settings::default()
        });
        let entries = render(&context(&[], &site));
        assert_eq!(
            text(&entries, "etc/fstab"),
            Some("nas:/data /data nfs ro 0 0\n")
        );
        let commands = text(&entries, "etc/netbootd/commands").unwrap();
        assert!(
            commands.contains(r"sh -c 'echo '\''a b'\''' ||"),
            "{commands}"
        );
        let getty = "etc/systemd/system/getty@.service.d/90-netbootd.conf";
        assert!(
            text(&entries, getty)
                .unwrap()
                .contains("--autologin alice ")
        );
        assert!(
            entries
                .iter()
                .any(|entry| entry.path.ends_with("/cups.service"))
        );
    }

    #[test]
    fn a_file_of_the_operator_wins_and_belongs_to_whose_home_it_is_in() {
        let file = |path: &str| OverlayEntry {
            path: path.into(),
            kind: OverlayKind::File(b"mine".to_vec()),
            mode: 0o600,
            uid: 0,
            gid: 0,
        };
        let (users, site) = ([user("alice")], Site::default());
        let mut context = context(&users, &site);
        context.files = vec![
            file("etc/hosts"),
            file("home/alice/.profile"),
            file("home/alicex"),
            file("home/bob/.profile"),
        ];
        let entries = render(&context);
        assert_eq!(text(&entries, "etc/hosts"), Some("mine"));
        assert_eq!(entries.iter().filter(|e| e.path == "etc/hosts").count(), 1);
        let owner = |path: &str| {
            let entry = entries.iter().find(|entry| entry.path == path).unwrap();
            (entry.uid, entry.gid)
        };
        assert_eq!(owner("home/alice/.profile"), (1001, 1001));
        assert_eq!(owner("home/alicex"), (0, 0));
        assert_eq!(
            owner("home/bob/.profile"),
            (1000, 1000),
            "an account of the image"
        );
    }

    #[test]
    fn accounts_that_a_client_shall_not_have_are_left_out() {
        let site = site(Settings {
            users: Some(vec!["alice".into()]),
            ..Settings::default()
        });
        let entries = render(&context(&[user("alice"), user("carol")], &site));
        let passwd = text(&entries, "etc/passwd").unwrap();
        assert!(
            passwd.contains("alice:") && !passwd.contains("carol"),
            "{passwd}"
        );
    }

    #[test]
    fn an_account_has_the_same_number_on_clients_that_have_others_too() {
        let only_carol = site(Settings {
            users: Some(vec!["carol".into()]),
            ..Settings::default()
        });
        let mut dave = user("dave");
        dave.uid = Some(1001);
        let users = [user("alice"), user("carol"), dave];
        for site in [only_carol, Site::default()] {
            let entries = render(&context(&users, &site));
            let passwd = text(&entries, "etc/passwd").unwrap();
            assert!(passwd.contains("carol:*:1003:1003:"), "{passwd}");
        }
    }
}
