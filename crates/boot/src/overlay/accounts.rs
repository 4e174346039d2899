//! People's accounts, beside those of the image.

use super::entries::Entries;
use super::login::{People, ServerAccount, keys_file, passwd_line};
use super::{OverlayContext, OverlayKind};

/// Accounts are added to the image's own. Their password field is `*`, so that they log in by key
/// and never by password, or empty for a guest at the machine; and they need no line in the shadow file, which is never served.
pub(super) fn users(entries: &mut Entries, context: &OverlayContext<'_>) -> Accounts {
    let (mut passwd, mut group) = (lines(context.passwd), lines(context.group));
    let mut changed = server_people(&mut passwd, &mut group, context);
    // An account has the same number on every client of an image: numbers go to all accounts, also to
    // those that this client has not, and nobody is given one that the configuration gives to another.
    let mut numbers: Vec<u32> = context.users.iter().filter_map(|user| user.uid).collect();
    let groups = context.login.iter().flat_map(|login| &login.people.groups);
    numbers.extend(groups.map(|group| group.gid));
    for user in context.users {
        let known = field(&passwd, &user.name, 5).map(|home| {
            let number = |n| field(&passwd, &user.name, n).and_then(|text| text.parse().ok());
            (number(2).unwrap_or(0), number(3).unwrap_or(0), home)
        });
        let chosen = known.as_ref().map(|(uid, ..)| *uid).or(user.uid);
        let uid = chosen.unwrap_or_else(|| free_id(&passwd, &group, &numbers));
        numbers.push(uid);
        if !context.layers.has_user(&user.name) {
            continue;
        }
        let (uid, gid, home) = known.unwrap_or_else(|| {
            changed = true;
            let shell = match (&user.shell, context.has_bash) {
                (Some(shell), _) => shell.as_str(),
                (None, true) => "/bin/bash",
                (None, false) => "/bin/sh",
            };
            let home = format!("/home/{}", user.name);
            let password = if user.passwordless { "" } else { "*" };
            passwd.push(format!(
                "{}:{password}:{uid}:{uid}::{home}:{shell}",
                user.name
            ));
            if field(&group, &user.name, 2).is_none() {
                group.push(format!("{}:x:{uid}:", user.name));
            }
            (uid, uid, home)
        });
        for name in &user.groups {
            changed |= join_group(&mut group, name, &user.name);
        }
        let home = home.trim_start_matches('/');
        if home.is_empty() || home.split('/').any(|part| part == ".." || part.is_empty()) {
            continue; // an account of the image without a home folder of its own
        }
        let mode = if uid == 0 { 0o700 } else { 0o750 };
        entries.owned(home, OverlayKind::Directory, mode, uid, gid);
        entries.owned(
            &format!("{home}/.ssh"),
            OverlayKind::Directory,
            0o700,
            uid,
            gid,
        );
        let keys = user
            .ssh_keys
            .iter()
            .map(|key| format!("{}\n", key.trim()))
            .collect::<String>();
        let people = context.login.as_ref().map(|login| login.people);
        let on_server = |people: &People| people.accounts.iter().any(|it| it.name == user.name);
        if people.is_some_and(on_server) {
            // The home may be mounted later, and then covers what is here.
            entries.file(&keys_file(&user.name), keys);
            continue;
        }
        let path = format!("{home}/.ssh/authorized_keys");
        entries.owned(&path, OverlayKind::File(keys.into()), 0o600, uid, gid);
    }
    if changed {
        entries.file("etc/passwd", passwd.join("\n") + "\n");
        entries.file("etc/group", group.join("\n") + "\n");
    }
    Accounts(passwd)
}

/// Puts the server's people with their numbers in the place of accounts and groups that have their
/// names. Says whether there are any.
fn server_people(
    passwd: &mut Vec<String>,
    group: &mut Vec<String>,
    context: &OverlayContext<'_>,
) -> bool {
    let Some(login) = &context.login else {
        return false;
    };
    let put = |lines: &mut Vec<String>, name: &str, line: String| {
        lines.retain(|old| old.split(':').next() != Some(name));
        lines.push(line);
    };
    let accounts: Vec<&ServerAccount> = login.accounts(&context.layers).collect();
    for account in &accounts {
        put(passwd, &account.name, passwd_line(account));
    }
    for it in login.people.groups.iter().filter(|_| !accounts.is_empty()) {
        let members = it
            .members
            .iter()
            .filter(|name| context.layers.has_user(name));
        let members: Vec<&str> = members.map(String::as_str).collect();
        let line = format!("{}:x:{}:{}", it.name, it.gid, members.join(","));
        // A group of the system keeps its number, which files of the image have.
        match field(group, &it.name, 2).and_then(|gid| gid.parse::<u32>().ok()) {
            Some(gid) if gid != it.gid && gid < 1000 => {
                members
                    .iter()
                    .for_each(|name| _ = join_group(group, &it.name, name));
            }
            _ => put(group, &it.name, line),
        }
    }
    !accounts.is_empty()
}

/// The lines of the client's `/etc/passwd`.
pub(super) struct Accounts(Vec<String>);

impl Accounts {
    /// User and group of the account in whose home `path` is.
    pub(super) fn owner(&self, path: &str) -> Option<(u32, u32)> {
        self.0.iter().find_map(|line| {
            let mut fields = line.split(':').skip(2);
            let (uid, gid) = (fields.next()?, fields.next()?);
            let home = fields.nth(1)?.trim_start_matches('/');
            let inside = path.strip_prefix(home)?.starts_with('/');
            // Accounts of the system have folders of the system as homes.
            let uid: u32 = uid.parse().ok().filter(|&uid| uid >= 1000 && inside)?;
            Some((uid, gid.parse().ok()?))
        })
    }
}

fn lines(text: &str) -> Vec<String> {
    text.lines()
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Field `n` of the line whose first field is `name`.
fn field(lines: &[String], name: &str, n: usize) -> Option<String> {
    lines
        .iter()
        .find(|line| line.split(':').next() == Some(name))?
        .split(':')
        .nth(n)
        .map(str::to_owned)
}

fn free_id(passwd: &[String], group: &[String], numbers: &[u32]) -> u32 {
    let taken = |id: u32| {
        let has = |line: &String| line.split(':').nth(2) == Some(&id.to_string());
        numbers.contains(&id) || passwd.iter().any(has) || group.iter().any(has)
    };
    (1000..60_000).find(|&id| !taken(id)).unwrap_or(60_000)
}

fn join_group(group: &mut [String], name: &str, member: &str) -> bool {
    let Some(line) = group
        .iter_mut()
        .find(|line| line.split(':').next() == Some(name))
    else {
        return false;
    };
    let members = line.rsplit(':').next().unwrap_or_default();
    if members.split(',').any(|present| present == member) {
        return false;
    }
    if !members.is_empty() {
        line.push(',');
    }
    line.push_str(member);
    true
}
