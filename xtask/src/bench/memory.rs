//! `cargo xtask bench memory`: what netbootd holds with 10 000 leases and names.
//!
//! | row | is |
//! |---|---|
//! | `idle.rss_mib`, `idle.own_mib` | five seconds after it began: all of it, and without the parts of files (its program, above all) |
//! | `tftp`, `dns`, `http` | the most during 64 clients with windows of 16 blocks, names at random, and 64 clients that fetch 60 MB; one after the other by the same daemon |

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use integration::subject::netbootd;

use super::dns::{self, Dns, Names};
use super::ground::Ground;
use super::http::Http;
use super::rows::Rows;
use super::tftp::{self, Tftp};
use super::turns::Service;
use super::usage;
use crate::{build, packages};

/// What `cargo xtask bench memory` can be told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How often it is measured; the rows are medians
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// How long each load takes
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Write the rows to this file too, as one JSON object
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Measures, and prints the rows.
pub(crate) fn measure(arguments: &Arguments) -> Result<()> {
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
    // What the import needs is not what a daemon holds: it is started again.
    let config = format!("[loaders]\nfolders = [{files:?}]");
    drop(dns::netbootd(ground, &config)?);
    let server = netbootd::serve(&ground.lab, &netbootd::config_file(&ground.lab))?;
    std::thread::sleep(Duration::from_secs(5));
    let pid = server.id();
    let mut figures = Vec::new();
    for (row, field) in [("rss_mib", "VmRSS:"), ("own_mib", "RssAnon:")] {
        figures.push((format!("idle.{row}"), usage::memory(pid, field)?));
    }
    let mut under = |service: &str, case: &str, load: &dyn Fn() -> Result<()>| -> Result<()> {
        usage::forget_peak(pid)?;
        load().with_context(|| format!("{case} over {service}"))?;
        figures.push((format!("{service}.rss_mib"), usage::peak_memory(pid)?));
        Ok(())
    };
    let (tftp, dns, http) = ("w16_c64", "a", "f60m_c64");
    under("tftp", tftp, &|| Tftp.load(tftp, ground, seconds).map(drop))?;
    under("dns", dns, &|| Dns.load(dns, ground, seconds).map(drop))?;
    under("http", http, &|| Http.load(http, ground, seconds).map(drop))?;
    Ok(figures)
}
