//! The rules that come with netbootd: LTSP's list, and what it ought to have left out as well.

use super::{Action, Only, Rule};
use Action::{Empty, Keep, LeaveOut};
use Only::{Anything, NotDirectories, RegularFiles};

/// Name, action, on what, patterns, reason.
type Line = (
    &'static str,
    Action,
    Only,
    &'static [&'static str],
    &'static str,
);

/// What makes a machine itself. Two machines that share it are one to everybody who trusts it.
const REQUIRED: &[Line] = &[
    (
        "ssh-host-keys",
        LeaveOut,
        Anything,
        &[
            "etc/ssh/ssh_host_*",
            "etc/dropbear/dropbear_*_host_key",
            "etc/tinyssh/sshkeydir/*",
        ],
        "every client has its own",
    ),
    (
        "machine-id",
        Empty,
        RegularFiles,
        &["etc/machine-id"],
        "every client has its own",
    ),
    (
        "dbus-machine-id",
        LeaveOut,
        RegularFiles,
        &["var/lib/dbus/machine-id"],
        "a copy of machine-id; made again from it at boot",
    ),
    (
        "random-seed",
        LeaveOut,
        Anything,
        &[
            "var/lib/systemd/random-seed",
            "var/lib/urandom/random-seed",
            "var/lib/misc/random-seed",
        ],
        "randomness that two machines share is none",
    ),
    (
        "credential-secret",
        LeaveOut,
        Anything,
        &["var/lib/systemd/credential.secret"],
        "it unlocks the template's own credentials",
    ),
    (
        "netbootd",
        LeaveOut,
        Anything,
        &["var/lib/netbootd/*", "etc/netbootd/*"],
        "this server's images, keys and settings",
    ),
];

const USUAL: &[Line] = &[
    (
        "mount-points",
        LeaveOut,
        Anything,
        &[
            "cdrom/*",
            "dev/*",
            "lost+found/*",
            "media/*",
            "mnt/*",
            "proc/*",
            "run/*",
            "sys/*",
        ],
        "filled while a machine runs",
    ),
    (
        "temporary",
        LeaveOut,
        Anything,
        &["tmp/*", "var/tmp/*"],
        "nobody needs it after a reboot",
    ),
    (
        "homes",
        LeaveOut,
        Anything,
        &["home/*", "root/*"],
        "people's files come from the network",
    ),
    (
        "served-files",
        LeaveOut,
        Anything,
        &["srv/*", "opt/ltsp*"],
        "what the template serves, old images among it",
    ),
    (
        "java-settings",
        Keep,
        Anything,
        &["etc/.java"],
        "the one hidden name in /etc that programs need",
    ),
    (
        "hidden-settings",
        LeaveOut,
        Anything,
        &["etc/.*"],
        "locks and the history of /etc, with every old secret in it",
    ),
    (
        "network-names",
        LeaveOut,
        Anything,
        &[
            "etc/udev/rules.d/70-persistent-*.rules",
            "etc/udev/rules.d/75-persistent-*.rules",
        ],
        "they bind names to the template's own cards",
    ),
    (
        "network-connections",
        LeaveOut,
        Anything,
        &[
            "etc/NetworkManager/system-connections/*",
            "etc/netplan/90-NM-*",
            "var/lib/NetworkManager/*",
            "var/lib/iwd/*",
            "etc/wpa_supplicant/*.conf",
        ],
        "the template's own networks and their passwords",
    ),
    (
        "dhcp-leases",
        LeaveOut,
        NotDirectories,
        &[
            "var/lib/dhcp/**",
            "var/lib/dhcpcd/**",
            "var/lib/dhclient/**",
        ],
        "the template's own addresses",
    ),
    (
        "fstab",
        Empty,
        RegularFiles,
        &["etc/fstab"],
        "it names the template's own disks",
    ),
    (
        "swap",
        LeaveOut,
        RegularFiles,
        &["swapfile", "swap.img", "swap", "var/swap", "var/swapfile"],
        "the template's memory",
    ),
    (
        "package-caches",
        LeaveOut,
        NotDirectories,
        &[
            "var/lib/apt/lists/**",
            "var/cache/apt/**",
            "var/cache/apt-xapian-index/**",
            "var/cache/dnf/**",
            "var/cache/yum/**",
            "var/cache/zypp/**",
            "var/cache/pacman/pkg/**",
        ],
        "fetched again when it is needed",
    ),
    (
        "rotated-logs",
        LeaveOut,
        NotDirectories,
        &[
            "var/log/*.gz",
            "var/log/*.xz",
            "var/log/*.zst",
            "var/log/*.old",
            "var/log/*.?",
            "var/log/*/**",
        ],
        "the template's past",
    ),
    (
        "logs",
        Empty,
        RegularFiles,
        &["var/log/*"],
        "the template's past",
    ),
    (
        "journal",
        LeaveOut,
        Anything,
        &["var/log/journal/*"],
        "the template's past, under its machine-id",
    ),
    (
        "account-backups",
        LeaveOut,
        Anything,
        &[
            "etc/passwd-",
            "etc/group-",
            "etc/shadow-",
            "etc/gshadow-",
            "etc/subuid-",
            "etc/subgid-",
        ],
        "old accounts and password hashes",
    ),
    (
        "backups",
        LeaveOut,
        NotDirectories,
        &["var/backups/**", "var/crash/**"],
        "copies and crash dumps of the template",
    ),
    (
        "spools",
        LeaveOut,
        NotDirectories,
        &[
            "var/mail/**",
            "var/spool/mail/**",
            "var/spool/cron/crontabs/**",
            "var/spool/cups/**",
            "var/spool/squid/**",
        ],
        "work that waits for the template",
    ),
    (
        "sessions",
        LeaveOut,
        NotDirectories,
        &[
            "var/lib/sudo/**",
            "var/lib/systemd/linger/**",
            "var/lib/lightdm/**",
            "var/lib/lightdm-data/**",
        ],
        "who was logged in at the template",
    ),
    (
        "service-secrets",
        LeaveOut,
        NotDirectories,
        &[
            "etc/mysql/debian.cnf",
            "var/lib/mysql/**",
            "etc/epoptes/server.key",
        ],
        "keys and content of the template's own services",
    ),
    (
        "debconf-passwords",
        Empty,
        RegularFiles,
        &["var/cache/debconf/passwords.dat"],
        "answers given when packages were installed",
    ),
];

/// The rules that no option takes away.
pub(super) fn required() -> Vec<Rule> {
    rules(REQUIRED)
}

/// The other rules.
pub(super) fn usual() -> Vec<Rule> {
    rules(USUAL)
}

fn rules(lines: &[Line]) -> Vec<Rule> {
    let rule = |(name, action, only, patterns, reason): &Line| Rule {
        only: *only,
        ..Rule::new(*name, *reason, *action, patterns).expect("the built-in patterns are tested")
    };
    lines.iter().map(rule).collect()
}
