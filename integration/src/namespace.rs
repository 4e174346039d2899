//! A network namespace without a name.
//!
//! It is held by a shell that waits for the end of its input, which we hold: when this is dropped,
//! and when we die of whatever, the shell kills everything that runs in the namespace, and the
//! kernel takes the namespace and its interfaces. (A death signal from the kernel alone would not
//! do: a program that changes its user, as dnsmasq does, loses it.)
//!
//! A mount namespace goes with it: its own `/sys` (which shows the namespace's interfaces) and its
//! own empty `/run`, because a socket file there would reach servers outside the lab.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::place::tool;
use crate::process::succeed;

/// A network (and mount) namespace, gone when this is dropped or when the process ends.
#[derive(Debug)]
pub struct Namespace {
    holder: Child,
}

/// What the holder does. It outlives Ctrl-C, which reaches everybody in the terminal, to clean up.
const HOLD: &str = r#"
trap '' INT TERM HUP
mount -t tmpfs tmpfs /run && mount -t sysfs sysfs /sys && ip link set lo up && echo ready && cat
# net:[4026531840], and the brackets would be a pattern to find.
own=$(readlink /proc/self/ns/net | tr '[]' '??')
for each in $(find /proc -maxdepth 3 -path '/proc/[0-9]*/ns/net' -lname "$own" 2>/dev/null); do
    process=${each#/proc/}
    process=${process%/ns/net}
    [ "$process" = $$ ] || kill -KILL "$process" 2>/dev/null
done
"#;

impl Namespace {
    /// A fresh one, its loopback interface up and nothing else in it.
    pub fn new() -> Result<Self> {
        if !rustix::process::geteuid().is_root() {
            bail!("the lab makes network namespaces, and so needs root");
        }
        let mut holder = Command::new(tool("unshare")?)
            .args(["--net", "--mount", "--propagation", "private"])
            .args(["sh", "-c", HOLD])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start unshare")?;
        let mut said = String::new();
        if let Some(stdout) = holder.stdout.take() {
            BufReader::new(stdout).read_line(&mut said)?;
        }
        let namespace = Self { holder };
        if said.trim() != "ready" {
            bail!("this machine does not let us make a network namespace (see the lines above)");
        }
        Ok(namespace)
    }

    /// The process that holds it; `nsenter --target ID --net --mount` looks inside.
    pub fn holder(&self) -> u32 {
        self.holder.id()
    }

    /// A command that runs inside, and is killed with the thread that starts it.
    pub fn command(&self, program: &str) -> Result<Command> {
        let program = if program.starts_with('/') {
            program.into()
        } else {
            tool(program)?
        };
        let mut command = Command::new("/usr/bin/nsenter");
        command
            .arg("--target")
            .arg(self.holder.id().to_string())
            .args(["--net", "--mount", "--", "setpriv", "--pdeathsig", "KILL"])
            .arg(program);
        Ok(command)
    }

    /// Runs `ip` inside with these words.
    pub fn ip(&self, words: &str) -> Result<()> {
        succeed(self.command("ip")?.args(words.split_whitespace()))?;
        Ok(())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}
