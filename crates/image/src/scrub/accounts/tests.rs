use super::*;
use crate::scrub::{Action, Rule};
use crate::tree::Directory;

/// A template with a service, a person with a group of her own, and one in a shared group.
const FILES: [(&str, &str); 6] = [
    (
        PASSWD,
        "root:x:0:0:root:/root:/bin/bash\nalice:x:1000:1000:A:/home/alice:/bin/bash\n\
         backup:x:34:34::/:/bin/sh\nbob:x:1001:100::/home/bob:/bin/sh\nnobody:x:65534:65534::/:/x\n+::::::\n",
    ),
    (
        SHADOW,
        "root:$y$j9T$salt$hash:19000:0:99999:7:::\nalice:$6$x$y:19000::::::\nbackup:*:1::::::\n\
         bob:!$6$q$r:1::::::\nnobody:!*:1::::::\n",
    ),
    (
        GROUP,
        "root:x:0:\nusers:x:100:alice\nsudo:x:27:alice,backup,bob\nalice:x:1000:\nlab:x:2000:bob\n",
    ),
    (
        GSHADOW,
        "root:*::\nsudo:!:alice:alice,backup\nalice:!::\nlab:$6$a$b::bob\n",
    ),
    ("etc/subuid", "alice:100000:65536\n1001:165536:65536\n"),
    ("etc/subgid", "alice:100000:65536\nbackup:165536:65536\n"),
];

fn plan(rules: &Rules, more: &[(&str, &str)]) -> Accounts {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("etc")).unwrap();
    for (path, text) in FILES.iter().chain(more) {
        std::fs::write(folder.path().join(path), text).unwrap();
    }
    let tree = Directory::open(folder.path()).unwrap();
    Accounts::plan(&tree, rules).unwrap()
}

fn text(accounts: &Accounts, path: &str) -> String {
    let before = FILES.iter().find(|(known, _)| *known == path).unwrap().1;
    let after = accounts.content(path.as_bytes());
    String::from_utf8(after.unwrap_or(before.as_bytes()).to_vec()).unwrap()
}

#[test]
fn a_person_is_in_none_of_the_files() {
    let accounts = plan(&Rules::standard(), &[]);
    assert_eq!(accounts.users(), ["alice", "bob"]);
    for (path, _) in FILES {
        let text = text(&accounts, path);
        assert!(
            !text.contains("alice") && !text.contains("bob"),
            "{path}: {text}"
        );
        assert!(!text.contains("1001:"), "{path}: {text}");
    }
    assert_eq!(
        text(&accounts, PASSWD),
        "root:x:0:0:root:/root:/bin/bash\nbackup:x:34:34::/:/bin/sh\nnobody:x:65534:65534::/:/x\n+::::::\n"
    );
    assert_eq!(
        text(&accounts, GROUP),
        "root:x:0:\nusers:x:100:\nsudo:x:27:backup\nlab:x:2000:\n"
    );
    assert_eq!(text(&accounts, "etc/subgid"), "backup:165536:65536\n");
}

#[test]
fn no_hash_stays_and_no_lock_is_opened() {
    let accounts = plan(&Rules::standard(), &[]);
    assert_eq!(
        text(&accounts, SHADOW),
        "root:*:19000:0:99999:7:::\nbackup:*:1::::::\nnobody:!*:1::::::\n"
    );
    assert_eq!(
        text(&accounts, GSHADOW),
        "root:*::\nsudo:!::backup\nlab:*::\n"
    );
    assert_eq!(accounts.passwords(), ["lab", "root"]);
    let rules: Vec<_> = accounts
        .report()
        .tallies
        .iter()
        .map(|tally| (&*tally.rule, tally.entries))
        .collect();
    assert_eq!(rules, [("login-users", 2), ("password-hashes", 2)]);
}

#[test]
fn kept_users_keep_their_groups_and_lose_their_passwords() {
    let accounts = plan(&Rules::standard().without("login-users"), &[]);
    assert_eq!(accounts.users(), [""; 0]);
    assert_eq!(text(&accounts, PASSWD), FILES[0].1);
    assert_eq!(text(&accounts, GROUP), FILES[2].1);
    let shadow = text(&accounts, SHADOW);
    assert!(
        shadow.contains("alice:*:") && shadow.contains("bob:*:") && !shadow.contains('$'),
        "{shadow}"
    );
}

#[test]
fn a_rule_that_keeps_the_file_keeps_its_passwords() {
    let keep = Rule::new("kept", "asked for", Action::Keep, &["etc/shadow"]).unwrap();
    let accounts = plan(&Rules::standard().with(keep), &[]);
    assert_eq!(accounts.content(b"etc/shadow"), None);
    assert!(accounts.content(b"etc/passwd").is_some());
}

#[test]
fn the_login_range_is_the_source_s_own() {
    let defs = "# UID_MIN 5\nUID_MIN\t1001\nUID_MAX 1001\n";
    let accounts = plan(&Rules::standard(), &[("etc/login.defs", defs)]);
    assert_eq!(accounts.users(), ["bob"]);
    assert!(text(&accounts, GROUP).contains("users:x:100:alice\n"));
}

#[test]
fn an_unchanged_file_is_left_alone_and_strange_lines_stay() {
    let accounts = plan(
        &Rules::standard(),
        &[
            (PASSWD, "root:x:0:0\n:::\nnonsense\n"),
            (GROUP, "root:x:0:"),
            (SHADOW, ""),
            (GSHADOW, ""),
            ("etc/subuid", ""),
            ("etc/subgid", ""),
        ],
    );
    assert_eq!(accounts.content(b"etc/passwd"), None);
    assert_eq!(accounts.content(b"etc/shadow"), None);
    assert_eq!(accounts.report().tallies, []);
}
