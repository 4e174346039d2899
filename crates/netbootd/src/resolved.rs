//! This machine's own systemd-resolved learns who answers for the clients' names.
//!
//! Not the daemon's work: resolved listens to root and to whom polkit lets, and who may tell it about one
//! card may tell it about all. So it is a process of its own, which hears nothing from the network, with
//! a unit that the operator enables (`systemd/netbootd-resolved.service`). What it says is about the
//! served interface alone, is routing only (names of the domain go there, all others where they went),
//! and is taken back at the end.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use config::{Config, Mode};
use net::Protocol;
use tokio::net::UdpSocket;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

use crate::follow;
use crate::links::{self, Link};
use crate::nat::UNIT_FOLDERS;
use crate::program::run;

/// How long resolvectl may take.
const LIMIT: Duration = Duration::from_secs(10);
/// How often it is looked whether resolved still knows: whoever sets the interface up anew makes it forget.
const LOOK: Duration = Duration::from_secs(30);
/// The same as long as something is not as it shall be.
const SOON: Duration = Duration::from_secs(3);
/// Between two looks, when interfaces change many at a time.
const PAUSE: Duration = Duration::from_millis(200);
/// More domains of an interface are refused by resolved.
const MAX_DOMAINS: usize = 256;

/// What resolved is told of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    link: Link,
    domains: Vec<String>,
}

/// Keeps resolved informed until the process is told to end.
pub async fn keep(config: &Config) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let changes = net::changes().and_then(UdpSocket::from_std);
    let changes = changes.context("changes of interfaces cannot be heard")?;
    let mut kept = Kept::default();
    loop {
        let pause = match kept.see_to(config)? {
            true => LOOK,
            false => SOON,
        };
        tokio::time::sleep(PAUSE).await;
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            ready = changes.readable() => ready?,
            () = tokio::time::sleep(pause) => {}
        }
        follow::drain(&changes);
    }
    kept.take_back_all();
    Ok(())
}

#[derive(Default)]
struct Kept {
    /// By the interface's name.
    told: BTreeMap<String, Told>,
    /// What stood in the way the last time.
    failed: Option<String>,
}

impl Kept {
    /// Looks whether resolved knows what it has to, and tells it. `false`: not all is as it shall be.
    fn see_to(&mut self, config: &Config) -> anyhow::Result<bool> {
        let system = net::interfaces().context("the interfaces cannot be listed")?;
        let mut all = true;
        let mut failed = None;
        for wanted in &config.interfaces {
            let name = &wanted.name;
            let served = config.dns.enabled.unwrap_or(wanted.mode != Mode::Proxy);
            if wanted.mode == Mode::Off || !served {
                continue;
            }
            let link = links::resolve(wanted, &system).ok();
            // In auto mode it is the daemon who knows whether it answers.
            let answers = |link: &Link| net::holder(Protocol::Udp, link.address, 53).is_some();
            let Some(link) = link.filter(answers) else {
                all = false;
                if let Some(gone) = self.told.remove(name)
                    && system.contains_key(name)
                {
                    take_back(&gone.link.name);
                }
                continue;
            };
            let domains = domains(config, &link);
            let wanted = Told { link, domains };
            let told = self.told.get(name);
            if told.is_some_and(|told| *told == wanted) && wanted.is_known() {
                continue;
            }
            if told.is_some_and(|told| told.link.id == wanted.link.id) {
                info!(interface = name, "resolved has to be told again");
            }
            match wanted.tell() {
                Ok(()) => {
                    let (domain, address) = (&config.dns.domain, wanted.link.address);
                    info!(
                        interface = name,
                        "resolved asks {address} for names in {domain}"
                    );
                    self.told.insert(name.clone(), wanted);
                }
                Err(reason) => failed = Some(reason),
            }
        }
        all &= failed.is_none();
        if self.failed != failed
            && let Some(reason) = &failed
        {
            warn!("resolved was not told: {reason}");
        }
        self.failed = failed;
        Ok(all)
    }

    fn take_back_all(&self) {
        self.told.keys().for_each(|name| take_back(name));
    }
}

impl Told {
    fn tell(&self) -> Result<(), String> {
        let name = self.link.name.as_str();
        let domains: Vec<&str> = self.domains.iter().map(String::as_str).collect();
        resolvectl(&[&["domain", name], domains.as_slice()].concat())?;
        resolvectl(&["default-route", name, "no"])?;
        // The zone is not signed, and is asked for in the clear, whatever holds for the world's names.
        resolvectl(&["dnssec", name, "no"])?;
        resolvectl(&["dnsovertls", name, "no"])?;
        // Last: a link with a server and no domain would be asked for everything.
        resolvectl(&["dns", name, &self.link.address.to_string()])?;
        Ok(())
    }

    fn is_known(&self) -> bool {
        let says = |what| resolvectl(&[what, &self.link.name]).unwrap_or_default();
        let (domains, server) = (says("domain"), says("dns"));
        let has = |said: &str, wanted: &str| said.split_whitespace().any(|word| word == wanted);
        has(&server, &self.link.address.to_string())
            && self.domains.iter().all(|domain| has(&domains, domain))
    }
}

fn take_back(name: &str) {
    match resolvectl(&["revert", name]) {
        Ok(_) => info!(interface = name, "resolved was told to forget it"),
        Err(reason) => warn!(
            interface = name,
            "resolved may still ask here (resolvectl revert {name}): {reason}"
        ),
    }
}

/// Names of the domain, and addresses of the link's network and of those behind relays, as resolved writes
/// domains that are for routing only.
fn domains(config: &Config, link: &Link) -> Vec<String> {
    let relayed = config.subnets.iter();
    let relayed = relayed.map(|subnet| (subnet.network, subnet.prefix_len));
    let networks = std::iter::once(link.network()).chain(relayed);
    let reverse = networks.flat_map(|(network, prefix_len)| reverse_zones(network, prefix_len));
    let domain = Some(config.dns.domain.clone()).filter(|domain| !domain.is_empty());
    let all = domain.into_iter().chain(reverse);
    all.map(|domain| format!("~{domain}"))
        .take(MAX_DOMAINS)
        .collect()
}

/// The reverse zones that a network consists of, 128 at most: none holds an address of another network, of which
/// we would ask our upstreams, and those, where they are resolved, us.
fn reverse_zones(network: Ipv4Addr, prefix_len: u8) -> impl Iterator<Item = String> {
    let octets = usize::from(prefix_len.clamp(1, 32).div_ceil(8));
    let bits = u32::from(prefix_len.clamp(1, 32));
    let (step, count) = (32 - 8 * octets, 1u32 << (8 * octets as u32 - bits));
    (0..count).map(move |number| {
        let [a, b, c, d] = Ipv4Addr::from(u32::from(network) | number << step).octets();
        match octets {
            1 => format!("{a}.in-addr.arpa"),
            2 => format!("{b}.{a}.in-addr.arpa"),
            3 => format!("{c}.{b}.{a}.in-addr.arpa"),
            _ => format!("{d}.{c}.{b}.{a}.in-addr.arpa"),
        }
    })
}

fn resolvectl(words: &[&str]) -> Result<String, String> {
    let mut resolvectl = Command::new("resolvectl");
    resolvectl.arg("--no-pager").args(words);
    let ran = run(resolvectl, "", LIMIT)
        .map_err(|reason| format!("resolvectl(1), of the package systemd-resolved: {reason}"))?;
    match ran.good {
        true => Ok(ran.output),
        false => Err(format!(
            "resolvectl {}: {}, {} (systemctl status systemd-resolved)",
            words[0],
            ran.ended,
            ran.output.trim()
        )),
    }
}

/// What stands against `dns.tell_resolved` on this machine now, in words.
pub fn obstacle(config: &Config) -> Option<String> {
    if !config.dns.tell_resolved {
        return None;
    }
    let wanted = "netbootd.service.wants/netbootd-resolved.service";
    let is_enabled = |folder: &&str| Path::new(folder).join(wanted).is_symlink();
    if !UNIT_FOLDERS.iter().any(is_enabled) {
        return Some(
            "the unit that tells it is not enabled: install systemd/netbootd-resolved.service in \
             /etc/systemd/system, then systemctl enable --now netbootd-resolved"
                .to_owned(),
        );
    }
    resolvectl(&["domain"]).err()
}

#[cfg(test)]
mod tests {
    use super::reverse_zones;

    fn zones(network: [u8; 4], prefix_len: u8) -> Vec<String> {
        reverse_zones(network.into(), prefix_len).collect()
    }

    #[test]
    fn reverse_zones_hold_the_network_and_no_other_address() {
        assert_eq!(zones([192, 168, 67, 0], 24), ["67.168.192.in-addr.arpa"]);
        assert_eq!(zones([10, 0, 0, 0], 8), ["10.in-addr.arpa"]);
        assert_eq!(
            zones([10, 1, 4, 0], 23),
            ["4.1.10.in-addr.arpa", "5.1.10.in-addr.arpa"]
        );
        assert_eq!(
            zones([172, 16, 0, 0], 15),
            ["16.172.in-addr.arpa", "17.172.in-addr.arpa"]
        );
        let half = zones([198, 51, 100, 128], 25);
        assert_eq!(half.len(), 128);
        assert_eq!(half[127], "255.100.51.198.in-addr.arpa");
    }
}
