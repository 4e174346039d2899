//! `netbootd image`: builds images.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use anyhow::Context;
use clap::{Args, Subcommand};
use image::initrd::find_init;
use image::{BuildOptions, build};
use model::ImageName;

/// Builds images; needs no running daemon.
#[derive(Debug, Args)]
pub struct ImageCommand {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Makes an image of a folder and publishes it
    Build {
        /// The image's name
        #[arg(long)]
        name: ImageName,
        /// The client's init [default: beside this program, or /usr/lib/netbootd/init]
        #[arg(long)]
        init: Option<PathBuf>,
        /// Folder with the root file system
        source: PathBuf,
    },
}

/// Does what was asked.
pub fn run(command: ImageCommand, state_dir: &Path) -> anyhow::Result<()> {
    let What::Build { name, init, source } = command.what;
    let exe = std::env::current_exe().ok();
    let init = find_init(init.as_deref(), exe.as_deref()).context("the client's init program")?;
    let published = build(
        &BuildOptions::new(name, &source, state_dir, &init),
        &(),
        &AtomicBool::new(false),
    )?;
    println!("{}@{}", published.name, published.generation);
    Ok(())
}
