//! Who asks for the passwords of the server's people: the image's own PAM stack, told to ask us first.

use std::path::Path;

use crate::unpack::{self, small_text};
use crate::{people, say};

/// The stacks that distributions have all programs include: Debian and SUSE; Fedora and Arch.
const STACKS: [&str; 3] = ["common-auth", "system-auth", "password-auth"];
/// What PAM runs.
const US: &str = "/run/netbootd/client login";
const FOLDERS: [&str; 2] = ["etc/pam.d", "usr/lib/pam.d"];

/// Lets the server's people log in, if this client has any: by password.
/// Without it they cannot log in; the machine boots all the same.
pub(crate) fn prepare(root: &Path) {
    if small_text(root, people::USERS).is_none() {
        return;
    }
    let mut told = false;
    for name in STACKS {
        let mut places = FOLDERS.iter().map(|folder| format!("{folder}/{name}"));
        let Some(changed) = places
            .find_map(|path| small_text(root, &path))
            .and_then(|text| asking_us(&text))
        else {
            continue;
        };
        match unpack::text(root, &format!("{}/{name}", FOLDERS[0]), &changed) {
            Ok(()) => told = true,
            Err(reason) => say!("{name}: {reason}"),
        }
    }
    if !told {
        say!(
            "passwords of the server's people do not work: the image has no PAM stack that we know"
        );
    }
}

/// The stack of pam.d(5) in which the client program alone decides about the server's people, and the
/// rest about everybody else, as before. `None` if nobody is asked for a password in it.
fn asking_us(text: &str) -> Option<String> {
    if text.contains(US) {
        return Some(text.to_owned());
    }
    let lines: Vec<&str> = text.lines().collect();
    let auth: Vec<(usize, &str)> = lines
        .iter()
        .enumerate()
        .filter_map(|(at, line)| Some((at, rule(line)?)))
        .collect();
    let (first, _) = *auth.first()?;
    let deny = auth
        .iter()
        .position(|(_, rest)| rest.contains("pam_deny.so"));
    let includes = |rest: &str| rest.starts_with("include") || rest.starts_with("substack");
    let success = match deny {
        // On with what comes after the refusal, as after the stack's own success.
        Some(deny) if deny + 1 < auth.len() && !auth.iter().any(|(_, rest)| includes(rest)) => {
            (deny + 1).to_string()
        }
        _ => "done".to_owned(),
    };
    let ours = [
        format!(
            "auth\t[success=ignore default=1]\tpam_localuser.so file=/{}",
            people::USERS
        ),
        format!(
            "auth\t[success={success} default=die]\tpam_exec.so quiet stdout expose_authtok seteuid \
             {US}"
        ),
    ];
    let (before, after) = lines.split_at(first);
    let ours = ours.iter().map(String::as_str);
    let all: Vec<&str> = before
        .iter()
        .copied()
        .chain(ours)
        .chain(after.iter().copied())
        .collect();
    Some(all.join("\n") + "\n")
}

/// What stands behind `auth` in a rule of that kind.
fn rule(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let line = line.strip_prefix('-').unwrap_or(line);
    let rest = line.strip_prefix("auth")?;
    rest.starts_with([' ', '\t']).then(|| rest.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debians_stack_goes_on_behind_its_refusal() {
        let debian = "# a comment\n\nauth\t[success=1 default=ignore]\tpam_unix.so nullok\n\
            auth\trequisite\t\t\tpam_deny.so\nauth\trequired\t\t\tpam_permit.so\n";
        let changed = asking_us(debian).unwrap();
        let lines: Vec<&str> = changed.lines().collect();
        assert_eq!(
            lines[2],
            "auth\t[success=ignore default=1]\tpam_localuser.so file=/etc/netbootd/users"
        );
        assert!(
            lines[3].starts_with("auth\t[success=2 default=die]\tpam_exec.so "),
            "{changed}"
        );
        assert!(lines[4].contains("pam_unix.so"));
        assert_eq!(lines.len(), 7);
    }

    #[test]
    fn fedoras_stack_ends_with_its_refusal() {
        let fedora = "auth        required      pam_env.so\nauth        sufficient    pam_unix.so nullok\n\
            auth        required      pam_deny.so\naccount     required      pam_unix.so\n";
        let changed = asking_us(fedora).unwrap();
        assert!(changed.contains("[success=done default=die]"), "{changed}");
        assert!(
            changed.starts_with("auth\t[success=ignore default=1]"),
            "{changed}"
        );
    }

    #[test]
    fn a_stack_that_asks_nobody_stays() {
        assert_eq!(
            asking_us("@include common-auth\nauthor x\nsession required pam_unix.so\n"),
            None
        );
    }
}
