//! The peer: what an operator has today, in netbootd's place. dnsmasq for DHCP, TFTP and DNS,
//! nfs-ganesha for NFS, busybox for HTTP, and an initrd made of busybox.
//!
//! It has the same names on the wire as netbootd (`/roots/<name>`, `/images/<name>/…`), so that a
//! test that passes with both is a test of the wire.

pub mod dnsmasq;
pub mod ganesha;
pub mod initrd;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::{RootKind, Server, Setup};
use crate::lab::Lab;
use crate::place;
use crate::process::{Process, succeed};
use crate::roots::Root;

/// What the peer's only generation of every image is called.
const GENERATION: &str = "00000000000000000000000000000000";

pub(super) fn start(lab: &Lab, setup: &Setup<'_>) -> Result<Server> {
    let files = lab.folder().join("peer");
    fs::create_dir_all(files.join("boot"))?;
    fs::create_dir_all(files.join("loader"))?;
    for loader in ["undionly.kpxe", "snponly.efi", "ipxe.efi"] {
        fs::copy(Path::new("/usr/lib/ipxe").join(loader), files.join(loader))?;
        fs::copy(files.join(loader), files.join("loader").join(loader))?;
    }
    let mut processes = Vec::new();
    if let Some(root) = setup.image {
        let image = publish(root, &files)?;
        let script = script(root, setup);
        fs::write(files.join("boot.ipxe"), &script)?;
        // netbootd has a script for each client; the lab's machines are few.
        for member in 1..=8 {
            let name = format!("boot/52-54-00-67-00-{member:02x}.ipxe");
            fs::write(files.join(name), &script)?;
        }
        processes.extend(ganesha::start(lab, root, &image)?);
    }
    processes.push(start_httpd(lab, &files)?);
    processes.push(dnsmasq::start(lab, setup, &files)?);
    Ok(Server {
        processes,
        mount_port: ganesha::MOUNT_PORT,
        subject: "peer",
    })
}

/// Puts kernel, initrd and squashfs of this root where HTTP serves them; returns the folder that
/// NFS exports as `/images/<name>`.
fn publish(root: &Root, files: &Path) -> Result<PathBuf> {
    let folder = files.join("images").join(root.name);
    if folder.exists() {
        return Ok(folder);
    }
    let squashfs = squashfs(root)?;
    let generation = folder.join(GENERATION);
    fs::create_dir_all(&generation)?;
    fs::copy(root.kernel()?, generation.join("vmlinuz"))?;
    initrd::make(
        root,
        initrd::INIT,
        &initrd::MODULES,
        &generation.join("initrd.img"),
    )?;
    fs::hard_link(&squashfs, generation.join("root.squashfs"))?;
    symlink(
        Path::new(GENERATION).join("root.squashfs"),
        folder.join("root.squashfs"),
    )?;
    Ok(folder)
}

/// The root as a squashfs, made once by mksquashfs.
fn squashfs(root: &Root) -> Result<PathBuf> {
    let images = place::lab().join("images");
    fs::create_dir_all(&images)?;
    let lock = fs::File::create(images.join(format!("peer-{}.lock", root.name)))?;
    lock.lock()?;
    let squashfs = images.join(format!("peer-{}.squashfs", root.name));
    let older = |a: &Path, b: &Path| -> Result<bool> {
        Ok(fs::metadata(a)?.modified()? < fs::metadata(b)?.modified()?)
    };
    if !squashfs.exists() || older(&squashfs, &root.folder)? {
        let unfinished = images.join(format!("peer-{}.unfinished", root.name));
        succeed(
            Command::new(place::tool("mksquashfs")?)
                .arg(&root.folder)
                .arg(&unfinished)
                .args(["-noappend", "-no-progress", "-quiet"])
                .args(["-comp", "zstd", "-Xcompression-level", "3"]),
        )?;
        fs::rename(unfinished, &squashfs)?;
    }
    Ok(squashfs)
}

/// What iPXE runs.
fn script(root: &Root, setup: &Setup<'_>) -> String {
    let source = format!("http://{}/images/{}/{GENERATION}", Lab::SERVER, root.name);
    let name = root.name;
    let from = match setup.root {
        RootKind::Image => format!("peer.nfs=/images/{name} peer.file=root.squashfs"),
        RootKind::Tree => format!("peer.nfs=/roots/{name}"),
        RootKind::Ram => format!("peer.url={source}/root.squashfs"),
    };
    format!(
        "#!ipxe\nkernel {source}/vmlinuz initrd=initrd.img peer.server={} {from} {}\n\
         initrd {source}/initrd.img\nboot\n",
        Lab::SERVER,
        setup.kernel_words(ganesha::MOUNT_PORT),
    )
}

/// Serves the files of this folder over HTTP.
pub fn start_httpd(lab: &Lab, files: &Path) -> Result<Process> {
    let mut httpd = lab.command("busybox")?;
    httpd
        .args(["httpd", "-f", "-p", &format!("{}:80", Lab::SERVER), "-h"])
        .arg(files);
    Process::start(&mut httpd, &lab.folder().join("httpd.log"))
}
