//! The server's own people on a client: their accounts, and what the client program and sshd need to
//! check their passwords at the server and to bring their homes.

use model::Home;

use super::entries::Entries;
use super::{OverlayContext, homes};
use crate::Layers;

/// Where what the client program reads is.
pub(super) const FOLDER: &str = "etc/netbootd";
/// Numbers of people; those below are the system's own, as those between are nobody's and systemd's.
const PEOPLE: [std::ops::RangeInclusive<u32>; 2] = [1000..=60_000, 65_536..=2_147_483_647];

/// An account of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAccount {
    /// Login name.
    pub name: String,
    /// User number, the same on the clients.
    pub uid: u32,
    /// Number of its own group.
    pub gid: u32,
    /// The person's name, passwd(5)'s fifth field.
    pub full_name: String,
    /// Absolute path of its home, on the server and on the clients.
    pub home: String,
    /// Login shell.
    pub shell: String,
}

/// A group of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerGroup {
    /// Its name.
    pub name: String,
    /// Its number, the same on the clients.
    pub gid: u32,
    /// Those of its members that are on the clients.
    pub members: Vec<String>,
}

/// Which of the server's people the clients have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct People {
    /// Their accounts.
    pub accounts: Vec<ServerAccount>,
    /// The groups that were asked for, and those that the accounts have as their own.
    pub groups: Vec<ServerGroup>,
    /// What is not had, and why.
    pub problems: Vec<String>,
}

impl People {
    /// Chooses from the text of passwd(5) and group(5) what `wanted` names: accounts, and with `@` in
    /// front groups, of which everybody is had.
    pub fn choose(passwd: &str, group: &str, wanted: &[String]) -> Self {
        let mut people = Self::default();
        let groups: Vec<ServerGroup> = group.lines().filter_map(read_group).collect();
        let known: Vec<ServerAccount> = passwd.lines().filter_map(read_account).collect();
        for wish in wanted {
            let Some(name) = wish.strip_prefix('@') else {
                people.add(known.iter().find(|account| account.name == *wish), wish);
                continue;
            };
            let Some(group) = groups.iter().find(|group| group.name == name) else {
                let problem = format!("the server has no group `{name}` in /etc/group");
                people.problems.push(problem);
                continue;
            };
            for member in &group.members {
                people.add(known.iter().find(|known| known.name == *member), member);
            }
            for account in known.iter().filter(|account| account.gid == group.gid) {
                people.add(Some(account), &account.name);
            }
        }
        let asked = |group: &ServerGroup| {
            let mut wishes = wanted.iter().filter_map(|wish| wish.strip_prefix('@'));
            wishes.any(|name| name == group.name)
        };
        for mut group in groups {
            let own = people
                .accounts
                .iter()
                .any(|account| account.gid == group.gid);
            if own || asked(&group) {
                let here =
                    |name: &String| people.accounts.iter().any(|account| account.name == *name);
                group.members.retain(here);
                people.groups.push(group);
            }
        }
        people
    }

    fn add(&mut self, account: Option<&ServerAccount>, name: &str) {
        let problem = match account {
            None => {
                format!("the server has no account `{name}` in /etc/passwd that a client can have")
            }
            Some(account) if !PEOPLE.iter().any(|range| range.contains(&account.uid)) => {
                format!(
                    "`{name}` is an account of the server's own system, number {}",
                    account.uid
                )
            }
            Some(account) if self.accounts.contains(account) => return,
            Some(account) => return self.accounts.push(account.clone()),
        };
        self.problems.push(problem);
    }
}

/// A text that may stand in a field, or in a line of a unit.
fn plain(text: &str) -> bool {
    !text.contains(|c: char| c.is_control())
}

fn read_account(line: &str) -> Option<ServerAccount> {
    let fields: Vec<&str> = line.split(':').collect();
    let &[name, _, uid, gid, full_name, home, shell] = fields.as_slice() else {
        return None;
    };
    let inside = home.strip_prefix('/')?;
    let good = inside
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !b"\\\"'%$".contains(&byte))
        && inside
            .split('/')
            .all(|part| !matches!(part, "" | "." | ".."));
    let account = ServerAccount {
        name: name.to_owned(),
        uid: uid.parse().ok()?,
        gid: gid.parse().ok()?,
        full_name: full_name.to_owned(),
        home: home.to_owned(),
        shell: shell.to_owned(),
    };
    (good && is_name(name) && plain(line)).then_some(account)
}

fn read_group(line: &str) -> Option<ServerGroup> {
    let fields: Vec<&str> = line.split(':').collect();
    let &[name, _, gid, members] = fields.as_slice() else {
        return None;
    };
    let members = members.split(',').filter(|name| !name.is_empty());
    let group = ServerGroup {
        name: name.to_owned(),
        gid: gid.parse().ok()?,
        members: members.map(str::to_owned).collect(),
    };
    (is_name(name) && plain(line)).then_some(group)
}

fn is_name(name: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    !name.is_empty() && name.bytes().all(good) && !name.starts_with(['-', '.'])
}

/// What a client is told of the server's people.
#[derive(Clone, Debug)]
pub struct Login<'a> {
    /// Who they are.
    pub people: &'a People,
    /// The address or name of the ssh server that checks passwords and has the homes.
    pub server: String,
    /// Its public host keys.
    pub host_keys: &'a [String],
    /// Where the homes are unless the client or its groups say otherwise.
    pub home: Home,
    /// `HOST:FOLDER` of the homes for [`Home::Nfs`].
    pub nfs: Option<&'a str>,
}

impl Login<'_> {
    /// The people that a client has of whom this is said.
    pub fn accounts<'b>(
        &'b self,
        layers: &'b Layers<'_>,
    ) -> impl Iterator<Item = &'b ServerAccount> {
        let accounts = self.people.accounts.iter();
        accounts.filter(|account| layers.has_user(&account.name))
    }

    /// Where that client has their homes from.
    pub fn home(&self, layers: &Layers<'_>) -> Home {
        layers.home().unwrap_or(self.home)
    }
}

/// Where sshd finds the keys of the server's people besides their homes, which may not be there yet.
pub(super) fn keys_file(name: &str) -> String {
    format!("{FOLDER}/keys/{name}")
}

pub(super) fn files(entries: &mut Entries, context: &OverlayContext<'_>) {
    let Some(login) = &context.login else { return };
    let accounts: Vec<&ServerAccount> = login.accounts(&context.layers).collect();
    if accounts.is_empty() {
        return;
    }
    let home = login.home(&context.layers);
    entries.file(&format!("{FOLDER}/home"), format!("{}\n", home.as_str()));
    let line = |account: &&ServerAccount| passwd_line(account) + "\n";
    entries.file(
        &format!("{FOLDER}/users"),
        accounts.iter().map(line).collect(),
    );
    let key = |key: &String| format!("netbootd {}\n", key.trim());
    let known = login.host_keys.iter().map(key).collect();
    entries.file(&format!("{FOLDER}/known_hosts"), known);
    let ways =
        "    PreferredAuthentications password,keyboard-interactive\n    PubkeyAuthentication no\n";
    entries.file(
        &format!("{FOLDER}/ssh_config"),
        ssh_config(&login.server, ways),
    );
    homes::units(entries, login, home, &accounts);
}

/// The account's line of passwd(5): no password is valid there.
pub(super) fn passwd_line(account: &ServerAccount) -> String {
    let ServerAccount {
        name,
        uid,
        gid,
        full_name,
        home,
        shell,
    } = account;
    format!("{name}:*:{uid}:{gid}:{full_name}:{home}:{shell}")
}

/// How the client's ssh talks to the server: to the host whose key it knows, never asking, and never
/// waiting for ever.
pub(super) fn ssh_config(server: &str, ways: &str) -> String {
    format!(
        "Host *\n    HostName {server}\n    HostKeyAlias netbootd\n    \
         UserKnownHostsFile /etc/netbootd/known_hosts\n    GlobalKnownHostsFile /dev/null\n    \
         StrictHostKeyChecking yes\n    UpdateHostKeys no\n    CheckHostIP no\n    ConnectTimeout 10\n    \
         ServerAliveInterval 15\n    ServerAliveCountMax 2\n    NumberOfPasswordPrompts 1\n    \
         LogLevel ERROR\n{ways}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n\
        alice:x:1001:1001:Alice,,,:/home/alice:/bin/bash\n\
        bob:x:1002:100::/srv/home/bob:/bin/sh\ncarol:x:1003:100::/home/carol:/bin/sh\n\
        daemon2:x:150:150::/var:/bin/sh\nodd:x:1004:1004::/home/../etc:/bin/sh\n";
    const GROUP: &str = "root:x:0:\nusers:x:100:\nalice:x:1001:\nstaff:x:50:alice,dora,daemon2\n";

    fn chosen(wanted: &[&str]) -> People {
        let wanted: Vec<String> = wanted.iter().map(|&name| name.to_owned()).collect();
        People::choose(PASSWD, GROUP, &wanted)
    }

    fn names(people: &People) -> Vec<&str> {
        people
            .accounts
            .iter()
            .map(|account| account.name.as_str())
            .collect()
    }

    #[test]
    fn people_are_chosen_by_name_and_by_group_with_their_numbers() {
        let people = chosen(&["alice", "@users"]);
        assert_eq!(names(&people), ["alice", "bob", "carol"]);
        let groups: Vec<(&str, u32)> = people
            .groups
            .iter()
            .map(|group| (group.name.as_str(), group.gid))
            .collect();
        assert_eq!(groups, [("users", 100), ("alice", 1001)]);
        assert_eq!(
            passwd_line(&people.accounts[1]),
            "bob:*:1002:100::/srv/home/bob:/bin/sh"
        );
        assert!(people.problems.is_empty(), "{:?}", people.problems);
    }

    #[test]
    fn who_is_not_there_or_is_the_systems_own_is_left_out_and_said() {
        let people = chosen(&["@staff", "root", "@gone", "odd"]);
        assert_eq!(names(&people), ["alice"]);
        assert_eq!(people.groups[1].members, ["alice"]);
        for (problem, want) in people
            .problems
            .iter()
            .zip(["dora", "daemon2", "root", "gone", "odd"])
        {
            assert!(problem.contains(want), "{problem}");
        }
        assert_eq!(people.problems.len(), 5);
    }
}
