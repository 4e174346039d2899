//! The server's own people on this client, as the overlay tells of them.

use std::fs;
use std::path::Path;

use model::Home;

use crate::unpack::small_text;

/// Their lines of passwd(5), below the root.
pub(crate) const USERS: &str = "etc/netbootd/users";
/// Where their homes are: one word of the configuration.
const HOME: &str = "etc/netbootd/home";

/// One of them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) uid: u32,
    /// Absolute path.
    pub(crate) home: String,
}

/// Looks for one of whom `is` is true.
pub(crate) fn find(is: impl Fn(&Person) -> bool) -> Option<Person> {
    let text = fs::read_to_string(Path::new("/").join(USERS)).ok()?;
    text.lines().filter_map(read).find(is)
}

fn read(line: &str) -> Option<Person> {
    let fields: Vec<&str> = line.split(':').collect();
    let &[name, _, uid, _, _, home, _] = fields.as_slice() else {
        return None;
    };
    Some(Person {
        name: name.to_owned(),
        uid: uid.parse().ok()?,
        home: home.to_owned(),
    })
}

/// Whether the homes come from the server at a login with a password, and go with the last logout.
pub(crate) fn homes_come_at_login() -> bool {
    home_is(Path::new("/"), Home::Sshfs)
}

/// Whether the client with this root has homes with a key of its own.
pub(crate) fn homes_are_the_machines(root: &Path) -> bool {
    home_is(root, Home::Machine)
}

fn home_is(root: &Path, home: Home) -> bool {
    small_text(root, HOME).is_some_and(|text| Home::from_name(text.trim()) == Some(home))
}

/// Whether something is mounted at this path.
pub(crate) fn is_mounted(path: &str) -> bool {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    mounted_in(&table, path)
}

/// Reads proc_pid_mountinfo(5). Paths of homes have no letters that would be escaped there.
fn mounted_in(table: &str, path: &str) -> bool {
    let mut points = table.lines().filter_map(|line| line.split(' ').nth(4));
    points.any(|point| point == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_account_file_is_a_person() {
        let person = read("bob:*:1002:100:Bob B:/srv/home/bob:/bin/sh").unwrap();
        assert_eq!((person.name.as_str(), person.uid), ("bob", 1002));
        assert_eq!(person.home, "/srv/home/bob");
        assert_eq!(read("bob:*:x:100::/home/bob:/bin/sh"), None);
        assert_eq!(read("bob"), None);
    }

    #[test]
    fn a_mounted_home_is_told_from_one_below_or_above() {
        let table = "36 35 0:44 / /home/bob rw,nosuid - fuse.sshfs bob@server: rw\n";
        assert!(mounted_in(table, "/home/bob"));
        assert!(!mounted_in(table, "/home") && !mounted_in(table, "/home/bob/x"));
    }
}
