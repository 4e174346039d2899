//! A network namespace without a name.
//!
//! It is held by one sleeping process that the kernel kills with us, so no clean-up can be missed.
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

const HOLD: &str = "mount -t tmpfs tmpfs /run && mount -t sysfs sysfs /sys \
                    && ip link set lo up && echo ready && exec sleep infinity";

impl Namespace {
    /// A fresh one, its loopback interface up and nothing else in it.
    pub fn new() -> Result<Self> {
        if !rustix::process::geteuid().is_root() {
            bail!("the lab makes network namespaces, and so needs root");
        }
        let mut holder = Command::new(tool("setpriv")?)
            .args(["--pdeathsig", "KILL", "unshare", "--net", "--mount"])
            .args(["--propagation", "private", "sh", "-c", HOLD])
            .stdin(Stdio::null())
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
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
