//! A key of five minutes, with which a command has the root of machines that run do one thing.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, anyhow, ensure};
use boot::RootTask;

use super::client::post;
use crate::identity::{Applied, ApplyOrder};

/// A key made for this command alone, in a folder that goes with it.
pub(super) struct Keys {
    folder: PathBuf,
    public: String,
}

impl Keys {
    /// Makes it.
    pub(super) fn make() -> anyhow::Result<Self> {
        // A name that nobody can take before us.
        let name = getrandom::u64().map_err(|error| anyhow!("no random name: {error}"))?;
        let folder = std::env::temp_dir().join(format!("netbootd-root-{name:016x}"));
        DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
        let mut keys = Self {
            folder,
            public: String::new(),
        };
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "netbootd", "-f"])
            .arg(keys.at("key"))
            .stdin(Stdio::null())
            .status()
            .context("ssh-keygen (of Debian's openssh-client) makes the key")?;
        ensure!(made.success(), "ssh-keygen ended with {made}");
        keys.public = fs::read_to_string(keys.at("key.pub"))?;
        Ok(keys)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The command that has the machine's root do this task.
    pub(super) fn ssh(
        &self,
        machine: &str,
        task: RootTask,
        socket: &Path,
    ) -> anyhow::Result<(Applied, Command)> {
        let order = ApplyOrder {
            client: machine.to_owned(),
            key: self.public.clone(),
            task,
        };
        let applied: Applied = post(socket, "/apply", &order)?;
        fs::write(self.at("key-cert.pub"), &applied.certificate)?;
        fs::write(self.at("known_hosts"), format!("{}\n", applied.known_hosts))?;
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "none", "-T", "-i"]).arg(self.at("key"));
        for option in [
            "BatchMode=yes",
            "ConnectTimeout=10",
            "ServerAliveInterval=10",
            "IdentitiesOnly=yes",
            "StrictHostKeyChecking=yes",
            "UpdateHostKeys=no",
            "GlobalKnownHostsFile=/dev/null",
            &format!("UserKnownHostsFile={}", self.at("known_hosts").display()),
        ] {
            ssh.args(["-o", option]);
        }
        // What runs there, the certificate says.
        ssh.arg(format!("root@{}", applied.address)).arg("netbootd");
        Ok((applied, ssh))
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}
