//! Four TFTP clients: tftp-hpa, atftp, curl and busybox.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use crate::lab::{Client, Lab};
use crate::process::{Ran, ran};

/// A TFTP client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// tftp-hpa: no options, 512-byte blocks.
    Hpa,
    /// atftp: block size and window size.
    Atftp,
    /// curl: block size.
    Curl,
    /// busybox: block size.
    Busybox,
}

impl Tool {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Hpa, Self::Atftp, Self::Curl, Self::Busybox];
}

/// What came of a fetch: the file's bytes, or the client's words for why not.
#[derive(Debug)]
pub enum Fetched {
    /// The whole file.
    File(Vec<u8>),
    /// The client gave up and says this.
    Refused(String),
}

/// Fetches a file from the lab's server.
pub fn fetch(lab: &Lab, client: &Client, tool: Tool, file: &str) -> Result<Fetched> {
    let to = lab.folder().join(format!("fetched-{tool:?}"));
    let _ = fs::remove_file(&to);
    let answer = ran(&mut command(client, tool, file, &to)?)?;
    // tftp-hpa ends with 0 whatever happened, so what it printed counts.
    let failed = answer.code != Some(0) || answer.everything().contains("Error code");
    Ok(if failed {
        Fetched::Refused(answer.everything())
    } else {
        Fetched::File(fs::read(&to)?)
    })
}

fn command(client: &Client, tool: Tool, file: &str, to: &PathBuf) -> Result<Command> {
    let server = Lab::SERVER.to_string();
    let mut command = client.command(match tool {
        Tool::Hpa => "tftp",
        Tool::Atftp => "atftp",
        Tool::Curl => "curl",
        Tool::Busybox => "busybox",
    })?;
    match tool {
        Tool::Hpa => {
            command
                .args(["-m", "binary", &server, "-c", "get", file])
                .arg(to);
        }
        Tool::Atftp => {
            command.args(["--option", "blksize 1428", "--option", "windowsize 8"]);
            command
                .args(["--get", "--remote-file", file, "--local-file"])
                .arg(to)
                .arg(server);
        }
        Tool::Curl => {
            command.args([
                "--silent",
                "--show-error",
                "--path-as-is",
                "--max-time",
                "60",
            ]);
            command.args(["--tftp-blksize", "1428", "--output"]).arg(to);
            command.arg(format!("tftp://{server}/{file}"));
        }
        Tool::Busybox => {
            command
                .args(["tftp", "-b", "1428", "-g", "-r", file, "-l"])
                .arg(to)
                .arg(server);
        }
    }
    Ok(command)
}

/// Tries to write a file to the server; returns what the client says. Fails if it was taken.
pub fn put(lab: &Lab, client: &Client, name: &str) -> Result<String> {
    let from = lab.folder().join("to-put");
    fs::write(&from, "written by a client\n")?;
    let server = Lab::SERVER.to_string();
    let mut command = client.command("tftp")?;
    command
        .args(["-m", "binary", &server, "-c", "put"])
        .arg(&from)
        .arg(name);
    let Ran { text, errors, .. } = ran(&mut command)?;
    let said = format!("{text}{errors}");
    if !said.contains("Error code") {
        bail!("the server took a file: {said}");
    }
    Ok(said)
}
