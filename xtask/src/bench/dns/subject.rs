//! Who answers.

use std::fs;
use std::time::Duration;

use anyhow::Result;
use integration::dnsmasq::ALONE;
use integration::room::network;
use integration::subject::names::{DOMAIN, UPSTREAM};
use integration::subject::netbootd::asked;
use integration::{Lab, Process, until};

use super::super::ground::Ground;
use super::Names;

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Subject {
    /// Ours, with its defaults
    Netbootd,
    /// dnsmasq
    Dnsmasq,
    /// Knot, one worker
    Knot,
}

impl Subject {
    /// Starts it, behind the one that it asks itself.
    pub(super) fn start(self, ground: &Ground) -> Result<Vec<Process>> {
        match self {
            Self::Netbootd => Ok(vec![upstream(ground)?, netbootd(ground, "")?]),
            Self::Dnsmasq => Ok(vec![upstream(ground)?, dnsmasq(ground)?]),
            Self::Knot => Ok(vec![knot(ground)?]),
        }
    }
}

/// netbootd with the leases of all machines and this much more of its configuration.
pub(crate) fn netbootd(ground: &Ground, config: &str) -> Result<Process> {
    let network = network(Names::MACHINES);
    let process = ground.netbootd(&format!("{config}\n{network}"))?;
    ground.import_leases(&Names::leases())?;
    let last = format!("pc{}", Names::MACHINES - 1);
    until(Duration::from_secs(10), "the last lease", || {
        Ok(asked(&ground.lab, &["leases"])?
            .contains(&last)
            .then_some(()))
    })?;
    Ok(process)
}

fn dnsmasq(ground: &Ground) -> Result<Process> {
    let hosts = ground.lab.folder().join("hosts");
    fs::write(&hosts, Names::hosts())?;
    let mut dnsmasq = ground.lab.command("dnsmasq")?;
    dnsmasq.args(ALONE).args(["--no-resolv", "--no-hosts"]);
    dnsmasq.args(["--cache-size=10000", &format!("--server={UPSTREAM}")]);
    dnsmasq.arg(format!("--addn-hosts={}", hosts.display()));
    start(dnsmasq, ground, "dnsmasq", "read ")
}

/// Who knows the names of the rest of the world: dnsmasq on a client of its own.
fn upstream(ground: &Ground) -> Result<Process> {
    let hosts = ground.lab.folder().join("others");
    fs::write(&hosts, Names::others())?;
    let mut dnsmasq = ground.neighbour(UPSTREAM.parse()?, "dnsmasq")?;
    dnsmasq.args(ALONE).args(["--no-resolv", "--no-hosts"]);
    dnsmasq.args(["--local-ttl=3600", "--interface=eth0"]);
    dnsmasq.arg(format!("--addn-hosts={}", hosts.display()));
    start(dnsmasq, ground, "upstream", "read ")
}

fn knot(ground: &Ground) -> Result<Process> {
    let folder = ground.lab.folder();
    let [names, addresses] = Names::zones();
    fs::write(folder.join("names.zone"), names)?;
    fs::write(folder.join("addresses.zone"), addresses)?;
    let config = folder.join("knot.conf");
    let (root, server) = (folder.display(), Lab::SERVER);
    let text = format!(
        "server:
    rundir: {root}
    listen: {server}@53
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stdout
    any: info
database:
    storage: {root}
template:
  - id: default
    storage: {root}
    journal-content: none
    zonefile-load: whole
zone:
  - domain: {DOMAIN}
    file: names.zone
  - domain: 10.in-addr.arpa
    file: addresses.zone
"
    );
    fs::write(&config, text)?;
    let mut knot = ground.lab.command("knotd")?;
    knot.arg("-c").arg(&config);
    start(knot, ground, "knot", "server started")
}

fn start(
    mut command: std::process::Command,
    ground: &Ground,
    name: &str,
    says: &str,
) -> Result<Process> {
    let log = ground.lab.folder().join(format!("{name}.log"));
    let mut process = Process::start(&mut command, &log)?;
    process.until_printed(says, Duration::from_secs(20))?;
    Ok(process)
}
