//! showmount, rpcinfo, and libnfs's `nfs-ls`, `nfs-cat` and `nfs-cp`.

use std::process::Command;

use anyhow::Result;

use crate::lab::{Client, Lab};
use crate::process::{Ran, ran, succeed};

/// What `showmount --exports` lists, as paths.
pub fn exports(client: &Client) -> Result<Vec<String>> {
    let server = Lab::SERVER.to_string();
    let said = succeed(
        client
            .command("showmount")?
            .args(["--no-headers", "--exports", &server]),
    )?;
    let paths = said
        .text
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    Ok(paths.map(str::to_owned).collect())
}

/// What `rpcinfo -p` lists: program number, version, protocol, port.
pub fn programs(client: &Client) -> Result<Vec<(u32, u32, String, u16)>> {
    let server = Lab::SERVER.to_string();
    let said = succeed(client.command("rpcinfo")?.args(["-p", &server]))?;
    let row = |line: &str| {
        let mut words = line.split_whitespace();
        Some((
            words.next()?.parse().ok()?,
            words.next()?.parse().ok()?,
            words.next()?.to_owned(),
            words.next()?.parse().ok()?,
        ))
    };
    Ok(said.text.lines().filter_map(row).collect())
}

/// The file's bytes, by `nfs-cat`.
pub fn cat(client: &Client, path: &str) -> Result<Vec<u8>> {
    Ok(succeed(client.command("nfs-cat")?.arg(url(path)))?.stdout)
}

/// The names in a folder, by `nfs-ls`.
pub fn ls(client: &Client, path: &str) -> Result<Vec<String>> {
    let said = succeed(client.command("nfs-ls")?.arg(url(path)))?;
    let names = said
        .text
        .lines()
        .filter_map(|line| line.split_whitespace().last());
    Ok(names.map(str::to_owned).collect())
}

/// Tries `nfs-cat`, whatever comes of it.
pub fn try_cat(client: &Client, path: &str) -> Result<Ran> {
    ran(client.command("nfs-cat")?.arg(url(path)))
}

/// Tries to copy a file of this machine to the server, by `nfs-cp`.
pub fn try_write(client: &Client, path: &str) -> Result<Ran> {
    let command: &mut Command = &mut client.command("nfs-cp")?;
    ran(command.arg("/etc/os-release").arg(url(path)))
}

fn url(path: &str) -> String {
    format!("nfs://{}{path}?version=3", Lab::SERVER)
}
