//! What the client program tells after the hand-over: that the machine runs, that one can log in,
//! what of its system failed, and when the first person came.
//!
//! It asks the image's own systemd and logind, in their own words, and needs nothing of PAM.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use model::{BootArguments, Report, Stage};
use rustix::fs::inotify;

use crate::report;

/// Tries for a while: the server may be starting again.
const TRIES: u32 = 8;
/// How often the system is asked whether it is done: each time starts a program of the image.
const PAUSE: Duration = Duration::from_secs(2);
/// After this long it is told what the system still waits for, and not asked again.
const PATIENCE: Duration = Duration::from_secs(600);
/// Names told of units; a system with more of them has one cause.
const MAX_NAMES: usize = 12;
/// Longest output of a program that is looked at, in bytes.
const MAX_OUTPUT: usize = 64 * 1024;
/// Where logind has a file for each session (sd_login_monitor_new(3) watches the same folder).
const SESSIONS: &str = "/run/systemd/sessions";
/// The ssh port, as `/proc/net/tcp` has it.
const SSH: &str = ":0016";

/// Reports until somebody has logged in. What cannot be told is said, and stops nothing: a unit that
/// fails would be a failure of the machine's.
pub(crate) fn report(arguments: &BootArguments) {
    let tell = |stage, failed, message: String| {
        let report = Report {
            token: arguments.token.clone(),
            stage,
            failed,
            secure_boot: None,
            message,
        };
        if let Err(error) = report::send(arguments, &report, TRIES) {
            eprintln!("telling {} of {stage}: {error}", arguments.http());
        }
    };
    let uptime = fs::read_to_string("/proc/uptime").unwrap_or_default();
    let seconds = uptime.split('.').next().unwrap_or_default();
    tell(
        Stage::Running,
        false,
        format!("{seconds} s after the kernel started"),
    );
    let start = Instant::now();
    let (mut login, mut settled) = (false, false);
    loop {
        if !login && let Some(ways) = ways_in(Path::new("/")) {
            login = true;
            tell(Stage::Login, false, ways);
        }
        if !settled && let Some(state) = state() {
            settled = true;
            tell(Stage::Settled, false, state);
        }
        if login && settled {
            break;
        }
        // Asking on and on would disturb what the machine is for.
        if start.elapsed() < PATIENCE {
            thread::sleep(PAUSE);
            continue;
        }
        if !settled {
            let jobs = output("systemctl", &["list-jobs", "--no-legend", "--no-pager"]);
            let jobs = names(&jobs.unwrap_or_default(), 1);
            tell(Stage::Settled, true, format!("still starting: {jobs}"));
        }
        break;
    }
    match first_session(Path::new(SESSIONS)) {
        Ok(Some(who)) => tell(Stage::Session, false, who),
        Ok(None) => {}
        Err(error) => eprintln!("watching {SESSIONS}: {error}"),
    }
}

/// How one can log in, once systemd lets people in (pam_nologin(8)).
fn ways_in(root: &Path) -> Option<String> {
    if root.join("run/nologin").exists() {
        return None;
    }
    let listens = |table: &str| {
        let text = fs::read_to_string(root.join(table)).unwrap_or_default();
        text.lines().any(listens_for_ssh)
    };
    let mut ways = Vec::new();
    if listens("proc/net/tcp") || listens("proc/net/tcp6") {
        ways.push("ssh");
    }
    if runs(root, &["agetty", "mingetty", "getty", "login"]) {
        ways.push("console");
    }
    if runs(root, &["gdm", "gdm3", "lightdm", "sddm", "greetd", "ly"]) {
        ways.push("desktop");
    }
    (!ways.is_empty()).then(|| ways.join(", "))
}

/// Whether a line of `/proc/net/tcp` is a listening socket at port 22 (state 0A).
fn listens_for_ssh(line: &str) -> bool {
    let mut fields = line.split_ascii_whitespace().skip(1);
    fields.next().is_some_and(|local| local.ends_with(SSH)) && fields.nth(1) == Some("0A")
}

fn runs(root: &Path, programs: &[&str]) -> bool {
    let processes = fs::read_dir(root.join("proc")).into_iter().flatten();
    processes.flatten().any(|process| {
        let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
        programs.contains(&name.trim_end())
    })
}

/// systemd's state, once it has started what it was to start; with the units that failed.
fn state() -> Option<String> {
    let state = output("systemctl", &["is-system-running"])?;
    match state.trim() {
        "running" => Some("running".to_owned()),
        Stage::DEGRADED => {
            let words = ["list-units", "--failed", "--plain", "--no-legend"];
            let failed = output("systemctl", &words).unwrap_or_default();
            Some(degraded(&failed))
        }
        // initializing, starting, and what is on its way out.
        _ => None,
    }
}

/// The message of a system in which units failed, from `systemctl list-units --plain --no-legend`.
fn degraded(listing: &str) -> String {
    let count = listing
        .lines()
        .filter(|line| !line.trim().is_empty())
        .count();
    let units = if count == 1 { "unit" } else { "units" };
    format!(
        "{}, {count} {units} failed: {}",
        Stage::DEGRADED,
        names(listing, 0)
    )
}

/// Column `column` of a listing, bounded.
fn names(listing: &str, column: usize) -> String {
    let mut lines = listing.lines();
    let all: Vec<&str> = lines
        .by_ref()
        .filter_map(|line| line.split_ascii_whitespace().nth(column))
        .collect();
    let mut text = all[..all.len().min(MAX_NAMES)].join(", ");
    if all.len() > MAX_NAMES {
        text.push_str(&format!(" and {} more", all.len() - MAX_NAMES));
    }
    text
}

/// What a program of the image prints, whatever it ends with; `None` if it is not there.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let run = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    let mut bytes = run.ok()?.stdout;
    bytes.truncate(MAX_OUTPUT);
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Waits for the first person's session, and says who it is and from where. `None` where there is no
/// logind: then first logins are not told.
fn first_session(folder: &Path) -> io::Result<Option<String>> {
    if !folder.is_dir() {
        return Ok(None);
    }
    let watch = inotify::init(inotify::CreateFlags::CLOEXEC)?;
    // logind writes a session's file anew, beside it, and renames it.
    let changes = inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVED_TO;
    inotify::add_watch(&watch, folder, changes | inotify::WatchFlags::ONLYDIR)?;
    let mut others = HashSet::new();
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut events = inotify::Reader::new(&watch, &mut buffer);
    loop {
        for entry in fs::read_dir(folder)?.flatten() {
            let name = entry.file_name();
            if others.contains(&name) {
                continue;
            }
            match session(&name) {
                Session::Person(who) => return Ok(Some(who)),
                Session::Other => _ = others.insert(name),
                Session::Unknown => {}
            }
        }
        events.next()?;
        while !events.is_buffer_empty() {
            events.next()?;
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Session {
    /// Who, by what, from where.
    Person(String),
    /// A greeter, or a manager of services.
    Other,
    /// Gone, or not a session.
    Unknown,
}

fn session(id: &OsStr) -> Session {
    let id = id.to_string_lossy();
    // Beside the files there are FIFOs (`1.ref`) and files being written (`.#1XXXXXX`).
    if !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Session::Other;
    }
    let wanted = ["Name", "Service", "RemoteHost", "TTY", "Class"];
    let mut words = vec!["show-session", &*id];
    wanted.iter().for_each(|name| words.extend(["-p", name]));
    read_session(&output("loginctl", &words).unwrap_or_default())
}

/// Reads the properties that `loginctl show-session` prints.
fn read_session(text: &str) -> Session {
    let value = |name: &str| {
        let mut lines = text.lines();
        let found = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        found.filter(|value| !value.is_empty())
    };
    let (Some(name), Some(class)) = (value("Name"), value("Class")) else {
        return Session::Unknown;
    };
    if !class.starts_with("user") {
        return Session::Other;
    }
    let mut who = name.to_owned();
    if let Some(service) = value("Service") {
        who.push_str(&format!(" by {service}"));
    }
    if let Some(host) = value("RemoteHost") {
        who.push_str(&format!(" from {host}"));
    } else if let Some(tty) = value("TTY") {
        who.push_str(&format!(" on {tty}"));
    }
    Session::Person(who)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_units_are_named_and_not_all_of_them() {
        assert_eq!(
            degraded("foo.service loaded failed failed Foo\n"),
            "degraded, 1 unit failed: foo.service"
        );
        let many: String = (0..20)
            .map(|n| format!("u{n}.service loaded failed\n"))
            .collect();
        let said = degraded(&many);
        assert!(said.starts_with("degraded, 20 units failed: u0.service, "));
        assert!(said.ends_with("u11.service and 8 more"), "{said}");
    }

    #[test]
    fn a_listening_ssh_server_is_told_from_a_connection() {
        let listening = "   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000";
        assert!(listens_for_ssh(listening));
        assert!(!listens_for_ssh(&listening.replace("0A", "01")));
        assert!(!listens_for_ssh(&listening.replace(":0016 ", ":0035 ")));
        assert!(!listens_for_ssh("  sl  local_address rem_address   st"));
    }

    #[test]
    fn nobody_can_log_in_while_the_system_says_so() {
        let root = tempfile::tempdir().unwrap();
        let process = root.path().join("proc/7");
        fs::create_dir_all(&process).unwrap();
        assert_eq!(ways_in(root.path()), None);
        fs::write(process.join("comm"), "agetty\n").unwrap();
        assert_eq!(ways_in(root.path()).as_deref(), Some("console"));
        fs::create_dir(root.path().join("run")).unwrap();
        fs::write(root.path().join("run/nologin"), "booting").unwrap();
        assert_eq!(ways_in(root.path()), None);
    }

    #[test]
    fn a_person_is_told_from_a_greeter() {
        let person = "Name=alice\nService=sshd\nRemoteHost=192.168.67.200\nTTY=\nClass=user\n";
        assert_eq!(
            read_session(person),
            Session::Person("alice by sshd from 192.168.67.200".into())
        );
        let console = "Name=bob\nService=login\nRemoteHost=\nTTY=tty1\nClass=user\n";
        assert_eq!(
            read_session(console),
            Session::Person("bob by login on tty1".into())
        );
        let greeter = "Name=gdm\nClass=greeter\n";
        assert_eq!(read_session(greeter), Session::Other);
        assert_eq!(read_session(""), Session::Unknown);
        assert_eq!(session(OsStr::new(".#1abc")), Session::Other);
    }
}
