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
    pub(super) fn build(self, tree: &Path, image: &Path, compression: &str) -> Result<Cost> {
        let _ = std::fs::remove_file(image);
        // What was copied or built before is not written to the disk at this one's expense.
        rustix::fs::sync();
        let costs = image.with_extension("costs");
        let mut command = timed(&costs)?;
        let jobs = std::thread::available_parallelism()?.get().to_string();
        let (name, level) = compression.split_once(':').unwrap_or((compression, ""));
        match self {
            Self::Netbootd => {
                command.arg(workspace::target_dir().join("release/examples/squash"));
                command.arg(tree).arg(image);
                if !name.is_empty() {
                    command.arg(format!("compression={compression}"));
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
        finish(command, self.as_str(), &costs, image)
    }
}

/// The command `netbootd image build`, with the folders that it builds in.
pub(super) struct Whole {
    programs: PathBuf,
    state: PathBuf,
}

impl Whole {
    /// Nothing is built yet.
    pub(super) fn new(folder: &Path) -> Result<Self> {
        let state = folder.join("state");
        let _ = std::fs::remove_dir_all(&state);
        std::fs::create_dir_all(&state)?;
        let programs = crate::build::programs()?;
        Ok(Self { programs, state })
    }

    /// All of a build: the scan for secrets, kernel and initrd, the digests, publishing.
    pub(super) fn build(&self, tree: &Path, words: &[&str]) -> Result<Cost> {
        rustix::fs::sync();
        let costs = self.state.join("costs");
        let image = self.state.join("images/bench/current/root.squashfs");
        let mut command = timed(&costs)?;
        command.arg(self.programs.join("netbootd"));
        command.args(["image", "build", "--name", "bench", "--allow-secret", "**"]);
        command.arg("--state-dir").arg(&self.state);
        command.arg("--init").arg(self.programs.join("init"));
        command.args(words).arg(tree);
        finish(command, "netbootd image build", &costs, &image)
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.state);
    }
}

/// A command that time(1) measures, into this file.
fn timed(costs: &Path) -> Result<Command> {
    let mut command = Command::new(tool("time")?);
    command.args(["-f", "%e %U %S %M", "-o"]).arg(costs);
    Ok(command)
}

/// Runs it: what it cost, with the length of what it made.
fn finish(mut command: Command, name: &str, costs: &Path, made: &Path) -> Result<Cost> {
    let ran = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()?;
    if !ran.status.success() {
        let said = String::from_utf8_lossy(&ran.stderr);
        bail!("{name} failed: {said}");
    }
    let text = std::fs::read_to_string(costs)?;
    let figures: Vec<f64> = text
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    let [wall, user, system, kib] = figures[..] else {
        bail!("time(1) said {text:?}");
    };
    let metadata = std::fs::metadata(made).context("no image was made")?;
    std::fs::remove_file(costs)?;
    Ok(Cost {
        wall,
        cpu: user + system,
        rss: kib / 1024.0,
        bytes: metadata.len() as f64,
    })
}
