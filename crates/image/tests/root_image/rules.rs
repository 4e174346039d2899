//! What is left out, and what is not.

use image::scrub::{Action, Nature, Rule, Rules, Verdict};

fn left_out(path: &str, nature: Nature) -> bool {
    matches!(
        Rules::standard().judge(path.as_bytes(), Some(nature)),
        Verdict::LeaveOut(_)
    )
}

fn emptied(path: &str) -> bool {
    matches!(
        Rules::standard().judge(path.as_bytes(), Some(Nature::File)),
        Verdict::Empty(_)
    )
}

#[test]
fn nothing_that_makes_a_machine_itself_survives() {
    for key in [
        "ssh_host_rsa_key",
        "ssh_host_ed25519_key",
        "ssh_host_ecdsa_key.pub",
    ] {
        assert!(left_out(&format!("etc/ssh/{key}"), Nature::File), "{key}");
    }
    assert!(emptied("etc/machine-id"));
    assert!(left_out("var/lib/dbus/machine-id", Nature::File));
    assert!(
        !left_out("var/lib/dbus/machine-id", Nature::Other),
        "a link to the empty one may stay"
    );
    assert!(left_out("var/lib/systemd/random-seed", Nature::File));
    assert!(left_out("var/lib/netbootd/images", Nature::Directory));
}

#[test]
fn host_keys_and_machine_id_cannot_be_asked_back() {
    let keep = Rule::new(
        "keep",
        "I insist",
        Action::Keep,
        &["etc/ssh/*", "etc/machine-id"],
    );
    let rules = Rules::required_only()
        .with(keep.expect("a rule"))
        .without("ssh-host-keys")
        .without("machine-id");
    let verdict = rules.judge(b"etc/ssh/ssh_host_rsa_key", Some(Nature::File));
    assert!(matches!(verdict, Verdict::LeaveOut(_)), "{verdict:?}");
    let verdict = rules.judge(b"etc/machine-id", Some(Nature::File));
    assert!(matches!(verdict, Verdict::Empty(_)), "{verdict:?}");
}

#[test]
fn a_directory_whose_content_is_left_out_stays() {
    for directory in [
        "dev", "home", "proc", "root", "run", "srv", "sys", "tmp", "var/tmp",
    ] {
        assert!(!left_out(directory, Nature::Directory), "{directory}");
        assert!(
            left_out(&format!("{directory}/x"), Nature::Directory),
            "{directory}/x"
        );
        assert!(
            left_out(&format!("{directory}/.x"), Nature::File),
            "{directory}/.x"
        );
    }
}

#[test]
fn log_directories_stay_without_their_files() {
    assert!(emptied("var/log/syslog"));
    assert!(left_out("var/log/syslog.1", Nature::File));
    assert!(left_out("var/log/dpkg.log.2.gz", Nature::File));
    assert!(left_out("var/log/apt/term.log", Nature::File));
    assert!(!left_out("var/log/nginx", Nature::Directory));
    assert!(left_out(
        "var/log/journal/0123456789abcdef",
        Nature::Directory
    ));
    assert!(!left_out("var/log/journal", Nature::Directory));
}

#[test]
fn package_lists_go_and_their_directories_stay() {
    assert!(left_out(
        "var/lib/apt/lists/deb.debian.org_InRelease",
        Nature::File
    ));
    assert!(!left_out("var/lib/apt/lists/partial", Nature::Directory));
    assert!(left_out("var/cache/apt/archives/x.deb", Nature::File));
    assert!(!left_out("var/lib/dpkg/status", Nature::File));
}

#[test]
fn what_a_system_needs_stays() {
    for path in [
        "etc/passwd",
        "etc/shadow",
        "etc/ssh/sshd_config",
        "etc/ssh/moduli",
        "etc/.java",
        "usr/bin/ping",
        "usr/share/doc/.hidden",
        "boot/vmlinuz",
        "var/lib/dhcp",
        "opt/tool",
    ] {
        assert!(
            !left_out(path, Nature::File) || path == "var/lib/dhcp",
            "{path}"
        );
        assert!(!emptied(path), "{path}");
    }
    assert!(emptied("etc/fstab"));
    assert!(left_out("etc/.git", Nature::Directory));
}

#[test]
fn a_rule_can_be_taken_away_or_put_before() {
    let rules = Rules::standard().without("homes");
    assert_eq!(
        rules.judge(b"home/alice", Some(Nature::Directory)),
        Verdict::Keep
    );
    let rule = Rule::new("data", "it is large", Action::LeaveOut, &["data/*"]).expect("a rule");
    let rules = Rules::standard().with(rule.clone());
    assert_eq!(rules.judge(b"data/x", None), Verdict::LeaveOut(&rule));
}

#[test]
fn every_rule_says_why() {
    for rule in Rules::standard().iter() {
        assert!(rule.reason.len() > 10, "{}", rule.name);
        assert!(!rule.patterns.is_empty(), "{}", rule.name);
    }
}
