//! `cargo xtask demo`: the README's first command. From a bare Debian with Rust to the login prompt
//! of a machine that has no disk, in one lab that leaves nothing behind but files in `target/`.

use std::time::Instant;

use anyhow::{Result, bail};
use integration::roots::{self, Root};
use integration::subject::netbootd;
use integration::{Mode, RootKind};

use crate::boot::{Boot, FirmwareName};
use crate::command::run;
use crate::{build, packages, workspace};

/// What `cargo xtask demo` can be told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Which firmware the machine has
    #[arg(default_value = "uefi")]
    firmware: FirmwareName,
}

/// Installs, builds, makes a root and an image of it, serves it, boots it.
pub(crate) fn all(arguments: &Arguments) -> Result<()> {
    let start = Instant::now();
    if !workspace::is_root() {
        bail!("the demo makes a network of its own on this machine, and so needs root");
    }
    step("1. Packages from Debian");
    packages::install(&packages::missing(packages::DEMO.iter()))?;

    step("2. netbootd, and the init of its clients");
    build::programs()?;

    step("3. A Debian to boot: systemd, openssh-server, a kernel; nothing of ours in it");
    let Root { folder, .. } = roots::full()?;
    println!("{}", folder.display());

    step("4. Its image");
    let root = Root {
        name: "demo",
        folder,
    };
    let images = netbootd::build_image(&root, run)?;
    println!("{}", images.join(root.name).display());

    step("5. A machine without a disk, and netbootd, on a network of their own");
    let boot = Boot {
        firmware: arguments.firmware.into(),
        mode: Mode::Full,
        root: RootKind::Image,
        stay: false,
    };
    boot.of(&root)?;
    println!("the whole demo: {} s", start.elapsed().as_secs());
    Ok(())
}

fn step(text: &str) {
    println!("\n== {text}");
}
