//! What is left over from the template's life, and what is merely large.

use super::Line;
use crate::scrub::Action::{Empty, LeaveOut};
use crate::scrub::Only::{Anything, NotDirectories, RegularFiles};

pub(super) const LINES: &[Line] = &[
    (
        "package-caches",
        LeaveOut,
        NotDirectories,
        &[
            "var/lib/apt/lists/**",
            "var/cache/apt/**",
            "var/cache/apt-xapian-index/**",
            "var/cache/dnf/**",
            "var/cache/libdnf5/**",
            "var/cache/yum/**",
            "var/cache/zypp/**",
            "var/cache/pacman/pkg/**",
            "var/cache/apk/**",
            "var/cache/PackageKit/**",
            "var/lib/PackageKit/*",
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
        "backups",
        LeaveOut,
        NotDirectories,
        &[
            "var/backups/**",
            "var/crash/**",
            "var/lib/systemd/coredump/**",
            "var/lib/mlocate/**",
            "var/lib/plocate/**",
        ],
        "copies, lists and crash dumps of the template",
    ),
    (
        "debconf-passwords",
        Empty,
        RegularFiles,
        &["var/cache/debconf/passwords.dat"],
        "answers given when packages were installed",
    ),
    (
        "debconf-backups",
        LeaveOut,
        RegularFiles,
        &["var/cache/debconf/*-old"],
        "answers given when packages were installed",
    ),
];
