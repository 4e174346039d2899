//! Rounds, cases and servers in turn: what the benches of tftp, http and dns have in common.
//!
//! All servers run at once, each on a [`Ground`] of its own, and are asked in turn: round by round,
//! case by case, server by server, the servers of every second round in reverse. Every round has servers of its own.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::ValueEnum;
use integration::Process;

use super::ground::Ground;
use super::rows::Rows;
use super::usage;
use crate::{build, packages};

/// How much is measured.
#[derive(clap::Args)]
pub(crate) struct Measure {
    /// How often each case is measured; the rows are medians
    #[arg(long, default_value_t = 3)]
    pub(crate) rounds: u32,
    /// How long each measurement takes, in seconds
    #[arg(long, default_value_t = 2.0)]
    pub(crate) seconds: f64,
    /// Write the rows to this file too, as one JSON object
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
}

/// What a bench of these subjects can be told.
#[derive(clap::Args)]
pub(crate) struct Turns<S: ValueEnum + Send + Sync + 'static> {
    #[command(flatten)]
    pub(crate) measure: Measure,
    /// Only cases whose name begins so; may be said more than once
    #[arg(long)]
    case: Vec<String>,
    /// Only these subjects
    #[arg(long)]
    subject: Vec<S>,
}

/// What a load is counted in.
#[derive(Clone, Copy)]
pub(crate) enum Unit {
    /// Bytes of files.
    Bytes,
    /// Questions or requests.
    Each,
}

/// What a load brought.
pub(crate) struct Brought {
    /// How many units.
    pub(crate) units: f64,
    pub(crate) seconds: f64,
}

/// One service and those who offer it.
pub(crate) trait Service: Sync {
    /// Who offers it.
    type Subject: ValueEnum + PartialEq + Copy + Send + Sync + 'static;
    /// The first word of its rows.
    const NAME: &'static str;
    /// What is asked, and what that is counted in.
    const CASES: &'static [(&'static str, Unit)];

    /// Whether this one is asked this.
    fn takes_part(&self, _subject: Self::Subject, _case: &str) -> bool {
        true
    }
    /// Starts one.
    fn start(&self, subject: Self::Subject, ground: &Ground) -> Result<Vec<Process>>;
    /// Asks it, for as long as was said.
    fn load(&self, case: &str, ground: &Ground, seconds: f64) -> Result<Brought>;
}

impl<S: ValueEnum + PartialEq + Copy + Send + Sync + 'static> Turns<S> {
    /// The subjects that are named, or all where none is.
    pub(crate) fn subjects(&self) -> Vec<S> {
        let all = S::value_variants().iter().copied();
        all.filter(|subject| self.subject.is_empty() || self.subject.contains(subject))
            .collect()
    }

    /// Whether this case is to be measured.
    pub(crate) fn wants(&self, case: &str) -> bool {
        self.case.is_empty() || self.case.iter().any(|start| case.starts_with(start))
    }

    /// Measures every case of a service with every subject, and prints the rows.
    pub(crate) fn measure<T: Service<Subject = S>>(&self, service: &T) -> Result<()> {
        build::programs()?;
        packages::install(&packages::missing(packages::BENCH.iter()))?;
        let mut rows = Rows::default();
        for round in 1..=self.measure.rounds {
            let mut serving = Vec::new();
            let mut subjects = self.subjects();
            if round % 2 == 0 {
                // Nobody is always the first to be asked.
                subjects.reverse();
            }
            for subject in &subjects {
                let who = subject.to_possible_value().context("a subject's name")?;
                let who = who.get_name().to_owned();
                let ground = Ground::open(&format!("bench-{}-{who}", T::NAME))?;
                let processes = service.start(*subject, &ground);
                let processes = processes.with_context(|| format!("cannot start {who}"))?;
                serving.push((*subject, who, processes, ground));
            }
            for (case, unit) in T::CASES.iter().filter(|(case, _)| self.wants(case)) {
                for (subject, who, processes, ground) in &serving {
                    let server = processes.last().context("nothing runs")?;
                    if !service.takes_part(*subject, case) {
                        continue;
                    }
                    let figures = self.one(service, case, *unit, server, ground);
                    let figures = figures.with_context(|| format!("{case} of {who}"))?;
                    eprintln!(
                        "bench {}: round {round}, {case}, {who}: {figures:.2?}",
                        T::NAME
                    );
                    for (metric, figure) in figures {
                        rows.add(format!("{}.{case}.{metric}.{who}", T::NAME), figure);
                    }
                }
            }
            for (_, _, processes, ground) in serving {
                let folder = ground.lab.folder().to_owned();
                drop((processes, ground));
                std::fs::remove_dir_all(folder)?;
            }
        }
        rows.publish(self.measure.json.as_deref())
    }

    fn one<T: Service>(
        &self,
        service: &T,
        case: &str,
        unit: Unit,
        server: &Process,
        ground: &Ground,
    ) -> Result<[(&'static str, f64); 3]> {
        let pid = server.id();
        ground.settle(server)?;
        usage::forget_peak(pid)?;
        let before = usage::processor_time(pid)?;
        let brought = service.load(case, ground, self.measure.seconds)?;
        let cpu = usage::processor_time(pid)? - before;
        let Brought { units, seconds } = brought;
        let memory = ("rss_mib", usage::peak_memory(pid)?);
        Ok(match unit {
            Unit::Bytes => [
                ("cpu_s_per_gb", cpu * 1e9 / units),
                ("mb_per_s", units / 1e6 / seconds),
                memory,
            ],
            Unit::Each => [
                ("cpu_us", cpu * 1e6 / units),
                ("per_s", units / seconds),
                memory,
            ],
        })
    }
}
