//! nfs-ganesha, with rpcbind, as NFS server.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::lab::{Client, Lab};
use crate::process::{Process, ran, until};
use crate::roots::Root;

/// Where it answers MOUNT.
pub const MOUNT_PORT: u16 = 20048;

/// Exports the root as `/roots/<name>` and the folder of its image as `/images/<name>`, read-only,
/// and returns rpcbind and nfs-ganesha once they answer.
pub fn start(lab: &Lab, root: &Root, image: &Path) -> Result<[Process; 2]> {
    let server = |program: &str| lab.command(program);
    start_in(&server, lab.folder(), &text(root, image))
}

/// The same beside the server, on a machine of its own, for comparison with it; `folder` is for logs.
pub fn start_beside(client: &Client, folder: &Path, root: &Root) -> Result<[Process; 2]> {
    let command = |program: &str| client.command(program);
    start_in(&command, folder, &text(root, &root.folder))
}

/// A server of homes on a machine of its own: `/homes` is this folder, to be written to, over NFSv4 too.
pub fn start_homes(client: &Client, folder: &Path, homes: &Path) -> Result<[Process; 2]> {
    let text = format!(
        "NFS_CORE_PARAM {{ MNT_Port = {MOUNT_PORT}; Protocols = 3, 4; Enable_NLM = false; Enable_RQUOTA = false;\n\
         \x20   Plugins_Dir = /usr/lib/x86_64-linux-gnu/ganesha; }}\n\
         NFSV4 {{ Graceless = true; Only_Numeric_Owners = true; RecoveryBackend = fs; RecoveryRoot = /run/ganesha; }}\n\
         EXPORT {{ Export_Id = 1; Path = {}; Pseudo = /homes; Access_Type = RW; Squash = No_Root_Squash;\n\
         \x20   Protocols = 3, 4; Transports = TCP; SecType = sys; PrivilegedPort = false; FSAL {{ Name = VFS; }} }}\n",
        homes.display()
    );
    let command = |program: &str| client.command(program);
    ran(command("mkdir")?.args(["-p", "/run/ganesha"]))?;
    start_in(&command, folder, &text)
}

fn start_in(
    command: &dyn Fn(&str) -> Result<Command>,
    folder: &Path,
    text: &str,
) -> Result<[Process; 2]> {
    let mut rpcbind = command("rpcbind")?;
    rpcbind.args(["-f", "-w"]);
    let mut rpcbind = Process::start(&mut rpcbind, &folder.join("rpcbind.log"))?;
    // nfs-ganesha gives up where rpcbind does not answer at once.
    until(Duration::from_secs(10), "rpcbind to answer", || {
        rpcbind.must_run()?;
        let answer = ran(command("rpcinfo")?.args(["-u", "127.0.0.1", "portmapper", "2"]))?;
        Ok((answer.code == Some(0)).then_some(()))
    })?;
    let config = folder.join("ganesha.conf");
    fs::write(&config, text)?;
    let log = folder.join("ganesha.log");
    let mut ganesha = command("ganesha.nfsd")?;
    ganesha
        .args(["-F", "-N", "NIV_EVENT", "-L"])
        .arg(&log)
        .arg("-p");
    ganesha.arg("/run/ganesha.pid").arg("-f").arg(&config);
    let mut ganesha = Process::start(&mut ganesha, &folder.join("ganesha-output.log"))?;
    until(Duration::from_secs(30), "nfs-ganesha to answer", || {
        ganesha.must_run()?;
        let answer = ran(command("rpcinfo")?.args(["-t", "127.0.0.1", "mountd", "3"]))?;
        Ok((answer.code == Some(0)).then_some(()))
    })?;
    Ok([rpcbind, ganesha])
}

fn text(root: &Root, image: &Path) -> String {
    let mut text = format!(
        "NFS_CORE_PARAM {{ MNT_Port = {MOUNT_PORT}; Protocols = 3; mount_path_pseudo = true;\n\
         \x20   Enable_NLM = false; Enable_RQUOTA = false; Plugins_Dir = /usr/lib/x86_64-linux-gnu/ganesha; }}\n"
    );
    let exports = [("roots", root.folder.as_path()), ("images", image)];
    for (id, (folder, path)) in (1..).zip(exports) {
        text.push_str(&format!(
            "EXPORT {{ Export_Id = {id}; Path = {path}; Pseudo = /{folder}/{name};\n\
             \x20   Access_Type = RO; Squash = No_Root_Squash; Protocols = 3; Transports = TCP;\n\
             \x20   SecType = sys, none; PrivilegedPort = false; FSAL {{ Name = VFS; }} }}\n",
            path = path.display(),
            name = root.name,
        ));
    }
    text
}
