//! `cargo xtask bench dns`: 10 000 names, netbootd beside dnsmasq and Knot.
//!
//! | case | is |
//! |---|---|
//! | `a`, `ptr` | addresses of names, and names of addresses, at random |
//! | `cached` | addresses of 1 000 names of the rest of the world, each asked for before; not of Knot, which does not ask others |
//!
//! | metric | is |
//! |---|---|
//! | `cpu_us` | microseconds of the server's processor time for an answer |
//! | `per_s` | answers in a second |
//! | `rss_mib` | the most memory that the process held |
//!
//! dnsperf asks, over UDP, 128 questions at once. netbootd's names are those of 10 000 leases, the others
//! have them in a file.

mod names;
mod subject;

use std::fs;

use anyhow::{Context, Result, ensure};
use integration::{Lab, Process, succeed};

use super::ground::Ground;
use super::turns::{Brought, Service, Unit};
pub(super) use names::Names;
pub(super) use subject::{Subject, netbootd};

/// Questions that wait for an answer at once.
const OUTSTANDING: &str = "128";

pub(super) struct Dns;

impl Service for Dns {
    type Subject = Subject;
    const NAME: &'static str = "dns";
    const CASES: &'static [(&'static str, Unit)] = &[
        ("a", Unit::Each),
        ("ptr", Unit::Each),
        ("cached", Unit::Each),
    ];

    fn takes_part(&self, subject: Subject, case: &str) -> bool {
        subject != Subject::Knot || case != "cached"
    }

    fn start(&self, subject: Subject, ground: &Ground) -> Result<Vec<Process>> {
        for (case, _) in Self::CASES {
            fs::write(ground.lab.folder().join(case), Names::questions(case)?)?;
        }
        let processes = subject.start(ground)?;
        // Whatever is slow only once is not counted, and what is to be cached is from here on.
        for (case, _) in Self::CASES {
            if self.takes_part(subject, case) {
                ask(ground, case, &["-n", "1"])?;
            }
        }
        Ok(processes)
    }

    fn load(&self, case: &str, ground: &Ground, seconds: f64) -> Result<Brought> {
        // It knows whole seconds only.
        ask(ground, case, &["-l", &seconds.ceil().to_string()])
    }
}

/// Asks what is in a file, as it is or for some time.
fn ask(ground: &Ground, case: &str, how: &[&str]) -> Result<Brought> {
    let mut dnsperf = ground.command("dnsperf")?;
    dnsperf.args(["-s", &Lab::SERVER.to_string(), "-q", OUTSTANDING]);
    dnsperf.args(["-t", "1", "-d"]);
    dnsperf.arg(ground.lab.folder().join(case)).args(how);
    let said = succeed(&mut dnsperf)?.text;
    let (answers, brought) = dnsperf_said(&said).with_context(|| format!("dnsperf said {said}"))?;
    ensure!(
        answers == "NOERROR" && brought.units > 0.0,
        "not all questions had an answer: {said}"
    );
    Ok(brought)
}

/// The codes of all answers, how many they were, and in what time.
fn dnsperf_said(said: &str) -> Option<(&str, Brought)> {
    let value = |name: &str| {
        let mut lines = said.lines().map(str::trim);
        let rest = lines.find_map(|line| line.strip_prefix(name))?;
        rest.split_whitespace().next()
    };
    let codes = said
        .lines()
        .find_map(|line| line.split_once("Response codes:"))?
        .1;
    let codes = if codes.contains(',') {
        codes
    } else {
        codes.split_whitespace().next()?
    };
    Some((
        codes,
        Brought {
            units: value("Queries completed:")?.parse().ok()?,
            seconds: value("Run time (s):")?.parse().ok()?,
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_dnsperf_says_is_understood_and_other_answers_are_seen() {
        let said = |codes: &str| {
            format!(
                "  Queries sent:         20\n  Queries completed:    10 (50%)\n  Response codes:       {codes}\n  Run time (s):         0.5\n"
            )
        };
        let good = said("NOERROR 10 (100.00%)");
        let (codes, brought) = dnsperf_said(&good).unwrap();
        assert_eq!(
            (codes, brought.units, brought.seconds),
            ("NOERROR", 10.0, 0.5)
        );
        assert_ne!(
            dnsperf_said(&said("NOERROR 9 (90%), SERVFAIL 1 (10%)"))
                .unwrap()
                .0,
            "NOERROR"
        );
    }
}
