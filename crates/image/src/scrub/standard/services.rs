//! What the template's own services keep.

use super::Line;
use crate::scrub::Action::LeaveOut;
use crate::scrub::Only::{Anything, NotDirectories};

pub(super) const LINES: &[Line] = &[
    (
        "service-secrets",
        LeaveOut,
        NotDirectories,
        &[
            "etc/mysql/debian.cnf",
            "etc/epoptes/server.key",
            "etc/bind/rndc.key",
            "etc/rndc.key",
            "etc/unbound/unbound_*.key",
            "etc/exim4/passwd.client",
            "etc/postfix/sasl_passwd*",
            "etc/munge/munge.key",
        ],
        "keys of the template's own services",
    ),
    (
        "databases",
        LeaveOut,
        NotDirectories,
        &[
            "var/lib/mysql/**",
            "var/lib/postgresql/**",
            "var/lib/pgsql/**",
            "var/lib/redis/**",
            "var/lib/ldap/**",
            "var/lib/mongodb/**",
        ],
        "content of the template's own services",
    ),
    (
        "containers",
        LeaveOut,
        Anything,
        &[
            "var/lib/docker/*",
            "var/lib/containerd/*",
            "var/lib/containers/*",
            "var/lib/lxc/*",
            "var/lib/lxd/*",
            "var/lib/incus/*",
            "var/lib/machines/*",
            "var/lib/libvirt/images/*",
            "var/lib/libvirt/secrets/*",
            "etc/libvirt/secrets/*",
        ],
        "other systems that run on the template",
    ),
    (
        "spools",
        LeaveOut,
        NotDirectories,
        &[
            "var/mail/**",
            "var/spool/mail/**",
            "var/spool/cron/crontabs/**",
            "var/spool/cron/atjobs/**",
            "var/spool/cups/**",
            "var/spool/squid/**",
            "var/spool/exim4/**",
            "var/spool/postfix/active/**",
            "var/spool/postfix/deferred/**",
            "var/spool/postfix/hold/**",
            "var/spool/postfix/incoming/**",
            "var/spool/postfix/maildrop/**",
        ],
        "work that waits for the template",
    ),
];
