//! `netbootd image`: builds, lists and inspects images. Needs no running daemon; one that runs
//! sees what is published here.

mod progress;
mod show;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, anyhow, bail};
use clap::{Args, Subcommand};
use image::BuildOptions;
use image::catalogue::{Catalogue, Generation, Image};
use image::initrd::{Drivers, find_init};
use image::squash::Compression;
use indicatif::HumanBytes;
use model::{GenerationId, ImageName};

/// Images: what clients boot.
#[derive(Debug, Args)]
pub struct ImageCommand {
    /// Where images are kept [default: state_dir of the configuration]
    #[arg(long, global = true, value_name = "DIR")]
    state_dir: Option<PathBuf>,

    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Makes an image of a Linux system in a folder, and lets new boots have it
    Build(Build),
    /// Shows the images and their generations
    List {
        /// As JSON, one manifest for each generation
        #[arg(long)]
        json: bool,
    },
    /// Shows what an image is made of
    Inspect {
        /// The image, and the generation if not the current one (its first digits will do)
        #[arg(value_name = "NAME[@GENERATION]")]
        image: String,
        /// As JSON
        #[arg(long)]
        json: bool,
        /// Reads every file again and compares it with its checksum
        #[arg(long)]
        verify: bool,
    },
    /// Lets new boots have the previous generation, or the one that is named
    Rollback {
        /// The image, and the generation if not the previous one (its first digits will do)
        #[arg(value_name = "NAME[@GENERATION]")]
        image: String,
    },
}

#[derive(Debug, Args)]
struct Build {
    /// The root folder of the system; / is the running one
    source: PathBuf,
    /// Name of the image [default: the folder's name; for / the machine's architecture]
    #[arg(long)]
    name: Option<ImageName>,
    /// The kernel: a version, a path in the source, or either with * [default: the newest]
    #[arg(long)]
    kernel: Option<String>,
    /// Drivers of network cards, separated by commas; fewer make a boot quicker
    #[arg(long, default_value = "all")]
    drivers: Drivers,
    /// zstd, gzip, xz (with :LEVEL if you like), lz4 or none [default: zstd:9]
    #[arg(long, value_parser = compression)]
    compression: Option<Compression>,
    /// The program that starts a client [default: beside netbootd, or /usr/lib/netbootd/init]
    #[arg(long, value_name = "PATH")]
    init: Option<PathBuf>,
}

/// Does what was asked. `state_dir` is the configuration's; `--state-dir` overrides it.
pub fn run(command: ImageCommand, state_dir: &Path) -> anyhow::Result<()> {
    let state_dir = command.state_dir.unwrap_or_else(|| state_dir.to_owned());
    let catalogue = Catalogue::open(&state_dir);
    match command.action {
        Action::Build(build) => run_build(build, &state_dir),
        Action::List { json } => show::list(&catalogue, json),
        Action::Inspect {
            image,
            json,
            verify,
        } => show::inspect(&catalogue, &image, json, verify),
        Action::Rollback { image } => rollback(&catalogue, &image),
    }
}

fn run_build(build: Build, state_dir: &Path) -> anyhow::Result<()> {
    let name = match build.name {
        Some(name) => name,
        None => default_name(&build.source)?,
    };
    let exe = std::env::current_exe().ok();
    let init = find_init(build.init.as_deref(), exe.as_deref())?;
    let mut options = BuildOptions::new(name, &build.source, state_dir, &init);
    options.kernel = build.kernel;
    options.drivers = build.drivers;
    options.compression = build.compression;

    if !rustix::process::geteuid().is_root() {
        eprintln!("netbootd: not run by root, so what only root can read stops the build");
    }
    // Clients that this machine serves come first.
    let _ = rustix::process::nice(5);
    let stop = stop_on_signals()?;
    let progress = progress::Shown::new();
    let result = image::build(&options, &progress, &stop);
    progress.done();
    let published = result?;

    let manifest = &published.manifest;
    let files = &manifest.files;
    print(&format!(
        "{}@{} is {}\n  kernel {} {}\n  initrd {}\n  root   {} of {} files, {} before compression\n",
        published.name,
        published.generation.short(),
        match published.known {
            true => "what it was: the source has not changed",
            false => "published; new boots get it",
        },
        manifest.kernel.version,
        HumanBytes(files.kernel.bytes),
        manifest.initrd,
        HumanBytes(files.root.bytes),
        manifest.root.files,
        HumanBytes(manifest.root.file_bytes),
    ))
}

/// `/` is named after the machine's architecture, as LTSP does; another folder after itself.
fn default_name(source: &Path) -> anyhow::Result<ImageName> {
    let source = source
        .canonicalize()
        .with_context(|| format!("cannot open the source {}", source.display()))?;
    let name = match source.file_name() {
        Some(name) => name.to_string_lossy().into_owned(),
        None => rustix::system::uname()
            .machine()
            .to_string_lossy()
            .into_owned(),
    };
    name.parse()
        .map_err(|error| anyhow!("{name:?} cannot name the image, use --name: {error}"))
}

fn compression(text: &str) -> Result<Compression, String> {
    let (name, level) = match text.split_once(':') {
        Some((name, level)) => (name, Some(level)),
        None => (text, None),
    };
    let level = |default: u8, allowed: std::ops::RangeInclusive<u8>| match level {
        None => Ok(default),
        Some(level) => level
            .parse()
            .ok()
            .filter(|level| allowed.contains(level))
            .ok_or_else(|| {
                let (first, last) = (allowed.start(), allowed.end());
                format!("the level of {name} is {first} to {last}")
            }),
    };
    match (name, text.contains(':')) {
        ("zstd", _) => Ok(Compression::Zstd {
            level: level(9, 1..=22)?,
        }),
        ("gzip", _) => Ok(Compression::Gzip {
            level: level(6, 1..=12)?,
        }),
        ("xz", _) => Ok(Compression::Xz {
            level: level(6, 0..=9)?,
        }),
        ("lz4", false) => Ok(Compression::Lz4),
        ("none", false) => Ok(Compression::None),
        _ => Err("use zstd, gzip or xz (with :LEVEL if you like), lz4 or none".to_owned()),
    }
}

/// Becomes true at Ctrl-C or SIGTERM, so that the build can end without leaving anything.
fn stop_on_signals() -> anyhow::Result<Arc<AtomicBool>> {
    use tokio::signal::unix::{SignalKind, signal};

    let stop = Arc::new(AtomicBool::new(false));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot listen for signals")?;
    let flag = Arc::clone(&stop);
    let (mut interrupt, mut terminate) = {
        let _guard = runtime.enter();
        (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        )
    };
    std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            flag.store(true, Ordering::Relaxed);
        });
    });
    Ok(stop)
}

fn rollback(catalogue: &Catalogue, wanted: &str) -> anyhow::Result<()> {
    let (name, generation) = parse_wanted(wanted)?;
    let now = match generation {
        None => catalogue.rollback(&name)?,
        Some(digits) => {
            let id = generation_of(&catalogue.image(&name)?, digits)?.id;
            catalogue.set_current(&name, id)?;
            id
        }
    };
    let now = GenerationId::short(now);
    print(&format!(
        "{name}@{now} is current: new boots get it, running clients keep theirs\n"
    ))
}

/// `NAME` or `NAME@DIGITS`.
fn parse_wanted(wanted: &str) -> anyhow::Result<(ImageName, Option<&str>)> {
    let (name, generation) = match wanted.split_once('@') {
        Some((name, generation)) => (name, Some(generation)),
        None => (wanted, None),
    };
    let name = name.parse().map_err(|error| anyhow!("{name:?}: {error}"))?;
    Ok((name, generation))
}

/// The only generation whose id begins with `digits`.
fn generation_of<'a>(image: &'a Image, digits: &str) -> anyhow::Result<&'a Generation> {
    let begins = |g: &&Generation| g.id.to_string().starts_with(digits);
    let found: Vec<_> = image.generations.iter().filter(begins).collect();
    match &found[..] {
        [one] => Ok(one),
        [] => bail!("{} has no generation {digits}", image.name),
        _ => bail!(
            "{} generations of {} begin with {digits:?}",
            found.len(),
            image.name
        ),
    }
}

/// Like `print!`, but a reader that went away (`| head`) is no reason to panic.
fn print(text: &str) -> anyhow::Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compression_is_a_name_with_an_optional_level() {
        assert_eq!(compression("zstd"), Ok(Compression::Zstd { level: 9 }));
        assert_eq!(compression("gzip:1"), Ok(Compression::Gzip { level: 1 }));
        assert_eq!(compression("lz4"), Ok(Compression::Lz4));
        for bad in ["", "lzo", "zstd:0", "zstd:x", "lz4:1", "xz:10"] {
            assert!(compression(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_image_is_named_after_its_folder_and_the_running_system_after_its_processor() {
        assert_eq!(
            default_name(Path::new("/usr/lib/")).unwrap().as_str(),
            "lib"
        );
        let machine = rustix::system::uname()
            .machine()
            .to_string_lossy()
            .into_owned();
        assert_eq!(default_name(Path::new("/")).unwrap().as_str(), machine);
        assert!(default_name(Path::new("/nowhere")).is_err());
    }

    #[test]
    fn a_generation_is_named_after_an_at_sign() {
        let (name, generation) = parse_wanted("demo@12ab").unwrap();
        assert_eq!((name.as_str(), generation), ("demo", Some("12ab")));
        assert_eq!(parse_wanted("demo").unwrap().1, None);
        assert!(parse_wanted("../etc").is_err());
    }
}
