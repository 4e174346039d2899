//! Somebody at a workstation on the link, who logs in to machines by ssh.

use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail, ensure};

use crate::lab::{Client, Lab};
use crate::process::{ran, succeed, until};

/// A person's workstation on the link: asks our DNS, and has a key to log in with.
#[derive(Debug)]
pub struct Person<'a> {
    /// The lab that they are in.
    pub lab: &'a Lab,
    /// Their workstation.
    pub client: Client,
    key: PathBuf,
}

impl<'a> Person<'a> {
    /// The workstation's address.
    pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 168, 67, 200);

    /// Comes into the lab with a new key.
    pub fn new(lab: &'a Lab) -> Result<Self> {
        let client = lab.client()?;
        client.set_address(Self::ADDRESS)?;
        let resolv = lab.folder().join("resolv.conf");
        let text = format!("search lab.internal\nnameserver {}\n", Lab::SERVER);
        std::fs::write(&resolv, text)?;
        let mut mount = client.command("mount")?;
        succeed(mount.arg("--bind").arg(&resolv).arg("/etc/resolv.conf"))?;
        let key = lab.folder().join("key");
        keygen(lab, &key)?;
        Ok(Self { lab, client, key })
    }

    /// The line for `authorized_keys`.
    pub fn public_key(&self) -> Result<String> {
        let text = std::fs::read_to_string(self.key.with_extension("pub"))?;
        Ok(text.trim().to_owned())
    }

    /// ssh with the key, that trusts what is in `known_hosts`, and nothing else. `host` may name a user.
    pub fn ssh(&self, host: &str, known_hosts: &Path, words: &str) -> Result<Command> {
        let mut ssh = self.plain_ssh(known_hosts)?;
        ssh.arg("-i").arg(&self.key).args(["-o", "BatchMode=yes"]);
        ssh.arg(named(host)).arg(words);
        Ok(ssh)
    }

    /// The same with a password and no key.
    pub fn ssh_by_password(
        &self,
        host: &str,
        known_hosts: &Path,
        password: &str,
        words: &str,
    ) -> Result<Command> {
        let answer = self.lab.folder().join("askpass");
        std::fs::write(&answer, format!("#!/bin/sh\necho '{password}'\n"))?;
        std::fs::set_permissions(&answer, std::fs::Permissions::from_mode(0o755))?;
        let mut ssh = self.plain_ssh(known_hosts)?;
        ssh.env("SSH_ASKPASS", &answer);
        ssh.env("SSH_ASKPASS_REQUIRE", "force");
        for option in ["PubkeyAuthentication=no", "NumberOfPasswordPrompts=1"] {
            ssh.args(["-o", option]);
        }
        ssh.arg(named(host)).arg(words);
        Ok(ssh)
    }

    fn plain_ssh(&self, known_hosts: &Path) -> Result<Command> {
        let mut ssh = self.client.command("ssh")?;
        ssh.args(["-F", "none"]);
        for option in [
            "ConnectTimeout=20",
            "StrictHostKeyChecking=yes",
            "GlobalKnownHostsFile=/dev/null",
            &format!("UserKnownHostsFile={}", known_hosts.display()),
        ] {
            ssh.args(["-o", option]);
        }
        Ok(ssh)
    }

    /// Logs in by key, waiting for the ssh server to come up; nothing may be asked or warned of.
    pub fn logs_in(&self, host: &str, known_hosts: &Path, words: &str) -> Result<String> {
        until(Duration::from_secs(120), &format!("ssh to {host}"), || {
            let tried = ran(&mut self.ssh(host, known_hosts, words)?)?;
            let waits = ["refused", "timed out", "not known", "resolve", "closed"];
            match tried.code {
                Some(0) => {
                    ensure!(tried.errors.is_empty(), "ssh says: {}", tried.errors);
                    Ok(Some(tried.text))
                }
                _ if waits.iter().any(|wait| tried.errors.contains(wait)) => Ok(None),
                _ => bail!("ssh {host}: {}", tried.everything()),
            }
        })
    }
}

/// Alice, where nobody is named.
fn named(host: &str) -> String {
    if host.contains('@') {
        host.to_owned()
    } else {
        format!("alice@{host}")
    }
}

/// Makes an ed25519 key without a passphrase.
pub fn keygen(lab: &Lab, file: &Path) -> Result<()> {
    let mut keygen = lab.command("ssh-keygen")?;
    keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]);
    succeed(keygen.arg(file)).map(|_| ())
}
