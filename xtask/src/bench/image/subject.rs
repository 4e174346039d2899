//! Who makes the image.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use integration::place::tool;

use crate::command::{cargo, run};
use crate::workspace;

/// Who makes the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Subject {
    /// Ours
    Netbootd,
    /// squashfs-tools
    Mksquashfs,
    /// squashfs-tools-ng
    Gensquashfs,
}

/// What netbootd does with files' times.
#[derive(Clone, Copy)]
pub(super) enum Times<'a> {
    /// Nothing.
    Ignored,
    /// They are written beside the image.
    Remembered,
    /// Those of this image are trusted.
    Of(&'a Path),
}

/// Where the times are that were written beside an image.
pub(super) fn times(image: &Path) -> PathBuf {
    image.with_extension("times")
}

/// What one image cost.
pub(super) struct Cost {
    /// Seconds.
    pub(super) wall: f64,
    /// Seconds of all processors, the kernel's on its behalf among them.
    pub(super) cpu: f64,
    /// The most memory that it had at once, MiB.
    pub(super) rss: f64,
    /// Length of the image.
    pub(super) bytes: f64,
}

/// Builds ours, with the profile that is released.
pub(super) fn build() -> Result<()> {
    run(&mut cargo([
        "build",
        "--release",
        "--package",
        "image",
        "--example",
        "squash",
    ]))
}

impl Subject {
    pub(super) const ALL: [Self; 3] = [Self::Netbootd, Self::Mksquashfs, Self::Gensquashfs];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Netbootd => "netbootd",
            Self::Mksquashfs => "mksquashfs",
            Self::Gensquashfs => "gensquashfs",
        }
    }

    /// Makes an image of `tree`. `compression` is `name:level`, or empty for what it does by itself.
    pub(super) fn build(
        self,
        tree: &Path,
        image: &Path,
        compression: &str,
        previous: Option<&Path>,
        trusted: Times<'_>,
    ) -> Result<Cost> {
        let _ = std::fs::remove_file(image);
        // What was copied or built before is not written to the disk at this one's expense.
        rustix::fs::sync();
        let costs = image.with_extension("costs");
        let mut command = Command::new(tool("time")?);
        command.args(["-f", "%e %U %S %M", "-o"]).arg(&costs);
        let jobs = std::thread::available_parallelism()?.get().to_string();
        let (name, level) = compression.split_once(':').unwrap_or((compression, ""));
        match self {
            Self::Netbootd => {
                command.arg(workspace::target_dir().join("release/examples/squash"));
                command.arg(tree).arg(image);
                if !name.is_empty() {
                    command.arg(format!("compression={compression}"));
                }
                if let Some(previous) = previous {
                    command.arg(format!("previous={}", previous.display()));
                }
                match trusted {
                    Times::Ignored => {}
                    Times::Remembered => {
                        command.arg(format!("remember={}", times(image).display()));
                    }
                    Times::Of(image) => {
                        command.arg(format!("trusted={}", times(image).display()));
                    }
                }
            }
            Self::Mksquashfs => {
                command.arg(tool("mksquashfs")?).arg(tree).arg(image);
                command.args(["-noappend", "-no-progress", "-quiet", "-processors", &jobs]);
                if !name.is_empty() {
                    command.args(["-comp", name]);
                }
                if !level.is_empty() {
                    command.args(["-Xcompression-level", level]);
                }
            }
            Self::Gensquashfs => {
                command
                    .arg(tool("gensquashfs")?)
                    .arg("--pack-dir")
                    .arg(tree);
                command.args(["--keep-time", "--quiet", "--num-jobs", &jobs]);
                if !name.is_empty() {
                    command.args(["--compressor", name]);
                }
                if !level.is_empty() {
                    command.args(["--comp-extra", &format!("level={level}")]);
                }
                command.arg(image);
            }
        }
        let ran = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .output()?;
        if !ran.status.success() {
            let said = String::from_utf8_lossy(&ran.stderr);
            bail!("{} failed: {said}", self.as_str());
        }
        let text = std::fs::read_to_string(&costs)?;
        std::fs::remove_file(&costs)?;
        let figures: Vec<f64> = text
            .split_whitespace()
            .map(str::parse)
            .collect::<Result<_, _>>()?;
        let [wall, user, system, kib] = figures[..] else {
            bail!("time(1) said {text:?}");
        };
        let metadata = std::fs::metadata(image).context("no image was made")?;
        Ok(Cost {
            wall,
            cpu: user + system,
            rss: kib / 1024.0,
            bytes: metadata.len() as f64,
        })
    }
}
