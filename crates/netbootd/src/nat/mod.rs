//! Network address translation: clients of a served network reach the world by another card.
//!
//! The rules are a table of our own, which nft(8) puts in place in one transaction, and takes away at the
//! end. The kernel says when anybody changes any rule; if ours are not what they were, they are put back.
//! `ip_forward` is switched on where it is off, and off again at the end if it was us.

mod forwarding;
mod legacy;
mod privilege;
mod rules;

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use config::{Interface, Mode};
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tracing::{info, warn};

use self::legacy::Legacy;
use self::rules::{Lab, TABLE};
use crate::daemon::Daemon;
use crate::follow::{self, System};
use crate::links::{self, NotYet};
use crate::program::{Ran, run};

pub use privilege::{UNIT_FOLDERS, missing};

/// How long nft may take.
const LIMIT: Duration = Duration::from_secs(10);
/// What is not told by the kernel is looked at this often.
const LOOK: Duration = Duration::from_secs(30);
/// Between two looks at the rules: others change theirs many at a time.
const PAUSE: Duration = Duration::from_millis(200);

/// Whether an interface's clients shall reach the world.
pub fn is_wanted(interface: &Interface) -> bool {
    interface.nat.is_some() && interface.mode != Mode::Off
}

/// Keeps the rules in place until `stopping` changes, and takes them away then.
pub async fn keep(
    daemon: Arc<Daemon>,
    mut system: watch::Receiver<System>,
    mut stopping: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let mut kept = Kept::default();
    let mut heard = None;
    loop {
        if heard.is_none() {
            heard = net::rule_changes().and_then(UdpSocket::from_std).ok();
        }
        let labs = labs(&daemon, &system.borrow_and_update());
        let done = tokio::task::block_in_place(|| kept.see_to(&labs));
        tell(&daemon, done.err());
        tokio::time::sleep(PAUSE).await;
        tokio::select! {
            _ = stopping.changed() => break,
            // Nobody watches the interfaces any more when all stop, which may be heard first.
            changed = system.changed() => if changed.is_err() { break },
            () = rules_change(heard.as_ref()) => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
    if let Err(reason) = tokio::task::block_in_place(|| kept.take_away()) {
        warn!("NAT: rules may be left (nft list table {TABLE}): {reason}");
    }
    Ok(())
}

/// Waits until somebody, we among them, has changed a rule.
async fn rules_change(heard: Option<&UdpSocket>) {
    let Some(heard) = heard else {
        return std::future::pending().await;
    };
    let _ = heard.readable().await;
    follow::drain(heard);
}

/// The networks that are there; who lacks a way out is said.
fn labs(daemon: &Daemon, system: &System) -> Vec<Lab> {
    let config = &daemon.config;
    let mut labs = Vec::new();
    for wanted in config.interfaces.iter().filter(|wanted| is_wanted(wanted)) {
        let Some(uplink) = &wanted.nat else { continue };
        if !config.interfaces.iter().any(|other| other.name == *uplink) {
            let found = links::look_up(uplink, system);
            let found = found.and_then(|found| found.addresses.first().ok_or(NotYet::NoAddress));
            daemon.wait_for(uplink, found.err());
        }
        // The rules name the uplink, and wait for it as we do.
        if let Ok(link) = links::resolve(wanted, system) {
            labs.push(Lab {
                network: link.network(),
                interface: link.name,
                uplink: uplink.clone(),
            });
        }
    }
    labs
}

fn tell(daemon: &Daemon, failed: Option<String>) {
    let earlier = daemon.nat.load_full();
    if earlier.as_deref() == failed.as_ref() {
        return;
    }
    match &failed {
        Some(reason) => warn!("NAT: clients do not reach the world: {reason}"),
        None => info!("NAT: clients reach the world"),
    }
    let alarm = failed.map(|reason| format!("no network address translation: {reason}"));
    daemon.nat.store(alarm.map(Arc::new));
}

/// What is in place.
#[derive(Default)]
struct Kept {
    labs: Vec<Lab>,
    /// Our table as nft lists it; `None` before it was put in place.
    table: Option<String>,
    /// Whether it is us who switched forwarding on.
    opened: bool,
    /// Chains of others that the operator was told of.
    told: Vec<String>,
    /// Whether the operator was told that nobody knows what the older iptables does.
    unknown: bool,
}

impl Kept {
    /// Looks whether everything is as it has to be, and puts it so.
    fn see_to(&mut self, labs: &[Lab]) -> Result<(), String> {
        if !privilege::is_here() {
            return Err(privilege::WANTED.to_owned());
        }
        let table = list(&["table", "ip", "netbootd"])?;
        let docker = list(&["chain", "ip", "filter", "DOCKER-USER"])?;
        let is_on = forwarding::is_on()?;
        if self.table.is_none() {
            // Left by one of us that was killed.
            self.opened = table.as_deref().is_some_and(rules::has_opened);
        }
        self.opened |= !is_on && !labs.is_empty();
        let in_docker = docker
            .as_deref()
            .is_none_or(|chain| rules::is_in_docker(labs, chain));
        let is_ours = self.table.is_some() && self.table == table && in_docker;
        if !is_ours || self.labs != labs {
            if self.table.is_some() && self.labs == labs {
                warn!("NAT: somebody changed the rules; they are put back");
            }
            nft(
                &["-f", "-"],
                &rules::put(labs, self.opened, docker.as_deref()),
            )?;
            self.table = list(&["table", "ip", "netbootd"])?;
            if self.labs != labs {
                for lab in labs {
                    let Lab {
                        interface,
                        network: (network, len),
                        uplink,
                    } = lab;
                    info!("NAT: {network}/{len} on {interface} reaches the world by {uplink}");
                }
            }
            self.labs = labs.to_vec();
        }
        // When the rules are in place: nothing leaves that is not translated.
        if !is_on && !labs.is_empty() {
            forwarding::switch(true)?;
            info!("NAT: switched net.ipv4.ip_forward on");
        }
        self.tell_of_others(docker.is_some())
    }

    /// What a firewall drops stays dropped, whatever our table says.
    fn tell_of_others(&mut self, docker: bool) -> Result<(), String> {
        let chains = nft(&["list", "chains"], "")?.output;
        let found = rules::of_others(&chains).into_iter();
        let found = found.filter(|found| {
            found.drops_forwarded && !(docker && found.chain == "ip filter FORWARD")
        });
        let found: Vec<String> = found.map(|found| found.chain).collect();
        for chain in found.iter().filter(|chain| !self.told.contains(chain)) {
            for Lab {
                interface, uplink, ..
            } in &self.labs
            {
                warn!(
                    "NAT: the firewall's chain `{chain}` drops what it is not told to accept; let it send on \
                     from {interface} to {uplink} and back (with ufw: ufw route allow in on {interface} out on {uplink})"
                );
            }
        }
        self.told = found;
        let legacy = legacy::look();
        if let Legacy::Unknown(reason) = &legacy {
            if !self.unknown {
                warn!(
                    "NAT: iptables-legacy is in use, which nft does not see; if clients do not reach the world, \
                     `iptables-legacy -S FORWARD` says whether it drops: {reason}"
                );
            }
            self.unknown = true;
        }
        let mut labs = self.labs.iter();
        let obstacle = labs.find_map(|lab| legacy.obstacle(&lab.interface, &lab.uplink));
        obstacle.map_or(Ok(()), Err)
    }

    /// Leaves everything as it was.
    fn take_away(&mut self) -> Result<(), String> {
        if self.table.is_none() {
            return Ok(());
        }
        let docker = list(&["chain", "ip", "filter", "DOCKER-USER"])?;
        nft(&["-f", "-"], &rules::remove(docker.as_deref()))?;
        if !self.opened {
            return Ok(());
        }
        let chains = nft(&["list", "chains"], "")?.output;
        if let Some(other) = rules::of_others(&chains)
            .iter()
            .find(|other| other.translates)
        {
            info!("NAT: net.ipv4.ip_forward stays on, for `{}`", other.chain);
            return Ok(());
        }
        forwarding::switch(false)
    }
}

/// What nft lists, with handles and without counts; `None`: there is no such thing.
fn list(what: &[&str]) -> Result<Option<String>, String> {
    let words = [&["-s", "-a", "list"], what].concat();
    match nft(&words, "") {
        Ok(ran) => Ok(Some(ran.output)),
        Err(reason) if reason.contains("No such file or directory") => Ok(None),
        Err(reason) => Err(reason),
    }
}

fn nft(words: &[&str], input: &str) -> Result<Ran, String> {
    let mut nft = Command::new("nft");
    nft.args(words);
    let ran = run(nft, input, LIMIT)
        .map_err(|reason| format!("nft(8), of Debian's package nftables: {reason}"))?;
    if ran.good {
        return Ok(ran);
    }
    Err(match ran.output.trim() {
        "" => format!("nft ended with {}", ran.ended),
        said => format!("nft: {said}"),
    })
}

/// What stands against the `nat` of an interface on this machine now, in words.
pub fn obstacle(interface: &Interface) -> Option<String> {
    let uplink = interface.nat.as_deref()?;
    let nft = || nft(&["--version"], "").err();
    let legacy = || legacy::look().obstacle(&interface.name, uplink);
    missing().or_else(nft).or_else(legacy)
}
