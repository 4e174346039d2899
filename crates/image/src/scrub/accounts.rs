//! The account files without people and without passwords.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::RangeInclusive;

use super::{Edit, Rules, ScrubReport};
use crate::tree::{Kind, Tree};

/// An account file is shorter than this, in bytes.
const FILE_MAX: u64 = 32 << 20;

const PASSWD: &str = "etc/passwd";
const SHADOW: &str = "etc/shadow";
const GROUP: &str = "etc/group";
const GSHADOW: &str = "etc/gshadow";
const SUBIDS: [&str; 2] = ["etc/subuid", "etc/subgid"];

/// What becomes of the account files of a source. All are edited together: a user who is gone from one of
/// them is in none of them.
///
/// * [`Edit::Users`]: the accounts whose number is in the login range (`UID_MIN` to `UID_MAX` in
///   `/etc/login.defs`, else 1000 to 60000), the groups that were only theirs, and their place in the others.
/// * [`Edit::Passwords`]: every hash becomes `*`: nobody logs in by password.
///
/// Lines that are not understood stay as they are.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    files: BTreeMap<&'static str, Vec<u8>>,
    users: Vec<String>,
    passwords: Vec<String>,
    report: ScrubReport,
}

impl Accounts {
    /// Works out what `rules` make of the account files of a tree. Files that are missing stay missing.
    ///
    /// # Errors
    /// When one of them is there and cannot be read, or is longer than any such file.
    pub fn plan(tree: &dyn Tree, rules: &Rules) -> io::Result<Self> {
        let mut accounts = Self::default();
        let wants = |path: &str, edit| rules.edit(path.as_bytes(), edit);
        let Some(passwd) = read(tree, PASSWD)? else {
            return Ok(accounts);
        };
        let login = read(tree, "etc/login.defs")?.unwrap_or_default();
        let gone = match wants(PASSWD, Edit::Users) {
            Some(_) => Gone::of(&passwd, range(&login, "UID"), &range(&login, "GID")),
            None => Gone::default(),
        };
        let group = read(tree, GROUP)?;
        let groups = gone.groups(group.as_deref().unwrap_or_default());
        let names = |names: &BTreeSet<Vec<u8>>| {
            names
                .iter()
                .map(|name| crate::squash::shown(name))
                .collect()
        };
        accounts.users = names(&gone.users);
        if let Some(rule) = wants(PASSWD, Edit::Users).filter(|_| !gone.users.is_empty()) {
            accounts.report.tally(rule).entries = gone.users.len() as u64;
        }

        let mut locked = BTreeSet::new();
        let files = [
            (PASSWD, Some(passwd)),
            (SHADOW, read(tree, SHADOW)?),
            (GROUP, group),
            (GSHADOW, read(tree, GSHADOW)?),
            (SUBIDS[0], read(tree, SUBIDS[0])?),
            (SUBIDS[1], read(tree, SUBIDS[1])?),
        ];
        for (path, before) in files {
            let Some(before) = before else { continue };
            let mut text = before.clone();
            if wants(path, Edit::Users).is_some() {
                text = match path {
                    GROUP | GSHADOW => without_members(&text, &groups, &gone.users),
                    PASSWD | SHADOW => lines(&text, |line| !gone.users.contains(field(line, 0))),
                    _ => lines(&text, |line| !gone.has_subids(field(line, 0))),
                };
            }
            if let Some(rule) = wants(path, Edit::Passwords) {
                let before = locked.len();
                text = without_passwords(&text, &mut locked);
                let fresh = (locked.len() - before) as u64;
                if fresh > 0 {
                    accounts.report.tally(rule).entries += fresh;
                }
            }
            if text != before {
                accounts.files.insert(path, text);
            }
        }
        accounts.passwords = names(&locked);
        Ok(accounts)
    }

    /// The new content of the regular file at `path`, if it changes.
    pub fn content(&self, path: &[u8]) -> Option<&[u8]> {
        let path = std::str::from_utf8(path).ok()?;
        self.files.get(path).map(Vec::as_slice)
    }

    /// The names of the accounts that are taken out, sorted.
    pub fn users(&self) -> &[String] {
        &self.users
    }

    /// The names of the accounts and groups that stay and lose their password, sorted.
    pub fn passwords(&self) -> &[String] {
        &self.passwords
    }

    /// What each rule took out, counted in accounts.
    pub fn report(&self) -> &ScrubReport {
        &self.report
    }
}

/// Who is taken out.
#[derive(Default)]
struct Gone {
    users: BTreeSet<Vec<u8>>,
    uids: BTreeSet<Vec<u8>>,
    /// Numbers of groups that were nobody else's main group.
    gids: BTreeSet<Vec<u8>>,
}

impl Gone {
    fn of(passwd: &[u8], uids: RangeInclusive<u64>, gids: &RangeInclusive<u64>) -> Self {
        let mut gone = Self::default();
        let mut theirs = BTreeSet::new();
        for line in split(passwd) {
            let (name, gid) = (field(line, 0), field(line, 3));
            match number(field(line, 2)) {
                Some(uid) if uids.contains(&uid) && !name.is_empty() => {
                    gone.users.insert(name.to_vec());
                    gone.uids.insert(field(line, 2).to_vec());
                    if number(gid).is_some_and(|gid| gids.contains(&gid)) {
                        gone.gids.insert(gid.to_vec());
                    }
                }
                _ => {
                    theirs.insert(gid);
                }
            }
        }
        gone.gids.retain(|gid| !theirs.contains(gid.as_slice()));
        gone
    }

    /// The names of the groups that go with the users.
    fn groups(&self, group: &[u8]) -> BTreeSet<Vec<u8>> {
        split(group)
            .filter(|line| self.gids.contains(field(line, 2)))
            .map(|line| field(line, 0).to_vec())
            .collect()
    }

    /// Ranges of numbers are given to a name or to a number.
    fn has_subids(&self, owner: &[u8]) -> bool {
        self.users.contains(owner) || self.uids.contains(owner)
    }
}

/// `group` and `gshadow`: without some groups, and without the users in the others (members are the last
/// field; in `gshadow` administrators are the third).
fn without_members(text: &[u8], groups: &BTreeSet<Vec<u8>>, users: &BTreeSet<Vec<u8>>) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for line in split(text) {
        if groups.contains(field(line, 0)) {
            continue;
        }
        for (index, part) in line.split(|byte| *byte == b':').enumerate() {
            if index > 0 {
                out.push(b':');
            }
            if index < 2 {
                out.extend_from_slice(part);
                continue;
            }
            let members = part.split(|byte| *byte == b',');
            let stay: Vec<_> = members.filter(|name| !users.contains(*name)).collect();
            out.extend_from_slice(&stay.join(&b','));
        }
        out.push(b'\n');
    }
    out
}

/// The second field of each line, where it holds more than a lock or a reference, becomes `*`.
fn without_passwords(text: &[u8], locked: &mut BTreeSet<Vec<u8>>) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for line in split(text) {
        let (name, password) = (field(line, 0), field(line, 1));
        let is_harmless = password == b"x" || password.iter().all(|byte| b"!*".contains(byte));
        if is_harmless {
            out.extend_from_slice(line);
        } else {
            locked.insert(name.to_vec());
            out.extend_from_slice(name);
            out.extend_from_slice(b":*");
            out.extend_from_slice(&line[name.len() + 1 + password.len()..]);
        }
        out.push(b'\n');
    }
    out
}

fn lines(text: &[u8], stays: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for line in split(text).filter(|line| stays(line)) {
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out
}

fn split(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.strip_suffix(b"\n")
        .unwrap_or(text)
        .split(|byte| *byte == b'\n')
        .filter(|_| !text.is_empty())
}

fn field(line: &[u8], index: usize) -> &[u8] {
    line.split(|byte| *byte == b':')
        .nth(index)
        .unwrap_or_default()
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// `UID_MIN` to `UID_MAX` of `login.defs`, or the same of `GID`.
fn range(login_defs: &[u8], what: &str) -> RangeInclusive<u64> {
    let value = |key: String| {
        let text = String::from_utf8_lossy(login_defs);
        text.lines().find_map(|line| {
            let mut words = line.split_whitespace();
            (words.next() == Some(&key)).then(|| words.next()?.parse().ok())?
        })
    };
    value(format!("{what}_MIN")).unwrap_or(1000)..=value(format!("{what}_MAX")).unwrap_or(60_000)
}

fn read(tree: &dyn Tree, path: &str) -> io::Result<Option<Vec<u8>>> {
    match tree.kind(path)? {
        Some(Kind::File(_)) => tree.read(path, FILE_MAX).map(Some),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests;
