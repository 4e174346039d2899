//! The ssh host key: made here at every boot, signed by the server, gone with the machine's memory; or, by choice, kept
//! in the machine's firmware.
//!
//! Only the public key crosses the network. What stays the same over boots is the name in the
//! certificate, so whoever trusts the server's authority is never asked and never warned.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use model::BootArguments;

use crate::firmware_key::{self, FirmwareKey};
use crate::modules::Modules;
use crate::unpack::small_text;
use crate::{ask, console, say, sshd, unpack};

/// The kind of key that every ssh client of the last ten years knows. One is enough, and each
/// more would cost a boot as long.
const KEY: &str = "etc/ssh/ssh_host_ed25519_key";
const CERTIFICATE: &str = "etc/ssh/ssh_host_ed25519_key-cert.pub";
const KNOWN_HOSTS: &str = "etc/ssh/ssh_known_hosts";

/// An ssh host key being made, or the public half of one that is kept.
pub(crate) struct HostKey {
    child: Option<Child>,
    /// Where the key is to be kept.
    keep: Option<FirmwareKey>,
}

impl HostKey {
    /// Starts the image's own `ssh-keygen` when the image has an ssh server and neither it nor
    /// the overlay brings keys. Images are scrubbed of theirs, because all clients would share
    /// them.
    pub(crate) fn start(root: &Path, modules: &Modules) -> Self {
        let folder = root.join("etc/ssh");
        let names = fs::read_dir(&folder).into_iter().flatten().flatten();
        let has_keys = names
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .any(|name| name.starts_with("ssh_host_") && name.ends_with("_key"));
        let program = root.join("usr/bin/ssh-keygen");
        let wanted = folder.is_dir() && !has_keys && fs::symlink_metadata(program).is_ok();
        if !wanted {
            return Self {
                child: None,
                keep: None,
            };
        }
        let keep = firmware_key::of(root, modules);
        match keep.as_ref().and_then(FirmwareKey::read) {
            Some(kept) if taken_over(root, &kept) => Self {
                child: None,
                keep: None,
            },
            _ => Self {
                child: keygen(root, &["-q", "-t", "ed25519", "-N", ""])
                    .spawn()
                    .inspect_err(|error| say!("ssh-keygen did not start: {error}"))
                    .ok(),
                keep,
            },
        }
    }

    /// Waits for it. Without a key the machine still boots; only ssh to it does not work.
    pub(crate) fn finish(self, root: &Path) {
        let Some(child) = self.child else { return };
        match console::patiently("waiting for ssh-keygen", || child.wait_with_output()) {
            Ok(output) if output.status.success() => {
                if let Some((keep, key)) = self.keep.zip(small_text(root, KEY)) {
                    keep.write(&key);
                }
            }
            Ok(output) => say!("no ssh host key: ssh-keygen {}", ending(&output)),
            Err(error) => say!("no ssh host key: {error}"),
        }
    }
}

/// Takes over a key that was kept. One that is damaged is said, and goes.
fn taken_over(root: &Path, key: &str) -> bool {
    let made = unpack::secret(root, KEY, key).and_then(|()| {
        let output = keygen(root, &["-y"]).output();
        let output = output.map_err(|error| format!("ssh-keygen did not start: {error}"))?;
        match String::from_utf8(output.stdout.clone()) {
            Ok(public) if output.status.success() => {
                unpack::text(root, &format!("{KEY}.pub"), &public)
            }
            _ => Err(format!("ssh-keygen {}", ending(&output))),
        }
    });
    if let Err(reason) = &made {
        say!("the ssh host key in the firmware is no key: {reason}; another one is made");
        // ssh-keygen would ask whether to write over it.
        let _ = fs::remove_file(root.join(KEY));
    }
    made.is_ok()
}

fn ending(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    format!("ended with {}: {}", output.status, said.trim())
}

/// This very program, asked to run `ssh-keygen` inside the new root, for the key.
fn keygen(root: &Path, words: &[&str]) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command
        .arg("in-root")
        .arg(root)
        .arg("/usr/bin/ssh-keygen")
        .args(words)
        .arg("-f")
        .arg(format!("/{KEY}"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Has the server sign the host key that is there, made now or brought by the overlay, and tells the
/// image's ssh server. Without it the machine boots all the same, and ssh asks whether to trust it.
pub(crate) fn certify(arguments: &BootArguments, root: &Path) {
    let Some(key) = small_text(root, &format!("{KEY}.pub")) else {
        return;
    };
    let done =
        ask::server(arguments, ("host-key", "key"), key).and_then(|answer| install(root, &answer));
    if let Err(reason) = done {
        say!("no ssh host certificate: {reason}");
    }
}

fn install(root: &Path, answer: &str) -> Result<(), String> {
    let mut lines = answer.lines();
    let certificate = lines
        .next()
        .filter(|line| line.starts_with("ssh-ed25519-cert-v01@openssh.com "))
        .ok_or("the server's answer is no certificate")?;
    let mut files = vec![(CERTIFICATE, format!("{certificate}\n"))];
    if let Some(line) = lines.next() {
        // So that the clients trust each other as whoever installed the line trusts them.
        let known = small_text(root, KNOWN_HOSTS).unwrap_or_default();
        files.push((KNOWN_HOSTS, with_line(known, line)));
    }
    files
        .iter()
        .try_for_each(|(path, text)| unpack::text(root, path, text))?;
    sshd::tell(root, &format!("HostCertificate /{CERTIFICATE}\n"))
}

fn with_line(mut text: String, line: &str) -> String {
    if !text.lines().any(|old| old == line) {
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(line);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const CERT: &str = "ssh-ed25519-cert-v01@openssh.com AAAA pc1";

    fn installed() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        install(root.path(), &format!("{CERT}\n@cert-authority * key\n")).unwrap();
        root
    }

    fn read(root: &tempfile::TempDir, path: &str) -> Option<String> {
        fs::read_to_string(root.path().join(path)).ok()
    }

    #[test]
    fn the_certificate_and_what_trusts_others_are_installed() {
        let root = installed();
        assert_eq!(read(&root, CERTIFICATE), Some(format!("{CERT}\n")));
        let known = read(&root, KNOWN_HOSTS);
        assert_eq!(known.as_deref(), Some("@cert-authority * key\n"));
        let told = read(&root, "etc/ssh/sshd_config.d/10-netbootd.conf").unwrap();
        assert!(told.starts_with("HostCertificate /etc/ssh/"), "{told}");
    }

    #[test]
    fn an_answer_that_is_no_certificate_changes_nothing() {
        let root = tempfile::tempdir().unwrap();
        assert!(install(root.path(), "<html>\n").is_err());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }
}
