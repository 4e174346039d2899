//! A server with people: accounts with passwords and homes, and an ssh server.
//!
//! It is another Debian in a chroot of the lab's own, so that no account is made on this machine. What
//! netbootd reads of its own machine (`/etc/passwd`, `/etc/group`, `/etc/ssh`) is that Debian's, inside of
//! the lab.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::lab::Lab;
use crate::process::{Process, succeed, until};
use crate::roots::Root;

/// The server's people and its sshd.
#[derive(Debug)]
pub struct People<'a> {
    lab: &'a Lab,
    root: PathBuf,
    /// The ssh server, until a test stops it.
    pub sshd: Option<Process>,
}

impl<'a> People<'a> {
    /// Makes the server's Debian out of `root`, with these accounts: name, number, password.
    pub fn new(lab: &'a Lab, root: &Root, accounts: &[(&str, u32, &str)]) -> Result<Self> {
        let memory = lab.folder().join("people");
        std::fs::create_dir_all(&memory)?;
        let at = |name: &str| memory.join(name).display().to_string();
        let (upper, work, merged) = (at("upper"), at("work"), at("root"));
        let run = |words: &[&str]| succeed(lab.command(words[0])?.args(&words[1..]));
        run(&[
            "mount",
            "-t",
            "tmpfs",
            "tmpfs",
            &memory.display().to_string(),
        ])?;
        run(&["mkdir", &upper, &work, &merged])?;
        let layers = format!(
            "lowerdir={},upperdir={upper},workdir={work}",
            root.folder.display()
        );
        run(&["mount", "-t", "overlay", "overlay", "-o", &layers, &merged])?;
        let people = Self {
            lab,
            root: merged.into(),
            sshd: None,
        };
        for (name, uid, password) in accounts {
            let uid = uid.to_string();
            people.run(&["useradd", "-m", "-s", "/bin/bash", "-u", &uid, name])?;
            people.set_password(name, password)?;
        }
        people.run(&["ssh-keygen", "-A"])?;
        people.run(&["mkdir", "-p", "/run/sshd"])?;
        for path in ["/etc/passwd", "/etc/group", "/etc/ssh"] {
            let theirs = format!("{}{path}", people.root.display());
            run(&["mount", "--bind", &theirs, path])?;
        }
        for path in ["/dev", "/proc"] {
            let theirs = format!("{}{path}", people.root.display());
            run(&["mount", "--rbind", path, &theirs])?;
        }
        Ok(people)
    }

    /// A command on the server.
    pub fn command(&self, words: &[&str]) -> Result<Command> {
        let mut command = self.lab.command("chroot")?;
        command.arg(&self.root).args(words);
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        Ok(command)
    }

    /// What a command on the server prints; it must succeed.
    pub fn run(&self, words: &[&str]) -> Result<String> {
        Ok(succeed(&mut self.command(words)?)?.text)
    }

    /// Gives an account another password.
    pub fn set_password(&self, name: &str, password: &str) -> Result<()> {
        let mut chpasswd = self.command(&["chpasswd"])?.stdin(Stdio::piped()).spawn()?;
        if let Some(mut input) = chpasswd.stdin.take() {
            writeln!(input, "{name}:{password}")?;
        }
        ensure!(chpasswd.wait()?.success(), "chpasswd {name}");
        Ok(())
    }

    /// Starts sshd and waits until it listens.
    pub fn start_sshd(&mut self, log: &Path) -> Result<()> {
        let words = [
            "/usr/sbin/sshd",
            "-D",
            "-e",
            "-o",
            "UsePAM=no",
            "-o",
            "LogLevel=VERBOSE",
        ];
        let mut sshd = Process::start(&mut self.command(&words)?, log)?;
        let listens = "Server listening on 0.0.0.0";
        sshd.until_printed(listens, Duration::from_secs(20))?;
        self.sshd = Some(sshd);
        Ok(())
    }

    /// Ends sshd and everybody's connections, as a restart of the machine would.
    pub fn stop_sshd(&mut self) -> Result<()> {
        let Some(mut sshd) = self.sshd.take() else {
            return Ok(());
        };
        let sessions = sessions(&sshd)?;
        sshd.stop(Duration::from_secs(5))?;
        for session in sessions.split_whitespace() {
            // Some have ended with it.
            let _ = self
                .lab
                .command("kill")?
                .args(["-KILL", session])
                .output()?;
        }
        Ok(())
    }

    /// Waits until nobody has a connection any more.
    pub fn until_nobody_is_connected(&self, limit: Duration) -> Result<()> {
        until(limit, "the last session to end on the server", || {
            let sessions = self.sshd.as_ref().map(sessions).transpose()?;
            Ok(sessions.is_none_or(|them| them.is_empty()).then_some(()))
        })
    }

    /// Waits until a command on the server prints `text`.
    pub fn until_prints(&self, words: &[&str], text: &str, limit: Duration) -> Result<()> {
        let what = format!("{words:?} on the server to print {text:?}");
        until(limit, &what, || {
            let output = self.command(words)?.output()?;
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            Ok(said.contains(text).then_some(()))
        })
    }
}

/// The processes of an ssh server's connections.
fn sessions(sshd: &Process) -> Result<String> {
    let children = format!("/proc/{0}/task/{0}/children", sshd.id());
    Ok(std::fs::read_to_string(children)?.trim().to_owned())
}
