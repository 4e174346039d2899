//! The units that bring the homes of the server's people, and take them away.

use model::Home;

use super::entries::Entries;
use super::login::{FOLDER, Login, ServerAccount, ssh_config};
use super::units::{SYSTEM, started};

/// How long nobody has looked into a home before it is given back, as systemd writes times.
const IDLE: &str = "1min";

/// Asks for the certificate again and again; each is good for some hours only.
const RENEW: &str = "[Unit]\n\
    Description=Keep this machine's certificate for the homes on the server\n\
    DefaultDependencies=no\n\
    After=sysinit.target\n\n\
    [Service]\n\
    ExecStart=/run/netbootd/client homes\n\
    Restart=on-failure\n\
    RestartSec=10\n";

/// logind stops this unit after a person's last session.
const LOGOUT: &str = "[Service]\nExecStopPost=-/run/netbootd/client logout %i\n";

pub(super) fn units(
    entries: &mut Entries,
    login: &Login<'_>,
    home: Home,
    accounts: &[&ServerAccount],
) {
    match home {
        Home::Tmpfs => {}
        Home::Sshfs => {
            let path = format!("{SYSTEM}/user-runtime-dir@.service.d/90-netbootd.conf");
            entries.file(&path, LOGOUT.to_owned());
        }
        Home::Machine => {
            let ways = "    IdentityFile /etc/ssh/ssh_host_ed25519_key\n    \
                CertificateFile /run/netbootd/homes-cert.pub\n    IdentitiesOnly yes\n    \
                PreferredAuthentications publickey\n";
            let config = format!("{FOLDER}/ssh_machine");
            entries.file(&config, ssh_config(&login.server, ways));
            started(entries, "netbootd-homes", RENEW);
            let options = format!(
                "ssh_command=ssh -F /{config},reconnect,allow_other,default_permissions,nosuid,nodev"
            );
            for account in accounts {
                let what = format!("{}@server:", account.name);
                mounted(entries, account, &what, "fuse.sshfs", &options);
            }
        }
        Home::Nfs => {
            let Some(folder) = login.nfs else { return };
            for account in accounts {
                let what = format!("{folder}/{}", account.name);
                mounted(entries, account, &what, "nfs", "nosuid,nodev");
            }
        }
    }
}

/// Mounts a home whenever somebody looks into it, sshd for keys among them.
fn mounted(entries: &mut Entries, account: &ServerAccount, what: &str, kind: &str, options: &str) {
    let (place, name) = (&account.home, escaped(&account.home));
    let about = format!("[Unit]\nDescription=Home of {}\n\n", account.name);
    let mount = format!(
        "{about}[Mount]\nWhat={what}\nWhere={place}\nType={kind}\nOptions={options}\nTimeoutSec=30\n"
    );
    entries.file(&format!("{SYSTEM}/{name}.mount"), mount);
    let automount = format!("{about}[Automount]\nWhere={place}\nTimeoutIdleSec={IDLE}\n");
    let unit = format!("{name}.automount");
    entries.file(&format!("{SYSTEM}/{unit}"), automount);
    let wanted = format!("{SYSTEM}/local-fs.target.wants/{unit}");
    entries.link(&wanted, &format!("../{unit}"));
}

/// The name of the unit for an absolute path (systemd.unit(5), STRING ESCAPING FOR INCLUSION IN UNIT
/// NAMES).
fn escaped(path: &str) -> String {
    let mut name = String::new();
    for (at, byte) in path.trim_matches('/').bytes().enumerate() {
        match byte {
            b'/' => name.push('-'),
            b'.' if at == 0 => name.push_str("\\x2e"),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b':' | b'_' | b'.' => {
                name.push(char::from(byte));
            }
            _ => name.push_str(&format!("\\x{byte:02x}")),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_homes_unit_is_called_as_systemd_escape_calls_it() {
        // systemd-escape --path, of systemd 252.
        assert_eq!(escaped("/home/alice"), "home-alice");
        assert_eq!(escaped("/srv/home/anna-b.c_d"), "srv-home-anna\\x2db.c_d");
        assert_eq!(escaped("/.h/x@y"), "\\x2eh-x\\x40y");
    }
}
