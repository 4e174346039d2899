//! The Linux kernel's NFS client, in a guest that only mounts and looks.

use std::path::Path;

use anyhow::Result;

use crate::lab::Lab;
use crate::machine::Machine;
use crate::place::tool;
use crate::roots::{Root, odd};
use crate::subject::peer::initrd;

const INIT: &str = include_str!("kernel-init.sh");

/// Distributions' own programs, which the guest runs besides busybox. klibc's is what
/// initramfs-tools mounts with, the other is dracut's.
const KLIBC: &str = "/usr/lib/klibc/bin/nfsmount";
const FILES: [&str; 2] = ["/etc/netconfig", "/etc/protocols"];

/// Switches on a machine at 192.168.67.100 that mounts `/roots/small` and the folders `odd` and
/// `signals` from the server, `/roots/small` from a peer, and judges what it sees. When it has read
/// what it wants, it reads on until there is a file `stop` in the folder `signals`; when there is
/// one called `changed`, the folder `odd` must be refused to it.
pub fn start(lab: &Lab, root: &Root, peer: &str) -> Result<Machine> {
    let tools = ["find", "mount.nfs"];
    let mut programs = tools.map(tool).into_iter().collect::<Result<Vec<_>>>()?;
    programs.push(KLIBC.into());
    programs.extend(FILES.map(Into::into));
    programs.extend(klibc_loader()?);
    let programs: Vec<&Path> = programs.iter().map(|path| path.as_path()).collect();
    let to = lab.folder().join("client.img");
    initrd::make_with(root, INIT, &initrd::MODULES, &programs, &to)?;
    let words = format!(
        "console=ttyS0 no_timer_check quiet lab.server={} lab.peer={peer} lab.many={}",
        Lab::SERVER,
        odd::MANY
    );
    Machine::with_kernel(lab, &root.kernel()?, &to, &words, 1024)
}

/// klibc's shared library, which is its programs' loader too and has a name of its own per build.
fn klibc_loader() -> Result<Vec<std::path::PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/lib")? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("klibc-") && name.ends_with(".so") {
            found.push(path.clone());
        }
    }
    anyhow::ensure!(!found.is_empty(), "package klibc-utils is not installed");
    Ok(found)
}
