//! Checking a password at the server, and the home that comes with it. PAM runs this (pam_exec(8)).
//!
//! The image's own ssh asks the server, whose host key it knows; the server's sshd decides. The password
//! is in our memory and in pipes, never in an argument, a variable or a file, and nothing logs it.

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::{self, PipeWriter, Read, Seek, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::MemfdFlags;
use rustix::mount::UnmountFlags;

use crate::people::{self, Person};

/// PAM tells at most this many bytes of a password (PAM_MAX_RESP_SIZE).
const MAX_PASSWORD: u64 = 512;
/// How long ssh may take, network and all. Its own limit is 10 s for the connection.
const LIMIT: Duration = Duration::from_secs(45);
/// How long to wait at a logout for the last files to be closed.
const CLOSING: Duration = Duration::from_secs(10);
const SSH_CONFIG: &str = "/etc/netbootd/ssh_config";
const SSHFS: &str = "/usr/bin/sshfs";
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
/// Tells this program, run by ssh, where the password can be read once.
const ASKPASS: &str = "NETBOOTD_ASKPASS";
/// What ssh says of a wrong password.
const DENIED: &str = "Permission denied";

/// Why somebody does not get in.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Refusal {
    /// The password is not theirs.
    Wrong,
    /// It could not be found out.
    Unknown(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wrong => f.write_str("the server refuses the password"),
            Self::Unknown(reason) => f.write_str(reason),
        }
    }
}

/// Checks the password on standard input for the person that PAM names, and mounts their home. What they
/// should know goes to standard output, which PAM shows to them.
pub(crate) fn run() -> ExitCode {
    match admit() {
        Ok(()) => ExitCode::SUCCESS,
        Err(Refusal::Wrong) => ExitCode::FAILURE,
        Err(Refusal::Unknown(reason)) => {
            println!("Passwords cannot be checked now: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn admit() -> Result<(), Refusal> {
    let name = std::env::var("PAM_USER").unwrap_or_default();
    let person = people::find(|person| person.name == name)
        .ok_or_else(|| Refusal::Unknown(format!("`{name}` is not of the server")))?;
    let password = password(io::stdin().lock()).map_err(|_| Refusal::Wrong)?;
    ask_server(&person, &password)?;
    if people::homes_come_at_login() && rustix::process::geteuid().is_root() {
        let mounted = turn(person.uid)
            .map_err(failed)
            .and_then(|_turn| mount(&person, &password));
        if let Err(reason) = mounted {
            println!("Your home is not mounted: {reason}");
        }
    }
    Ok(())
}

/// What PAM writes: the password, and a zero byte.
fn password(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(MAX_PASSWORD).read_to_end(&mut bytes)?;
    let end = bytes.iter().position(|&byte| byte == 0);
    bytes.truncate(end.unwrap_or(bytes.len()));
    if bytes.is_empty() || bytes.contains(&b'\n') {
        return Err(io::Error::other("no password, or more than a line"));
    }
    bytes.push(b'\n');
    Ok(bytes)
}

/// One login or logout of a person at a time.
fn turn(uid: u32) -> io::Result<File> {
    let file = File::create(format!("/run/netbootd/home-{uid}.lock"))?;
    file.lock()?;
    Ok(file)
}

/// Mounts a person's home. sshfs keeps the password, to come back when the server was away.
fn mount(person: &Person, password: &[u8]) -> Result<(), Refusal> {
    if people::is_mounted(&person.home) {
        return Ok(());
    }
    if !Path::new(SSHFS).exists() {
        return Err(Refusal::Unknown(format!("the image has no {SSHFS}")));
    }
    // Whoever runs us may be gone before the session is, and would take sshfs with it.
    let mut sshfs = program("systemd-run");
    sshfs.args(["--scope", "--quiet", "--collect", "--description"]);
    sshfs.arg(format!("Home of {}", person.name));
    sshfs.args([SSHFS, "-F", SSH_CONFIG, "-o"]);
    sshfs.arg("password_stdin,reconnect,allow_other,default_permissions,nosuid,nodev");
    sshfs
        .arg(format!("{}@server:", person.name))
        .arg(&person.home);
    let (reader, writer) = io::pipe().map_err(failed)?;
    fill(writer, password).map_err(failed)?;
    sshfs.stdin(reader);
    ended_well(sshfs)
}

/// Whether the server's sshd lets the person in. It starts its file server, which ends at once.
fn ask_server(person: &Person, password: &[u8]) -> Result<(), Refusal> {
    let (reader, writer) = io::pipe().map_err(failed)?;
    fill(writer, password).map_err(failed)?;
    let mut ssh = program("ssh");
    ssh.args([
        "-F",
        SSH_CONFIG,
        "-T",
        "-s",
        "-l",
        &person.name,
        "server",
        "sftp",
    ]);
    ssh.env("SSH_ASKPASS", "/run/netbootd/client");
    ssh.env("SSH_ASKPASS_REQUIRE", "force");
    // ssh closes all files that it was not to have: whom it asks for the password comes back to us.
    let place = format!("/proc/{}/fd/{}", std::process::id(), reader.as_raw_fd());
    ssh.env(ASKPASS, place).stdin(Stdio::null());
    ended_well(ssh)
}

/// If ssh runs this program to be told the password, tells it.
pub(crate) fn askpass() -> Option<io::Result<()>> {
    let place = std::env::var_os(ASKPASS)?;
    Some(tell(&place))
}

fn tell(place: &OsStr) -> io::Result<()> {
    let mut password = Vec::new();
    let pipe = File::open(place)?;
    pipe.take(MAX_PASSWORD + 1).read_to_end(&mut password)?;
    io::stdout().write_all(&password)
}

/// Fits a pipe as a whole, so nobody needs to read meanwhile.
fn fill(mut pipe: PipeWriter, password: &[u8]) -> io::Result<()> {
    pipe.write_all(password)
}

fn program(name: &str) -> Command {
    let mut command = Command::new(name);
    command.env_clear().env("PATH", PATH).env("LC_ALL", "C");
    command.current_dir("/");
    command
}

fn failed(error: io::Error) -> Refusal {
    Refusal::Unknown(error.to_string())
}

/// Runs it to its end. What it says goes into memory, not into a pipe: what it leaves running would
/// hold that open.
fn ended_well(mut command: Command) -> Result<(), Refusal> {
    let said = rustix::fs::memfd_create("said", MemfdFlags::CLOEXEC);
    let mut said = File::from(said.map_err(|error| failed(error.into()))?);
    command.stdout(Stdio::null());
    command.stderr(said.try_clone().map_err(failed)?);
    let child = command.spawn().map_err(failed)?;
    if wait(child).map_err(failed)? {
        return Ok(());
    }
    let mut text = Vec::new();
    said.rewind().map_err(failed)?;
    said.take(4096).read_to_end(&mut text).map_err(failed)?;
    Err(refusal(&String::from_utf8_lossy(&text)))
}

fn wait(mut child: Child) -> io::Result<bool> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.success());
        }
        if start.elapsed() > LIMIT {
            child.kill()?;
            child.wait()?;
            return Err(io::Error::other("the server does not answer"));
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Reads what ssh says on its errors.
fn refusal(said: &str) -> Refusal {
    if said.contains(DENIED) {
        return Refusal::Wrong;
    }
    let last = said.lines().rev().find(|line| !line.trim().is_empty());
    let last = last.unwrap_or("ssh to the server failed").trim();
    Refusal::Unknown(last.to_owned())
}

/// After the last session of the account with this number: gives its home back to the server. One that
/// is still in use by somebody stays.
pub(crate) fn logout(uid: &str) -> Result<(), String> {
    let uid: u32 = uid.parse().map_err(|_| "a user's number is missing")?;
    let Some(person) = people::find(|person| person.uid == uid) else {
        return Ok(());
    };
    let _turn = turn(uid).map_err(|error| error.to_string())?;
    let start = Instant::now();
    while people::is_mounted(&person.home) {
        if let Err(error) = rustix::mount::unmount(&*person.home, UnmountFlags::empty()) {
            if start.elapsed() > CLOSING {
                return Err(format!("{} stays mounted: {error}", person.home));
            }
            thread::sleep(Duration::from_millis(250));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_what_stands_before_the_zero_byte() {
        assert_eq!(password(&b"secret\0"[..]).unwrap(), b"secret\n");
        assert_eq!(password(&b"secret"[..]).unwrap(), b"secret\n");
        for bad in [&b""[..], b"\0", b"two\nlines\0"] {
            assert!(password(bad).is_err());
        }
        let long = vec![b'x'; 10_000];
        assert!(password(&long[..]).unwrap().len() <= 513);
    }

    #[test]
    fn a_wrong_password_is_told_from_a_server_that_cannot_be_asked() {
        let wrong = "alice@192.168.67.1: Permission denied (publickey,password).\n";
        assert_eq!(refusal(wrong), Refusal::Wrong);
        let away = "ssh: connect to host 192.168.67.1 port 22: Connection refused\r\n\n";
        let Refusal::Unknown(reason) = refusal(away) else {
            panic!("{away}");
        };
        assert!(reason.ends_with("Connection refused"));
    }
}
