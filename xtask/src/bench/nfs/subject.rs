//! Who serves: each in a network of its own, all running for as long as the bench does.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use integration::roots::Root;
use integration::subject::{netbootd, peer::ganesha};
use integration::{Lab, Process, Server, Setup, succeed};

use crate::command::{cargo, run};
use crate::workspace;

/// Who serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Subject {
    /// Ours, with its defaults; the tree is what is in the image
    Netbootd,
    /// nfs-ganesha; the image is a file of a folder, the tree the folder that the image is made of
    Ganesha,
    /// A server of the crate nfsserve (examples/nfsserve.rs of netbootd), of the same two folders
    Nfsserve,
}

/// A server, running until this is dropped.
pub(super) struct Serving {
    processes: Vec<Process>,
    server: Option<Server>,
    pub(super) lab: Lab,
    pub(super) port: u16,
    pub(super) mount_port: u16,
    /// What to mount for the image, and its path below that.
    pub(super) image: (String, String),
    /// The image's length in bytes.
    pub(super) image_len: u64,
    /// What to mount for the tree.
    pub(super) tree: String,
}

/// The port of the server that nfsserve is.
const NFSSERVE_PORT: u16 = 2049;

impl Subject {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Netbootd => "netbootd",
            Self::Ganesha => "ganesha",
            Self::Nfsserve => "nfsserve",
        }
    }

    /// Builds what this subject needs and cargo can build.
    pub(super) fn build(self) -> Result<()> {
        if self != Self::Nfsserve {
            return Ok(());
        }
        run(&mut cargo([
            "build",
            "--profile=lab",
            "--package=netbootd",
            "--features=nfsserve",
            "--example=nfsserve",
        ]))
    }

    /// Starts it in a lab of its own.
    pub(super) fn start(self, root: &Root, congestion: Option<&str>) -> Result<Serving> {
        let lab = Lab::new(&format!("bench-nfs-{}", self.as_str()))?;
        lab.close_capture();
        if let Some(congestion) = congestion {
            let setting = format!("net.ipv4.tcp_congestion_control={congestion}");
            succeed(lab.command("sysctl")?.args(["-q", "-w", &setting]))?;
        }
        let image = image(root)?;
        let name = root.name;
        let mut serving = Serving {
            processes: Vec::new(),
            server: None,
            lab,
            port: 2049,
            mount_port: 2049,
            image: (format!("/images/{name}"), "root.squashfs".into()),
            image_len: fs::metadata(&image)?.len(),
            tree: format!("/roots/{name}"),
        };
        let lab = &serving.lab;
        match self {
            Self::Netbootd => {
                let setup = Setup {
                    image: Some(root),
                    ..Setup::default()
                };
                serving.server = Some(Server::netbootd(lab, &setup)?);
            }
            Self::Ganesha => {
                serving.processes = ganesha::start(lab, root, folder(&image)?)?.into();
                serving.mount_port = ganesha::MOUNT_PORT;
            }
            Self::Nfsserve => {
                serving.processes = vec![nfsserve(lab, &image, root)?];
                serving.port = NFSSERVE_PORT;
                serving.mount_port = NFSSERVE_PORT;
            }
        }
        Ok(serving)
    }
}

impl Serving {
    /// The process that is measured.
    pub(super) fn id(&mut self) -> Result<u32> {
        match &mut self.server {
            Some(server) => Ok(server.main().id()),
            None => Ok(self.processes.last().context("nothing runs")?.id()),
        }
    }
}

/// The image of a root, built once by this build of netbootd.
pub(super) fn image(root: &Root) -> Result<PathBuf> {
    let generations = netbootd::built_image(root)?.join(root.name);
    for entry in fs::read_dir(&generations)? {
        let entry = entry?;
        let image = entry.path().join("root.squashfs");
        // Not by the link to the current one: nfs-ganesha exports no links.
        if entry.file_type()?.is_dir() && image.exists() {
            return Ok(image);
        }
    }
    anyhow::bail!("no image in {}", generations.display())
}

fn folder(image: &Path) -> Result<&Path> {
    image.parent().context("an image without a folder")
}

/// The example, with the two folders under the names that the others give them.
fn nfsserve(lab: &Lab, image: &Path, root: &Root) -> Result<Process> {
    let program = workspace::target_dir().join("lab/examples/nfsserve");
    let address = format!("{}:{NFSSERVE_PORT}", Lab::SERVER);
    let mut command = lab.command(&program.display().to_string())?;
    command.arg(&address);
    command.arg(format!(
        "/images/{}={}",
        root.name,
        folder(image)?.display()
    ));
    command.arg(format!("/roots/{}={}", root.name, root.folder.display()));
    let mut process = Process::start(&mut command, &lab.folder().join("nfsserve.log"))?;
    process.until_printed("serving", Duration::from_secs(10))?;
    Ok(process)
}
