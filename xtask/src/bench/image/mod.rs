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
//! The root is `--root`, or the lab's own; `small_files` is a made tree of 200 000 files. netbootd is its
//! writer with everything that a build does to files: it looks for secrets, hashes blocks, and
//! digests the image. In `rebuild` it is all of `netbootd image build`, kernel and initrd too, once more with
//! `--trust-times` as `rebuild_times`; two rows more are `first_s`, what the first build of that tree cost, and
//! `times_faster`.
//!
//! The tree is read once before anything is timed; images are written beside it and removed.

mod subject;
mod trees;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use integration::roots;

use self::subject::{Cost, Subject, Whole};
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
    let mut measured = false;
    for (case, settings) in CASES {
        if !case.starts_with(&arguments.case) {
            continue;
        }
        measured = true;
        let tree = match case {
            "small_files" => trees::small_files(&folder)?,
            "rebuild" => trees::copy(&root(arguments)?, &folder)?,
            _ => root(arguments)?,
        };
        trees::warm(&tree)?;
        for round in 1..=arguments.rounds {
            for (subject, setting) in Subject::ALL.into_iter().zip(settings) {
                if arguments.subject.is_some_and(|only| only != subject) {
                    continue;
                }
                eprintln!("bench image: {case}, round {round}, {}", subject.as_str());
                if (case, subject) == ("rebuild", Subject::Netbootd) {
                    rebuild(&mut rows, &tree, &folder, round)?;
                    continue;
                }
                let image = folder.join(format!("{}.squashfs", subject.as_str()));
                let cost = subject.build(&tree, &image, setting)?;
                add(&mut rows, case, subject, &cost);
                std::fs::remove_file(&image)?;
            }
        }
        if case == "rebuild" {
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

/// A first build, and one after each of two changes.
fn rebuild(rows: &mut Rows, tree: &Path, folder: &Path, round: u32) -> Result<()> {
    let whole = Whole::new(folder)?;
    let first = whole.build(tree, &[])?;
    for (case, words) in [("rebuild", &[][..]), ("rebuild_times", &["--trust-times"])] {
        trees::change(tree, &format!("{case} {round}"))?;
        let cost = whole.build(tree, words)?;
        add(rows, case, Subject::Netbootd, &cost);
        let times = first.wall / cost.wall;
        eprintln!("  times_faster {times:8.2}");
        rows.add(format!("image.{case}.first_s.netbootd"), first.wall);
        rows.add(format!("image.{case}.times_faster.netbootd"), times);
    }
    Ok(())
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
