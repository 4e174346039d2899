//! The server's own people on its clients.

use std::collections::BTreeMap;

use model::Home;

use crate::diagnostic::{Code, Fault};
use crate::meaning::{Login, User};
use crate::path::KeyPath;
use crate::reader::{Reader, Spot, bare};
use crate::text;

/// The accounts that a client or a group can choose from.
pub(crate) struct Names {
    names: Vec<String>,
    /// Whether there are others besides, of which only the server's `/etc/group` knows.
    open: bool,
}

impl Names {
    pub(crate) fn new(users: &BTreeMap<String, User>, login: &Login) -> Self {
        let (groups, people): (Vec<&String>, Vec<_>) =
            login.users.iter().partition(|name| name.starts_with('@'));
        Self {
            names: users.keys().chain(people).cloned().collect(),
            open: !groups.is_empty(),
        }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name)
            || self.open && text::account_name(name).is_ok()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }
}

pub(crate) fn home(reader: &mut Reader<'_>, at: &KeyPath) -> Option<Home> {
    reader.word(&at.child("home"), Home::from_name)
}

pub(crate) fn login(reader: &mut Reader<'_>) -> Login {
    let at = KeyPath::new(["login"]);
    let (server_path, keys_path) = (at.child("server"), at.child("host_keys"));
    let server = reader.one(&server_path, text::address);
    let host_keys = bare(reader.many(&keys_path, text::ssh_key));
    if server.is_some() && host_keys.is_empty() {
        let fault = Fault::new(
            Code::MissingKey,
            "another server has no `login.host_keys`",
            "clients tell people's passwords to nobody but the server whose ssh host key they know",
        );
        let help = "write the lines that `ssh-keyscan` prints, without the name, and compare them with the \
                    server's /etc/ssh/ssh_host_*_key.pub";
        reader.report(&Spot::value(&server_path), fault.help(help));
    }
    Login {
        users: bare(reader.many(&at.child("users"), text::server_user)),
        home: home(reader, &at).unwrap_or_default(),
        server,
        host_keys,
        nfs: reader.one(&at.child("nfs"), text::nfs_folder),
    }
}
