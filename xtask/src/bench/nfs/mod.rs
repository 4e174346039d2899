//! `cargo xtask bench nfs`: READs of an image, READs and metadata of a tree.
//!
//! All subjects run at once, each in a network namespace of its own, and are asked in turn over the
//! loopback: round by round, case by case, subject by subject. Every round has servers of its own, so
//! that what they hold in memory does not come from the round before. Image and trees are in the page
//! cache. nfs-ganesha and nfsserve serve as tree the folder that netbootd's image is made of: what
//! they send is not compressed, so in `tree_cold` netbootd does the clients' work and they do not.
//!
//! | metric | is |
//! |---|---|
//! | `cpu_s_per_gb` | processor seconds of the server's process for 10⁹ bytes of file data |
//! | `mb_per_s` | 10⁶ bytes of file data in a second |
//! | `calls_per_s`, `cpu_us_per_call` | calls answered in a second; microseconds of the server's processor time for one |
//! | `p50_ms`, `p99_ms` | from the call to the last byte of its reply |
//! | `rss_mib` | the most memory that the process held during the case |
//!
//! A case's name ends with `_c4` where four connections were used. `clients_30` is thirty clients
//! that read 16 KiB and think 5 ms; in `clients_30_greedy` somebody beside them reads on four
//! connections with eight READs of 1 MiB on each, and the figures are still those of the thirty
//! (processor time and memory are everybody's). `image_cat` is libnfs's `nfs-cat` of the whole image.
//!
//! The load is our own program ([`client`]): the tools that there are keep one call on its way.

mod case;
mod client;
mod subject;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use integration::roots::{self, Root};
use integration::{Lab, succeed};
use serde_json::Value;

use super::rows::Rows;
use super::turns::Turns;
use super::usage;
use crate::build;
use case::{CASES, Case, Files};
use subject::{Serving, Subject};

pub(crate) use client::{Arguments as ClientArguments, run as client};

/// What `cargo xtask bench nfs` can be told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    turns: Turns<Subject>,
    /// TCP's congestion control in the servers' networks; otherwise this machine's own
    #[arg(long)]
    congestion: Option<String>,
}

/// Files of the tree that are too small to tell anything about reading, in bytes.
const SMALL: u64 = 32 * 1024;
/// What stays in a block cache, in bytes.
const FEW: u64 = 16 << 20;

/// Measures every case with every subject, and prints the rows.
pub(crate) fn measure(arguments: &Arguments) -> Result<()> {
    build::programs()?;
    let (turns, measure) = (&arguments.turns, &arguments.turns.measure);
    let subjects = turns.subjects();
    subjects.iter().try_for_each(|subject| subject.build())?;
    let root = roots::full()?;
    let image = subject::image(&root)?;
    warm(&[image])?;
    let tree = list(&root)?;
    warm(
        &tree
            .iter()
            .map(|(path, _)| path.clone())
            .collect::<Vec<_>>(),
    )?;

    let mut rows = Rows::default();
    for round in 1..=measure.rounds {
        let mut serving = Vec::new();
        for subject in &subjects {
            let started = subject
                .start(&root, arguments.congestion.as_deref())
                .with_context(|| format!("cannot start {}", subject.as_str()))?;
            write_lists(&started, &root, &tree)?;
            serving.push((subject, started));
        }
        for case in CASES.iter().filter(|case| turns.wants(case.name)) {
            for (connections, suffix) in case.connections {
                let name = format!("{}{suffix}", case.name);
                for (subject, serving) in &mut serving {
                    let who = subject.as_str();
                    let figures = load(serving, case, *connections, measure.seconds)
                        .with_context(|| format!("{name} of {who}"))?;
                    eprintln!("bench nfs: round {round}, {name}, {who}: {figures:.3?}");
                    for (metric, figure) in figures {
                        rows.add(format!("nfs.{name}.{metric}.{who}"), figure);
                    }
                }
            }
        }
        for (subject, serving) in serving.iter_mut().filter(|_| turns.wants("image_cat")) {
            let who = subject.as_str();
            for (metric, figure) in cat(serving)? {
                eprintln!("bench nfs: round {round}, image_cat, {who}: {metric} {figure:.3}");
                rows.add(format!("nfs.image_cat.{metric}.{who}"), figure);
            }
        }
        for (_, serving) in serving {
            let folder = serving.lab.folder().to_owned();
            drop(serving);
            fs::remove_dir_all(folder)?;
        }
    }
    rows.publish(measure.json.as_deref())
}

/// One load, by a client of its own in the server's namespace.
fn load(
    serving: &mut Serving,
    case: &Case,
    connections: usize,
    seconds: f64,
) -> Result<Vec<(&'static str, f64)>> {
    let pid = serving.id()?;
    let program = std::env::current_exe()?;
    let mut command = serving.lab.command(&program.display().to_string())?;
    command.args(["bench", "nfs-client"]);
    let mut word = |name: &str, value: &dyn ToString| {
        command.arg(format!("--{name}={}", value.to_string()));
    };
    let (export, list) = match case.files {
        Files::Image => (&serving.image.0, "image"),
        Files::Tree => (&serving.tree, "tree"),
        Files::FewOfTheTree => (&serving.tree, "few"),
    };
    let list = serving.lab.folder().join(list);
    let work = clap::ValueEnum::to_possible_value(&case.work).context("a kind of work")?;
    word("server", &Lab::SERVER);
    word("port", &serving.port);
    word("mount-port", &serving.mount_port);
    word("pid", &pid);
    word("export", export);
    word("files", &list.display());
    word("work", &work.get_name());
    word("connections", &connections);
    word("depth", &case.depth);
    word("size", &case.size);
    word("pause-ms", &case.pause);
    if case.files != Files::Tree || case.work != client::Work::Read {
        word("seconds", &seconds);
    }
    if case.greedy {
        command.arg("--greedy");
    }
    let ran = succeed(&mut command)?;
    let figures: Value = serde_json::from_str(&ran.text).context("the client's figures")?;
    let figure = |name: &str| figures[name].as_f64().context("a figure is missing");
    let (calls, bytes) = (figure("calls")?, figure("bytes")?);
    let (took, cpu) = (figure("seconds")?, figure("cpu_seconds")?);
    ensure!(calls > 0.0, "no call was answered");
    let mut metrics = Vec::new();
    if bytes > 0.0 {
        metrics.push(("cpu_s_per_gb", cpu * 1e9 / bytes));
        metrics.push(("mb_per_s", bytes / 1e6 / took));
    }
    metrics.push(("calls_per_s", calls / took));
    metrics.push(("cpu_us_per_call", cpu * 1e6 / calls));
    for name in ["p50_ms", "p99_ms", "rss_mib"] {
        metrics.push((name, figure(name)?));
    }
    Ok(metrics)
}

/// libnfs's `nfs-cat` of the image, as fast as it goes.
fn cat(serving: &mut Serving) -> Result<Vec<(&'static str, f64)>> {
    let pid = serving.id()?;
    let (export, image) = &serving.image;
    let url = format!(
        "nfs://{}{export}/{image}?version=3&nfsport={}&mountport={}",
        Lab::SERVER,
        serving.port,
        serving.mount_port
    );
    let mut command = serving.lab.command("nfs-cat")?;
    let (before, start) = (usage::processor_time(pid)?, Instant::now());
    let status = command.arg(&url).stdout(Stdio::null()).status()?;
    let (took, cpu) = (start.elapsed(), usage::processor_time(pid)? - before);
    ensure!(status.success(), "`nfs-cat {url}` ended with {status}");
    let bytes = serving.image_len as f64;
    Ok(vec![
        ("cpu_s_per_gb", cpu * 1e9 / bytes),
        ("mb_per_s", bytes / 1e6 / took.as_secs_f64()),
    ])
}

/// The files of the tree that are read, with their lengths, in the order of their paths.
fn list(root: &Root) -> Result<Vec<(PathBuf, u64)>> {
    let mut find = Command::new(integration::place::tool("find")?);
    // An image lacks some of what is elsewhere: caches, logs, secrets.
    find.arg(root.folder.join("usr"))
        .args(["-xdev", "-type", "f", "-size"])
        .arg(format!("+{}c", SMALL))
        .args(["-printf", "%s %p\\n"]);
    let found = succeed(&mut find)?;
    let mut files = Vec::new();
    for line in found.text.lines() {
        let (len, path) = line.split_once(' ').context("what find prints")?;
        files.push((PathBuf::from(path), len.parse()?));
    }
    files.sort();
    Ok(files)
}

/// Writes down for the client what it is to ask for.
fn write_lists(serving: &Serving, root: &Root, tree: &[(PathBuf, u64)]) -> Result<()> {
    let folder = serving.lab.folder();
    fs::write(folder.join("image"), &serving.image.1)?;
    let (mut all, mut few, mut sum) = (String::new(), String::new(), 0);
    for (path, len) in tree {
        let line = format!("{}\n", path.strip_prefix(&root.folder)?.display());
        all.push_str(&line);
        sum += len;
        if sum <= FEW {
            few.push_str(&line);
        }
    }
    fs::write(folder.join("tree"), all)?;
    fs::write(folder.join("few"), few)?;
    Ok(())
}

/// Reads files, so that they are in the page cache.
fn warm(paths: &[PathBuf]) -> Result<()> {
    for path in paths {
        let mut file = fs::File::open(path)?;
        std::io::copy(&mut file, &mut std::io::sink())
            .with_context(|| format!("cannot read {}", path.display()))?;
    }
    Ok(())
}
