//! Files whose name says that they hold secrets, and how to see whether they do.

use std::sync::LazyLock;

use super::hashes;
use crate::scrub::Pattern;

/// A kind of file.
pub(super) struct Named {
    what: &'static str,
    test: Test,
}

/// What makes such a file a secret.
enum Test {
    /// A line that is not blank and no comment.
    AnyLine,
    /// One of these keys with a value behind it: `key = value`, `"key": "value"`, `key value`.
    Key(&'static [&'static str]),
    /// This word and another one after it, anywhere.
    Word(&'static str),
    /// A user and password in an address: `://user:password@`.
    Address,
    /// A password hash in the second field of a line.
    Field,
    /// One of these beginnings; any content where there is none.
    Begin(&'static [&'static [u8]]),
}
use Test::{Address, AnyLine, Begin, Field, Key, Word};

/// Patterns, what is in the file, when. A pattern without a slash is a file's name in any directory.
type Line = (&'static [&'static str], &'static str, Test);

const LINES: &[Line] = &[
    (
        &[
            "etc/shadow*",
            "etc/gshadow*",
            "etc/master.passwd",
            "etc/passwd*",
            "etc/group*",
        ],
        "a password hash (shadow)",
        Field,
    ),
    (
        &[".htpasswd", "htpasswd", "*.htpasswd"],
        "a password hash (htpasswd)",
        Field,
    ),
    (
        &[".netrc", "_netrc", "netrc"],
        "a password (.netrc)",
        Word("password"),
    ),
    (
        &["etc/apt/auth.conf", "etc/apt/auth.conf.d/*"],
        "a password (apt)",
        Word("password"),
    ),
    (&[".git-credentials"], "a password (git)", Address),
    (
        &[
            "etc/apt/sources.list",
            "etc/apt/sources.list.d/*",
            "pip.conf",
            ".piprc",
            "etc/environment",
        ],
        "a password (in an address)",
        Address,
    ),
    (
        &["etc/cups/printers.conf*"],
        "a password (printer)",
        Address,
    ),
    (&[".pgpass"], "a password (.pgpass)", AnyLine),
    (
        &[
            "**/.docker/config.json",
            ".dockercfg",
            "**/containers/auth.json",
            "var/lib/kubelet/config.json",
        ],
        "a token (container registry)",
        Key(&["auth", "identitytoken", "password"]),
    ),
    (
        &[
            "**/.kube/config",
            "kubeconfig",
            "*.kubeconfig",
            "etc/kubernetes/*.conf",
            "etc/rancher/**/*.yaml",
        ],
        "a token (Kubernetes)",
        Key(&["client-key-data", "token", "password"]),
    ),
    (
        &["wpa_supplicant*.conf"],
        "a network's password (wpa_supplicant)",
        Key(&[
            "psk",
            "password",
            "private_key_passwd",
            "sae_password",
            "wep_key0",
            "wep_key1",
            "wep_key2",
            "wep_key3",
        ]),
    ),
    (
        &["etc/network/interfaces", "etc/network/interfaces.d/*"],
        "a network's password (ifupdown)",
        Key(&["wpa-psk", "wpa-password", "wireless-key", "wireless-key1"]),
    ),
    (
        &["*.nmconnection", "**/system-connections/*"],
        "a network's password (NetworkManager)",
        Key(&[
            "psk",
            "password",
            "private-key",
            "private-key-password",
            "preshared-key",
            "leap-password",
            "wep-key0",
            "secret",
            "pin",
        ]),
    ),
    (
        &["etc/netplan/*"],
        "a network's password (netplan)",
        Key(&["password", "client-key-password"]),
    ),
    (
        &["**/iwd/*.psk"],
        "a network's password (iwd)",
        Key(&["Passphrase", "PreSharedKey"]),
    ),
    (
        &["etc/wireguard/*", "*.netdev"],
        "a private key (WireGuard)",
        Key(&["PrivateKey", "PresharedKey"]),
    ),
    (
        &["chap-secrets", "pap-secrets", "ipsec.secrets"],
        "a password (VPN)",
        AnyLine,
    ),
    (
        &[
            "sasl_passwd",
            "passwd.client",
            ".passwd-s3fs",
            "passwd-s3fs",
        ],
        "a password (mail or storage)",
        AnyLine,
    ),
    (
        &[
            "*smbcredentials*",
            "*.cifs",
            "cifs-credentials*",
            "etc/samba/credentials*",
        ],
        "a password (SMB)",
        Key(&["password", "pass"]),
    ),
    (
        &[".my.cnf", "my.cnf", "debian.cnf", ".mylogin.cnf"],
        "a password (MySQL)",
        Key(&["password"]),
    ),
    (
        &["sssd.conf", "etc/sssd/conf.d/*"],
        "a password (directory)",
        Key(&["ldap_default_authtok"]),
    ),
    (
        &[
            "nslcd.conf",
            "ldap.conf",
            "pam_ldap.conf",
            "libnss-ldap.conf",
        ],
        "a password (directory)",
        Key(&["bindpw", "rootbindpw"]),
    ),
    (
        &["ldap.secret", "libnss-ldap.secret", "pam_ldap.secret"],
        "a password (directory)",
        AnyLine,
    ),
    (
        &[".npmrc", "npmrc"],
        "a token (npm)",
        Key(&["_authToken", "_password", "_auth"]),
    ),
    (&[".pypirc"], "a password (PyPI)", Key(&["password"])),
    (
        &["**/.cargo/credentials", "**/.cargo/credentials.toml"],
        "a token (cargo)",
        Key(&["token"]),
    ),
    (
        &["**/gh/hosts.yml"],
        "a token (GitHub)",
        Key(&["oauth_token"]),
    ),
    (
        &["rclone.conf", ".s3cfg", ".boto"],
        "a token (storage)",
        Key(&[
            "pass",
            "token",
            "secret_key",
            "secret_access_key",
            "gs_secret_access_key",
        ]),
    ),
    (
        &[
            "application_default_credentials.json",
            "**/gcloud/legacy_credentials/**",
            "msal_token_cache.json",
        ],
        "a token (cloud)",
        Key(&["refresh_token", "secret", "client_secret"]),
    ),
    (
        &[
            "msmtprc",
            ".msmtprc",
            ".fetchmailrc",
            "ddclient.conf",
            ".esmtprc",
        ],
        "a password (mail or name service)",
        Word("password"),
    ),
    (&["ssmtp.conf"], "a password (mail)", Key(&["AuthPass"])),
    (&["rndc.key"], "a key (name server)", Key(&["secret"])),
    (
        &["*.keytab", "krb5.keytab*"],
        "a keytab (Kerberos)",
        Begin(&[&[5, 1], &[5, 2]]),
    ),
    (
        &["*.p12", "*.pfx"],
        "a key store (PKCS#12)",
        Begin(&[&[0x30, 0x82], &[0x30, 0x80]]),
    ),
    (
        &[
            "secring.gpg",
            "**/private-keys-v1.d/*.key",
            "munge.key",
            "**/.vnc/passwd",
            "credential.secret",
            "identity.secret",
        ],
        "a private key",
        Begin(&[]),
    ),
    (
        &["**/.ssh/id_*"],
        "a private key (SSH)",
        Begin(&[b"SSH PRIVATE KEY FILE"]),
    ),
];

static NAMED: LazyLock<Vec<(Vec<Pattern>, Named)>> = LazyLock::new(|| {
    let line = |(patterns, what, test): &'static Line| {
        let patterns = patterns.iter().map(|text| text.parse());
        let patterns = patterns
            .collect::<Result<_, _>>()
            .expect("the patterns are tested");
        let test = match test {
            AnyLine => AnyLine,
            Key(keys) => Key(keys),
            Word(word) => Word(word),
            Address => Address,
            Field => Field,
            Begin(beginnings) => Begin(beginnings),
        };
        (patterns, Named { what, test })
    };
    LINES.iter().map(line).collect()
});

/// The kind of the file at `path`, if its name says one.
pub(super) fn named(path: &[u8]) -> Option<&'static Named> {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
    let by_name = |pattern: &Pattern| match pattern.is_name() {
        true => pattern.matches(name),
        false => pattern.matches(path),
    };
    let found = NAMED
        .iter()
        .find(|(patterns, _)| patterns.iter().any(by_name));
    found.map(|(_, named)| named)
}

impl Named {
    /// What is in a file of this kind that begins with `head`.
    pub(super) fn holds(&self, head: &[u8]) -> Option<&'static str> {
        let mut lines = head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        let secret = match &self.test {
            AnyLine => lines.any(|line| !line.is_empty() && !is_comment(line)),
            Key(keys) => lines.any(|line| keys.iter().any(|key| has_value(line, key.as_bytes()))),
            Word(word) => lines.filter(|line| !is_comment(line)).any(|line| {
                let mut words =
                    line.split(|byte| byte.is_ascii_whitespace() || b"=\"',".contains(byte));
                words.any(|each| each == word.as_bytes()) && words.any(|each| !each.is_empty())
            }),
            Address => lines.any(|line| !is_comment(line) && has_password_in_address(line)),
            Field => lines.any(hashes::in_field),
            Begin([]) => !head.is_empty(),
            Begin(beginnings) => beginnings.iter().any(|begin| head.starts_with(begin)),
        };
        secret.then_some(self.what)
    }
}

fn is_comment(line: &[u8]) -> bool {
    matches!(line.first(), Some(b'#' | b';' | b'!'))
}

/// `key = value` in any of the notations of settings; also within one line of JSON. Variables and empty
/// strings are no values.
fn has_value(line: &[u8], key: &[u8]) -> bool {
    if is_comment(line) {
        return false;
    }
    line.windows(key.len().max(1))
        .enumerate()
        .any(|(at, window)| {
            let alone = at == 0 || b"\"' \t{,:/-\"".contains(&line[at - 1]);
            if !alone || !window.eq_ignore_ascii_case(key) {
                return false;
            }
            let rest = &line[at + key.len()..];
            let separator = rest
                .iter()
                .take_while(|byte| b" \t=:\"'".contains(byte))
                .count();
            let value = &rest[separator..];
            separator > 0
                && value
                    .first()
                    .is_some_and(|byte| !b"${<%,;}#".contains(byte))
        })
}

fn has_password_in_address(line: &[u8]) -> bool {
    line.windows(3).enumerate().any(|(at, window)| {
        let rest = &line[at + 3..];
        let end = rest.iter().position(|byte| b"/ \t\"'".contains(byte));
        let host = &rest[..end.unwrap_or(rest.len())];
        window == b"://"
            && host
                .iter()
                .position(|byte| *byte == b'@')
                .is_some_and(|at| {
                    let user = &host[..at];
                    let colon = user.iter().position(|byte| *byte == b':');
                    colon.is_some_and(|colon| {
                        !matches!(user.get(colon + 1), None | Some(b'$' | b'<' | b'{'))
                    })
                })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(path: &str, text: &str) -> bool {
        let kind = named(path.as_bytes()).unwrap_or_else(|| panic!("{path} has no kind"));
        kind.holds(text.as_bytes()).is_some()
    }

    #[test]
    fn a_password_in_a_file_made_for_it_is_found() {
        for (path, text) in [
            ("etc/shadow", "root:$y$j9T$x$0123:1::\n"),
            ("srv/www/.htpasswd", "me:0123456789abc\n"),
            ("root/.netrc", "machine x login y\n  password z\n"),
            ("root/.git-credentials", "https://me:secret@example.org\n"),
            (
                "etc/apt/sources.list",
                "deb https://me:secret@example.org/ x main\n",
            ),
            ("root/.pgpass", "# host\n*:*:*:me:secret\n"),
            (
                "root/.docker/config.json",
                "{\"auths\": {\"x\": {\"auth\": \"bWU6c2VjcmV0\"}}}",
            ),
            (
                "root/.kube/config",
                "users:\n- user:\n    client-key-data: TFMw\n",
            ),
            (
                "etc/wpa_supplicant/wpa_supplicant-wlan0.conf",
                "network={\n\tpsk=\"secret\"\n}",
            ),
            ("etc/network/interfaces", "iface wlan0\n  wpa-psk secret\n"),
            ("etc/netplan/50-cloud-init.yaml", "  password: \"secret\"\n"),
            ("home/x.nmconnection", "[wifi-security]\npsk=secret\n"),
            (
                "etc/systemd/network/wg0.netdev",
                "[WireGuard]\nPrivateKey=abc=\n",
            ),
            ("etc/ppp/chap-secrets", "# comment\nme * secret *\n"),
            ("root/.my.cnf", "[client]\npassword = secret\n"),
            ("etc/krb5.keytab", "\u{5}\u{2}x"),
            (
                "root/.cargo/credentials.toml",
                "[registry]\ntoken = \"x\"\n",
            ),
        ] {
            assert!(holds(path, text), "{path}: {text}");
        }
    }

    #[test]
    fn the_same_files_without_one_are_not_reported() {
        for (path, text) in [
            ("etc/shadow", "root:*:1::\nme:!*:1::\n"),
            ("root/.netrc", "machine x login y\n"),
            (
                "etc/apt/sources.list",
                "deb https://deb.example.org/ x main\n# a://b:c@d\n",
            ),
            ("root/.pgpass", "# host:port\n\n"),
            (
                "root/.docker/config.json",
                "{\"auths\": {\"x\": {\"auth\": \"\"}}, \"credsStore\": \"x\"}",
            ),
            (
                "etc/network/interfaces",
                "# wpa-psk secret\niface eth0 inet dhcp\n",
            ),
            (
                "home/x.nmconnection",
                "[wifi-security]\npsk-flags=1\nkey-mgmt=wpa-psk\n",
            ),
            ("etc/mysql/my.cnf", "# password = x\npassword =\n"),
            ("etc/ldap/ldap.conf", "#bindpw x\n"),
            ("root/.npmrc", "//registry/:_authToken=${NPM_TOKEN}\n"),
            ("etc/krb5.keytab", ""),
        ] {
            assert!(!holds(path, text), "{path}: {text}");
        }
    }

    #[test]
    fn an_ordinary_name_has_no_kind() {
        for path in [
            "etc/hostname",
            "usr/bin/passwd",
            "usr/share/doc/x/README",
            "etc/ssl/openssl.cnf",
        ] {
            assert!(named(path.as_bytes()).is_none(), "{path}");
        }
    }
}
