//! People: their accounts, their passwords, their files.

use super::Line;
use crate::scrub::Action::{Edit, LeaveOut};
use crate::scrub::Edit::{Passwords, Users};
use crate::scrub::Only::{Anything, NotDirectories, RegularFiles};

pub(super) const LINES: &[Line] = &[
    (
        "login-users",
        Edit(Users),
        RegularFiles,
        &[
            "etc/passwd",
            "etc/shadow",
            "etc/group",
            "etc/gshadow",
            "etc/subuid",
            "etc/subgid",
        ],
        "people's accounts are given to clients, not kept in images",
    ),
    (
        "password-hashes",
        Edit(Passwords),
        RegularFiles,
        &["etc/passwd", "etc/shadow", "etc/group", "etc/gshadow"],
        "whoever can boot could read them and try passwords at leisure",
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
            "etc/passwd.*",
            "etc/shadow.*",
        ],
        "old accounts and password hashes",
    ),
    (
        "homes",
        LeaveOut,
        Anything,
        &["home/*", "root/*"],
        "people's files come from the network",
    ),
    (
        "sessions",
        LeaveOut,
        NotDirectories,
        &[
            "var/lib/sudo/**",
            "var/db/sudo/**",
            "var/lib/systemd/linger/**",
            "var/lib/lightdm/**",
            "var/lib/lightdm-data/**",
            "var/lib/gdm3/**",
            "var/lib/sddm/**",
            "var/lib/AccountsService/users/*",
            "var/lib/AccountsService/icons/*",
            "var/lib/fprint/**",
        ],
        "who was logged in at the template",
    ),
    (
        "cached-logins",
        LeaveOut,
        NotDirectories,
        &[
            "var/lib/sss/db/**",
            "var/lib/sss/mc/**",
            "var/lib/sss/secrets/**",
            "var/cache/nscd/**",
            "var/cache/krb5*/**",
            "var/cache/samba/**",
        ],
        "names and passwords that a directory service handed out",
    ),
];
