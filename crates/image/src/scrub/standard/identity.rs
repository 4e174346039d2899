//! What tells one machine from another, beyond what may never be in an image.

use super::Line;
use crate::scrub::Action::LeaveOut;
use crate::scrub::Only::{Anything, NotDirectories};

pub(super) const LINES: &[Line] = &[
    (
        "storage-names",
        LeaveOut,
        Anything,
        &[
            "etc/iscsi/initiatorname.iscsi",
            "etc/nvme/hostnqn",
            "etc/nvme/hostid",
            "etc/hostid",
        ],
        "storage servers take two machines with one name for one",
    ),
    (
        "cloud-init",
        LeaveOut,
        Anything,
        &["var/lib/cloud/*", "etc/cloud/cloud.cfg.d/*-installer*.cfg"],
        "what was set up when the template was installed, its secrets among it",
    ),
    (
        "subscriptions",
        LeaveOut,
        Anything,
        &[
            "etc/pki/consumer/*",
            "etc/pki/entitlement/*",
            "etc/zypp/credentials.d/*",
            "var/lib/ubuntu-advantage/private/*",
            "var/lib/snapd/device/private-keys-v1/*",
        ],
        "the template's own subscription to its distribution",
    ),
    (
        "directory-membership",
        LeaveOut,
        NotDirectories,
        &[
            "var/lib/samba/private/**",
            "etc/samba/*.tdb",
            "var/lib/ipa-client/**",
        ],
        "the template's own place in a domain",
    ),
    (
        "mesh-networks",
        LeaveOut,
        NotDirectories,
        &[
            "var/lib/tailscale/**",
            "var/lib/zerotier-one/identity.*",
            "var/lib/netbird/**",
            "var/lib/nebula/**",
        ],
        "two machines with one key take each other's traffic",
    ),
];
