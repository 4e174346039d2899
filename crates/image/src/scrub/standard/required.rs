//! What may never be in an image.

use super::Line;
use crate::scrub::Action::{Empty, LeaveOut};
use crate::scrub::Only::{Anything, RegularFiles};

/// What makes a machine itself. Two machines that share it are one to everybody who trusts it.
pub(super) const LINES: &[Line] = &[
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
