//! `cargo xtask bench dhcp`: addresses for machines behind a relay, netbootd beside dnsmasq and Kea.
//!
//! Each measurement has a fresh server in a lab of its own. A machine asks for an address by DISCOVER
//! and REQUEST, one socket speaks for all (`integration::room`), and 64 of them wait for an answer at
//! once; in `rate_100` a machine begins every 10 ms.
//!
//! | case | is |
//! |---|---|
//! | `lease_1k` | the first 1 000 machines |
//! | `lease_50k` | 1 000 machines more where 49 000 have a lease; not of dnsmasq, which then answers nobody within half a minute |
//! | `rate_100` | 500 machines, 100 in a second |
//!
//! | metric | is |
//! |---|---|
//! | `cpu_ms_per_1k` | milliseconds of the server's processor time for 1 000 leases |
//! | `per_s` | leases in a second |
//! | `p50_ms` | from a machine's DISCOVER to its ACK |
//!
//! Every lease is on the disk before it is acknowledged by netbootd and by dnsmasq (which writes all of
//! them for each). Kea appends to a file and does not wait for the disk.

mod load;
mod subject;

use std::path::PathBuf;

use anyhow::{Context, Result};
use integration::Lab;
use integration::room::Relay;

use super::rows::Rows;
use super::usage;
use crate::{build, packages};
use load::Load;
use subject::Subject;

/// What `cargo xtask bench dhcp` can be told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How often each case is measured; the rows are medians
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Only cases whose name begins so
    #[arg(long, default_value = "")]
    case: String,
    /// Only these subjects
    #[arg(long)]
    subject: Vec<Subject>,
    /// Write the rows to this file too, as one JSON object
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Leases that are there before, machines that ask, and how many begin in a second.
struct Case {
    name: &'static str,
    before: u32,
    machines: u32,
    rate: Option<u32>,
}

const CASES: [Case; 3] = [
    Case {
        name: "lease_1k",
        before: 0,
        machines: 1000,
        rate: None,
    },
    Case {
        name: "lease_50k",
        before: 49_000,
        machines: 1000,
        rate: None,
    },
    Case {
        name: "rate_100",
        before: 0,
        machines: 500,
        rate: Some(100),
    },
];

/// Measures every case with every subject, and prints the rows.
pub(crate) fn measure(arguments: &Arguments) -> Result<()> {
    build::programs()?;
    packages::install(&packages::missing(packages::BENCH.iter()))?;
    let subjects = match arguments.subject.as_slice() {
        [] => Subject::ALL.to_vec(),
        some => some.to_vec(),
    };
    let mut rows = Rows::default();
    for round in 1..=arguments.rounds {
        for case in &CASES {
            if !case.name.starts_with(&arguments.case) {
                continue;
            }
            let takes_part = |subject: &&Subject| case.before == 0 || **subject != Subject::Dnsmasq;
            for subject in subjects.iter().filter(takes_part) {
                let (name, who) = (case.name, subject.as_str());
                let figures = one(case, *subject).with_context(|| format!("{name} of {who}"))?;
                eprintln!("bench dhcp: round {round}, {name}, {who}: {figures:.2?}");
                for (metric, figure) in figures {
                    rows.add(format!("dhcp.{name}.{metric}.{who}"), figure);
                }
            }
        }
    }
    rows.publish(arguments.json.as_deref())
}

fn one(case: &Case, subject: Subject) -> Result<[(&'static str, f64); 3]> {
    let lab = Lab::new(&format!("bench-dhcp-{}", subject.as_str()))?;
    // It would cost more than the servers.
    lab.close_capture();
    let relay = Relay::open(&lab)?;
    let serving = subject.start(&lab, case.before)?;
    let mut load = Load::new(relay.socket()?);
    // The first answer is waited for, and whatever is slow only once is not counted.
    load.run(1_000_000, 1, None)?;
    if case.before > 0 && subject == Subject::Kea {
        load.run(0, case.before, None)?;
    }
    let before = usage::processor_time(serving.id())?;
    let figures = load.run(case.before, case.machines, case.rate)?;
    let cpu = usage::processor_time(serving.id())? - before;
    let folder = lab.folder().to_owned();
    drop((serving, relay, lab));
    std::fs::remove_dir_all(folder)?;
    let machines = f64::from(case.machines);
    Ok([
        ("cpu_ms_per_1k", cpu * 1e6 / machines),
        ("per_s", machines / figures.seconds),
        ("p50_ms", figures.p50_ms),
    ])
}
