//! `cargo xtask bench memory`: what netbootd holds with 10 000 leases and names.
//!
//! | row | is |
//! |---|---|
//! | `idle.rss_mib`, `idle.own_mib` | five seconds after it began: all of it, and without the parts of files (its program, above all) |
//! | `empty.rss_mib`, `empty.own_mib` | the same of a daemon without a lease |
//! | `tftp`, `dns`, `http` | the most during 64 clients with windows of 16 blocks, names at random, and 64 clients that fetch 60 MB; one after the other by the same daemon |
//! | `all` | the most while all three go on at once |

use std::fs;
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use integration::Process;
use integration::subject::netbootd;

use super::dns::{self, Dns, Names};
use super::ground::Ground;
use super::http::Http;
use super::rows::Rows;
use super::tftp::{self, Tftp};
use super::turns::{Measure, Service};
use super::usage;
use crate::{build, packages};

/// Measures, and prints the rows.
pub(crate) fn measure(arguments: &Measure) -> Result<()> {
    build::programs()?;
    packages::install(&packages::missing(packages::BENCH.iter()))?;
    let mut rows = Rows::default();
    for round in 1..=arguments.rounds {
        let ground = Ground::open("bench-memory")?;
        let figures = one(&ground, arguments.seconds)?;
        eprintln!("bench memory: round {round}: {figures:.2?}");
        for (row, figure) in figures {
            rows.add(format!("memory.{row}.netbootd"), figure);
        }
        let folder = ground.lab.folder().to_owned();
        drop(ground);
        fs::remove_dir_all(folder)?;
    }
    rows.publish(arguments.json.as_deref())
}

fn one(ground: &Ground, seconds: f64) -> Result<Vec<(String, f64)>> {
    let files = tftp::files(ground)?;
    let folder = ground.lab.folder();
    fs::write(folder.join("a"), Names::questions("a")?)?;
    let config = format!("[loaders]\nfolders = [{files:?}]");
    let mut figures = Vec::new();
    let empty = ground.netbootd(&config)?;
    idle("empty", &empty, &mut figures)?;
    drop(empty);
    // What the import needs is not what a daemon holds: it is started again.
    drop(dns::netbootd(ground, &config)?);
    let server = netbootd::serve(&ground.lab, &netbootd::config_file(&ground.lab))?;
    idle("idle", &server, &mut figures)?;
    let pid = server.id();
    let mut under = |row: &str, load: &dyn Fn() -> Result<()>| -> Result<()> {
        usage::forget_peak(pid)?;
        load().with_context(|| format!("the load of {row}"))?;
        figures.push((format!("{row}.rss_mib"), usage::peak_memory(pid)?));
        Ok(())
    };
    let tftp = || Tftp.load("w16_c64", ground, seconds).map(drop);
    let dns = || Dns.load("a", ground, seconds).map(drop);
    let http = || Http.load("f60m_c64", ground, seconds).map(drop);
    under("tftp", &tftp)?;
    under("dns", &dns)?;
    under("http", &http)?;
    under("all", &|| {
        thread::scope(|scope| {
            let loads: [&(dyn Fn() -> Result<()> + Sync); 3] = [&tftp, &dns, &http];
            let loads = loads.map(|load| scope.spawn(load));
            let mut ended = loads.into_iter().map(ScopedJoinHandle::join);
            ended.try_for_each(|load| load.map_err(|_| anyhow!("a load has panicked"))?)
        })
    })?;
    Ok(figures)
}

/// What a daemon holds five seconds after it began to answer.
fn idle(row: &str, server: &Process, figures: &mut Vec<(String, f64)>) -> Result<()> {
    thread::sleep(Duration::from_secs(5));
    for (kind, field) in [("rss_mib", "VmRSS:"), ("own_mib", "RssAnon:")] {
        figures.push((format!("{row}.{kind}"), usage::memory(server.id(), field)?));
    }
    Ok(())
}
