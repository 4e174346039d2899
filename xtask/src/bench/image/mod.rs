//! `cargo xtask bench image`: seconds, processor seconds, peak memory and bytes of a root image, beside
//! mksquashfs and gensquashfs, all on every processor with 128 KiB blocks.
//!
//! | case | netbootd | mksquashfs | gensquashfs |
//! |---|---|---|---|
//! | `root_default` | as it comes: zstd 9 | as it comes: gzip 9 | as it comes: xz |
//! | `root_gzip` | gzip 6 of libdeflate | gzip 9 of zlib | gzip 9 of zlib |
//! | `root_zstd9`, `root_zstd15` | the same level | the same level | the same level |
//! | `root_lz4` | lz4 | lz4 | lz4 |
//! | `small_files` | zstd 9 | zstd 9 | zstd 9 |
//! | `rebuild` | zstd 9, after one file in a hundred changed | zstd 9 | zstd 9 |
//!
//! `rebuild_times` is `rebuild` by netbootd with `--trust-times`, which reads only what was written to.
//!
//! The root is `--root`, or the lab's own; `small_files` is a made tree of 200 000 files. netbootd is its
//! writer with everything that a build does to files: it looks for secrets, hashes blocks, and
//! digests the image. The rebuilds have two rows more: `first_s`, what the first build of that
//! tree cost, and `times_faster`.
//!
//! The tree is read once before anything is timed; images are written beside it and removed.

mod subject;
mod trees;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use integration::roots;

use self::subject::{Cost, Subject, Times};
use super::rows::Rows;
use crate::workspace;

/// What `cargo xtask bench image` can be told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How often each subject builds; the rows are medians
    #[arg(long, default_value_t = 1)]
    rounds: u32,
    /// Only cases whose name begins so; all otherwise
    #[arg(long, default_value = "")]
    case: String,
    /// Only this subject; all otherwise
    #[arg(long)]
    subject: Option<Subject>,
    /// The root to make images of, read only [default: the lab's own]
    #[arg(long)]
    root: Option<PathBuf>,
    /// Write the rows to this file too, as one JSON object
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Name, and what each subject compresses with; nothing is what it does by itself.
const CASES: [(&str, [&str; 3]); 7] = [
    ("root_default", ["", "", ""]),
    ("root_gzip", ["gzip:6", "gzip:9", "gzip:9"]),
    ("root_zstd9", ["zstd:9"; 3]),
    ("root_zstd15", ["zstd:15"; 3]),
    ("root_lz4", ["lz4"; 3]),
    ("small_files", ["zstd:9"; 3]),
    ("rebuild", ["zstd:9"; 3]),
];

/// Builds every case `--rounds` times with each subject, in turn, and prints the rows.
pub(crate) fn measure(arguments: &Arguments) -> Result<()> {
    subject::build()?;
    let folder = workspace::target_dir().join("bench-image");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    let mut rows = Rows::default();
    let cases = CASES
        .iter()
        .filter(|(case, _)| case.starts_with(&arguments.case));
    let mut measured = false;
    for (case, settings) in cases {
        measured = true;
        let tree = match *case {
            "small_files" => trees::small_files(&folder)?,
            "rebuild" => trees::copy(&root(arguments)?, &folder)?,
            _ => root(arguments)?,
        };
        trees::warm(&tree)?;
        for round in 1..=arguments.rounds {
            // All subjects see the tree that changed; only ours has use for an image of it as it was.
            let mut before = None;
            if *case == "rebuild" {
                before = Some(first(&tree, &folder)?);
                trees::change(&tree, round)?;
            }
            for (subject, setting) in Subject::ALL.into_iter().zip(settings) {
                if arguments.subject.is_some_and(|only| only != subject) {
                    continue;
                }
                eprintln!("bench image: {case}, round {round}, {}", subject.as_str());
                let image = folder.join(format!("{}.squashfs", subject.as_str()));
                let previous = before.as_ref().map(|(image, _)| image.as_path());
                let previous = previous.filter(|_| subject == Subject::Netbootd);
                let cost = subject.build(&tree, &image, setting, previous, Times::Ignored)?;
                add(&mut rows, case, subject, &cost);
                if let (Subject::Netbootd, Some((before, first))) = (subject, &before) {
                    faster(&mut rows, case, first, &cost);
                    let trusting = "rebuild_times";
                    let cost =
                        subject.build(&tree, &image, setting, previous, Times::Of(before))?;
                    add(&mut rows, trusting, subject, &cost);
                    faster(&mut rows, trusting, first, &cost);
                }
                std::fs::remove_file(&image)?;
            }
            if let Some((image, _)) = before {
                std::fs::remove_file(subject::times(&image))?;
                std::fs::remove_file(image)?;
            }
        }
        if *case == "rebuild" {
            std::fs::remove_dir_all(&tree)?;
        }
    }
    if !measured {
        bail!("no case begins with {:?}", arguments.case);
    }
    rows.publish(arguments.json.as_deref())
}

fn root(arguments: &Arguments) -> Result<PathBuf> {
    match &arguments.root {
        Some(root) => Ok(root.clone()),
        None => Ok(roots::full()?.folder),
    }
}

/// The image that a rebuild takes its blocks from, and what it cost.
fn first(tree: &Path, folder: &Path) -> Result<(PathBuf, Cost)> {
    let image = folder.join("first.squashfs");
    let cost = Subject::Netbootd.build(tree, &image, "zstd:9", None, Times::Remembered)?;
    Ok((image, cost))
}

fn faster(rows: &mut Rows, case: &str, first: &Cost, cost: &Cost) {
    let times = first.wall / cost.wall;
    eprintln!("  times_faster {times:8.2}");
    rows.add(format!("image.{case}.first_s.netbootd"), first.wall);
    rows.add(format!("image.{case}.times_faster.netbootd"), times);
}

fn add(rows: &mut Rows, case: &str, subject: Subject, cost: &Cost) {
    for (metric, figure) in [
        ("wall_s", cost.wall),
        ("cpu_s", cost.cpu),
        ("rss_mib", cost.rss),
        ("bytes", cost.bytes),
    ] {
        eprintln!("  {metric:<8} {figure:12.2}");
        rows.add(
            format!("image.{case}.{metric}.{}", subject.as_str()),
            figure,
        );
    }
}
