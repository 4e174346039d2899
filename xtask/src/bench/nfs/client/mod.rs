//! The load of `cargo xtask bench nfs`: a process of its own, in the server's network namespace.
//!
//! It mounts, looks up what it will ask for, and only then begins to count: calls, bytes, how long
//! each call took, and the processor time of the server's process between the first call and the
//! last reply. One thread for each connection; blocking sockets; the data of long READs is dropped
//! in the kernel (`recv` with MSG_TRUNC), so that the figures are the server's and not the client's.

mod connection;
mod wire;
mod work;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Barrier;
use std::sync::atomic::AtomicUsize;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::usage;
use connection::{Brought, Connection};
use work::{File, Metadata, Reads, Scattered};

/// What the load is told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[arg(long)]
    server: IpAddr,
    #[arg(long)]
    port: u16,
    #[arg(long)]
    mount_port: u16,
    /// The process whose time and memory are measured
    #[arg(long)]
    pid: u32,
    /// What is mounted
    #[arg(long)]
    export: String,
    /// A file with the paths of files below it, a line each
    #[arg(long)]
    files: PathBuf,
    #[arg(long)]
    work: Work,
    #[arg(long)]
    connections: usize,
    #[arg(long)]
    depth: usize,
    /// Bytes of a READ
    #[arg(long)]
    size: u32,
    /// How long; without it, all files once
    #[arg(long)]
    seconds: Option<f64>,
    /// Waits so long after each reply
    #[arg(long, default_value_t = 0)]
    pause_ms: u64,
    /// Beside them, four connections with eight READs of 1 MiB each on their way, not counted
    #[arg(long)]
    greedy: bool,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Work {
    /// READs in order
    Read,
    /// READs here and there in the first file
    Scattered,
    /// GETATTR, LOOKUP and READDIRPLUS
    Metadata,
}

/// Connections of the greedy client, and what each has on its way.
const GREEDY: (usize, usize, u32) = (4, 8, 1 << 20);

/// Loads, and prints the figures as one JSON object.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let server = SocketAddr::new(arguments.server, arguments.port);
    let mount_server = SocketAddr::new(arguments.server, arguments.mount_port);
    let paths: Vec<String> = std::fs::read_to_string(&arguments.files)?
        .lines()
        .map(str::to_owned)
        .collect();
    let root = Connection::open(mount_server)?.mount(&arguments.export)?;
    let files = work::find(&mut Connection::open(server)?, &root, &paths)?;
    ensure!(!files.is_empty(), "no files to ask for");

    let greedy = if arguments.greedy { GREEDY.0 } else { 0 };
    let everybody = Barrier::new(arguments.connections + greedy + 1);
    let next_file = AtomicUsize::new(0);
    usage::forget_peak(arguments.pid)?;
    let (brought, took, cpu) = thread::scope(|scope| -> Result<_> {
        let load = |number| {
            let (files, everybody, next_file) = (&files, &everybody, &next_file);
            move || one(arguments, server, files, number, everybody, next_file)
        };
        let hog = || {
            let (files, everybody) = (&files, &everybody);
            move || hog(arguments, server, files, everybody)
        };
        let loads: Vec<_> = (0..arguments.connections)
            .map(|number| scope.spawn(load(number)))
            .collect();
        let hogs: Vec<_> = (0..greedy).map(|_| scope.spawn(hog())).collect();
        everybody.wait();
        let (start, before) = (Instant::now(), usage::processor_time(arguments.pid)?);
        let mut brought = Brought::default();
        for load in loads {
            let one = load.join().ok().context("a load panicked")??;
            brought.calls += one.calls;
            brought.bytes += one.bytes;
            brought.latencies.extend(one.latencies);
        }
        let cpu = usage::processor_time(arguments.pid)? - before;
        let took = start.elapsed();
        for hog in hogs {
            hog.join().ok().context("the greedy client panicked")??;
        }
        Ok((brought, took, cpu))
    })?;
    let mut latencies = brought.latencies;
    latencies.sort_unstable();
    let quantile = |share: f64| {
        let at = ((latencies.len() - 1) as f64 * share) as usize;
        f64::from(latencies[at]) / 1000.0
    };
    let figures = json!({
        "calls": brought.calls,
        "bytes": brought.bytes,
        "seconds": took.as_secs_f64(),
        "cpu_seconds": cpu,
        "p50_ms": quantile(0.5),
        "p99_ms": quantile(0.99),
        "rss_mib": usage::peak_memory(arguments.pid)?,
    });
    println!("{figures}");
    Ok(())
}

/// One connection's share of the load.
fn one(
    arguments: &Arguments,
    server: SocketAddr,
    files: &[File],
    number: usize,
    everybody: &Barrier,
    next_file: &AtomicUsize,
) -> Result<Brought> {
    let connection = Connection::open(server);
    everybody.wait();
    let mut connection = connection?;
    let length = arguments.seconds.map(Duration::from_secs_f64);
    let end = length.map(|length| Instant::now() + length);
    let forever = Instant::now() + Duration::from_secs(3600);
    let (size, depth) = (arguments.size, arguments.depth);
    let pause = Duration::from_millis(arguments.pause_ms);
    match arguments.work {
        Work::Read => {
            let mut reads = Reads::new(files, size, end, next_file);
            connection.pipeline(depth, &mut || reads.next())
        }
        Work::Scattered => {
            let mut reads = Scattered {
                file: &files[0],
                size,
                end: end.unwrap_or(forever),
                state: number as u64 * 977 + 1,
            };
            let mut first = true;
            connection.pipeline(depth, &mut || {
                if !pause.is_zero() && !std::mem::take(&mut first) {
                    thread::sleep(pause);
                }
                reads.next()
            })
        }
        Work::Metadata => {
            let mut calls = Metadata {
                files,
                end: end.unwrap_or(forever),
                step: number * 1009,
            };
            connection.pipeline(depth, &mut || calls.next())
        }
    }
}

/// A client that takes what it can get, for as long as the others work.
fn hog(
    arguments: &Arguments,
    server: SocketAddr,
    files: &[File],
    everybody: &Barrier,
) -> Result<Brought> {
    let connection = Connection::open(server);
    everybody.wait();
    let (_, depth, size) = GREEDY;
    let seconds = arguments.seconds.unwrap_or(1.0);
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let next_file = AtomicUsize::new(0);
    let mut reads = Reads::new(&files[..1], size, Some(end), &next_file);
    connection?.pipeline(depth, &mut || reads.next())
}
