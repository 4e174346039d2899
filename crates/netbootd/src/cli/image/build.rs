//! `image build`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, anyhow, bail};
use clap::Args;
use config::Config;
use image::BuildOptions;
use image::catalogue::Catalogue;
use image::initrd::{Drivers, find_init};
use image::scrub::{Action, Pattern, Rule, Rules};
use image::source::{SourceKind, Unreadable};
use image::squash::Compression;
use indicatif::HumanBytes;
use model::ImageName;

use super::{keep, preview, print, progress};
use crate::cli::runs::wait_for_quiet;
use crate::images::Images;
use crate::{overlay, people};

#[derive(Debug, Args)]
pub(super) struct Build {
    /// What the system is in: a folder (/ is the running one), a tar archive (- is the standard input), the raw
    /// disk of a virtual machine, a squashfs, a live medium, an image of a container; each further one lies over
    /// those before it
    #[arg(required = true, value_name = "SOURCE")]
    sources: Vec<PathBuf>,
    /// What the first source is, where its content does not tell: directory, tar, disk, squashfs, iso or oci
    #[arg(long)]
    kind: Option<SourceKind>,
    /// Takes in what is mounted at this path of the source (other mounts are left out); may be repeated
    #[arg(long, value_name = "PATH")]
    with_mount: Vec<PathBuf>,
    /// The root partition of a disk, where it has several that could be
    #[arg(long, value_name = "NUMBER")]
    partition: Option<u32>,
    /// Builds at once, though a machine measures a run (see `netbootd runs`)
    #[arg(long)]
    now: bool,
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
    /// Leaves this out as well, a path or a pattern with * and **; may be repeated
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
    /// Drops a rule (see `image rules`), or keeps what a pattern names; may be repeated
    #[arg(long, value_name = "RULE|PATTERN")]
    keep: Vec<String>,
    /// Keeps the accounts in the login range, without their passwords
    #[arg(long)]
    keep_users: bool,
    /// Publishes although this file holds a secret; a path or a pattern, may be repeated
    #[arg(long, value_name = "PATTERN")]
    allow_secret: Vec<String>,
    /// Goes on without files that cannot be read
    #[arg(long)]
    skip_unreadable: bool,
    /// Does not read files that were not written to since the last build, as their times say: quicker still. For a
    /// folder on a local disk; what a program writes through a memory mapping may be missed until the next change
    #[arg(long)]
    trust_times: bool,
    /// Says what would go into the image and what would not; writes nothing
    #[arg(long)]
    dry_run: bool,
    /// The program that starts a client [default: beside netbootd, or /usr/lib/netbootd/init]
    #[arg(long, value_name = "PATH")]
    init: Option<PathBuf>,
}

/// Builds and publishes, or with `--dry-run` says what that would do.
pub(super) fn run(build: Build, state_dir: &Path, config: &Config) -> anyhow::Result<()> {
    if !build.now && !build.dry_run {
        wait_for_quiet(&config.control_socket);
    }
    let name = match build.name {
        Some(name) => name,
        None => default_name(&build.sources[0])?,
    };
    let exe = std::env::current_exe().ok();
    let init = match (build.dry_run, build.init) {
        (true, init) => init.unwrap_or_default(), // nothing is packed
        (false, init) => find_init(init.as_deref(), exe.as_deref())?,
    };
    let settings = config.images.get(&name);
    let verity = settings.and_then(|image| image.verity);
    let mut options = BuildOptions::new(name, &build.sources[0], state_dir, &init);
    options.verity = verity;
    options.overlays = build.sources[1..].to_vec();
    options.source_options.kind = build.kind;
    options.source_options.partition = build.partition;
    options.source_options.mounts = build.with_mount;
    options.kernel = build.kernel;
    options.drivers = build.drivers;
    options.compression = build.compression;
    options.trust_times = build.trust_times;
    let scrub = &config.scrub;
    let exclude = [scrub.exclude.as_slice(), &build.exclude].concat();
    let keep = [scrub.keep.as_slice(), &build.keep].concat();
    options.rules = rules(&exclude, &keep, build.keep_users)?;
    options.allow_secrets =
        patterns(&[scrub.allow_secrets.as_slice(), &build.allow_secret].concat())?;
    if build.skip_unreadable {
        options.source_options.unreadable = Unreadable::Skip;
    }

    if !rustix::process::geteuid().is_root() {
        eprintln!("netbootd: not run by root, so what only root can read stops the build");
    }
    // Clients that this machine serves come first.
    let _ = rustix::process::nice(5);
    let stop = stop_on_signals()?;
    let progress = progress::Shown::new();
    if build.dry_run {
        let seen = image::preview(&options, &progress, &stop);
        progress.done();
        return print(&preview::described(&seen?)?);
    }
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
    ))?;
    let (images, _) = Images::open(config)?;
    if let Some(made) = images.generation(&published.name, published.generation) {
        let has = |path: &str| overlay::exists(&made.root.archive, path);
        let version = &manifest.kernel.version;
        let builtin = overlay::text_of(made, &format!("lib/modules/{version}/modules.builtin"))?;
        let fuse = people::has_fuse(version, &builtin, has);
        for problem in people::lacks(config, fuse, has) {
            eprintln!("warning: {problem}");
        }
    }
    if manifest.root.reused_blocks > 0 {
        let unread = match manifest.root.unread_files {
            0 => String::new(),
            unread => format!("; {unread} of {} files were not read", manifest.root.files),
        };
        print(&format!(
            "  reused {} of {} blocks of the generation before{unread}\n",
            manifest.root.reused_blocks, manifest.root.blocks
        ))?;
    }
    print(&keep::retain(
        &Catalogue::open(state_dir),
        &published.name,
        config,
    ))
}

/// `/` is named after the machine's architecture, as LTSP does; another folder after itself, a file after itself
/// without its endings.
fn default_name(source: &Path) -> anyhow::Result<ImageName> {
    if source.as_os_str() == "-" {
        bail!("the standard input has no name: name the image with --name");
    }
    let source = source
        .canonicalize()
        .with_context(|| format!("cannot open the source {}", source.display()))?;
    let name = match source.file_name() {
        Some(name) if source.is_dir() => name.to_string_lossy().into_owned(),
        Some(name) => {
            let name = name.to_string_lossy();
            let (stem, _) = name.split_once('.').unwrap_or((&name, ""));
            stem.to_owned()
        }
        None => rustix::system::uname()
            .machine()
            .to_string_lossy()
            .into_owned(),
    };
    name.parse()
        .map_err(|error| anyhow!("{name:?} cannot name the image, use --name: {error}"))
}

/// The built-in rules and what was asked for on top of them.
fn rules(exclude: &[String], keep: &[String], keep_users: bool) -> anyhow::Result<Rules> {
    let mut rules = Rules::standard();
    if keep_users {
        rules = rules.without("login-users");
    }
    for (list, name, action) in [
        (exclude, "excluded", Action::LeaveOut),
        (keep, "kept", Action::Keep),
    ] {
        for text in list {
            match rules.named(text) {
                Some((_, true)) => {
                    bail!("the rule {text} always holds: see `netbootd image rules`")
                }
                Some((_, false)) if action == Action::Keep => rules = rules.without(text),
                _ => {
                    let pattern = text.trim_matches('/');
                    rules = rules.with(Rule::new(name, "asked for", action, &[pattern])?);
                }
            }
        }
    }
    Ok(rules)
}

fn patterns(texts: &[String]) -> anyhow::Result<Vec<Pattern>> {
    let parse = |text: &String| Ok(text.trim_matches('/').parse()?);
    texts.iter().map(parse).collect()
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
        assert!(default_name(Path::new("-")).is_err());
        let folder = tempfile::tempdir().unwrap();
        let archive = folder.path().join("debian-13.tar.zst");
        std::fs::write(&archive, "").unwrap();
        assert_eq!(default_name(&archive).unwrap().as_str(), "debian-13");
    }

    #[test]
    fn a_rule_is_dropped_by_name_and_a_path_is_kept_or_excluded() {
        let with = |exclude: &str, keep: &str| {
            let list = |text: &str| {
                text.split_whitespace()
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            };
            rules(&list(exclude), &list(keep), false)
        };
        let kept = with("/opt/games", "homes etc/fstab").unwrap();
        assert!(kept.named("homes").is_none());
        let names: Vec<_> = kept.iter().map(|rule| &*rule.name).collect();
        assert!(
            names.contains(&"excluded") && names.contains(&"kept"),
            "{names:?}"
        );
        let error = with("", "machine-id").unwrap_err().to_string();
        assert!(error.contains("always holds"), "{error}");
        assert!(with("../etc", "").is_err());
    }
}
