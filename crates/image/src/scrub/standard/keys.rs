//! Keys in the places that are made for them. What lies elsewhere is found by the secret scan.

use super::Line;
use crate::scrub::Action::LeaveOut;
use crate::scrub::Only::{Anything, NotDirectories};

pub(super) const LINES: &[Line] = &[
    (
        "tls-keys",
        LeaveOut,
        NotDirectories,
        &[
            "etc/ssl/private/**",
            "etc/ssl/certs/ssl-cert-snakeoil.pem",
            "etc/pki/tls/private/**",
            "etc/letsencrypt/accounts/**",
            "etc/letsencrypt/archive/**",
            "etc/letsencrypt/keys/**",
            "etc/letsencrypt/live/**",
            "var/lib/acme/**",
            "var/lib/caddy/**",
        ],
        "keys of the template's own servers",
    ),
    (
        "keytabs",
        LeaveOut,
        NotDirectories,
        &[
            "etc/krb5.keytab*",
            "etc/*.keytab",
            "etc/**/*.keytab",
            "var/lib/**/*.keytab",
            "var/lib/krb5kdc/**",
            "var/kerberos/krb5kdc/**",
            "etc/krb5kdc/stash",
        ],
        "whoever has one is the template for Kerberos",
    ),
    (
        "vpn-keys",
        LeaveOut,
        NotDirectories,
        &[
            "etc/wireguard/**",
            "etc/openvpn/*.key",
            "etc/openvpn/**/*.key",
            "etc/ipsec.secrets",
            "etc/ipsec.d/private/**",
            "etc/swanctl/private/**",
            "etc/swanctl/rsa/**",
            "etc/swanctl/ecdsa/**",
            "etc/swanctl/pkcs8/**",
            "etc/ppp/*-secrets",
            "etc/tinc/**/*.priv",
        ],
        "the template's own way into private networks",
    ),
    (
        "disk-keys",
        LeaveOut,
        Anything,
        &["etc/cryptsetup-keys.d/*", "etc/luks-keys/*", "etc/luks/*"],
        "they open the template's own disks",
    ),
    (
        "secure-boot-keys",
        LeaveOut,
        NotDirectories,
        &[
            "var/lib/shim-signed/mok/**",
            "var/lib/dkms/mok.key",
            "var/lib/sbctl/keys/**",
            "etc/secureboot/keys/**",
        ],
        "with them anybody signs kernels that the template trusts",
    ),
    (
        "package-passwords",
        LeaveOut,
        NotDirectories,
        &["etc/apt/auth.conf", "etc/apt/auth.conf.d/**"],
        "passwords of package servers",
    ),
];
