//! The network card that booted: found by its MAC, brought up, given its address.
//!
//! No other card is touched, and this one is never taken down again.

use std::fs;
use std::time::{Duration, Instant};

use model::{BootArguments, ClientNetwork, MacAddr};

use crate::modules::Modules;
use crate::netlink::{Netlink, Request};
use crate::uevent::{self, Devices};
use crate::{dhcp, say};

/// How often a state that has no event is looked at.
const STEP: Duration = Duration::from_millis(20);
/// After this much waiting the person is told what is missing, and then again now and then.
const PATIENCE: Duration = Duration::from_secs(3);
const REMINDER: Duration = Duration::from_secs(15);
/// After this long without the card, a machine that was given the drivers of one card alone
/// restarts: the server then gives it all of them.
const LONGEST_WITH_FEW: Duration = Duration::from_secs(30);

/// An interface of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interface {
    /// Its name, as the kernel gave it.
    pub(crate) name: String,
    /// Its index.
    pub(crate) index: u32,
}

impl Interface {
    fn read(&self, file: &str) -> Option<String> {
        let text = fs::read_to_string(format!("/sys/class/net/{}/{file}", self.name)).ok()?;
        Some(text.trim().to_owned())
    }

    fn driver(&self) -> String {
        fs::read_link(format!("/sys/class/net/{}/device/driver", self.name))
            .ok()
            .and_then(|link| Some(link.file_name()?.to_string_lossy().into_owned()))
            .unwrap_or_else(|| "unknown driver".to_owned())
    }
}

/// Loads drivers until the card with this MAC is there, however long that takes. An error when it
/// does not come and there are drivers that the server left out.
pub(crate) fn find(mac: MacAddr, modules: &Modules) -> Result<Interface, String> {
    let started = Instant::now();
    let mut devices = Devices::listen();
    let mut waiting = devices.present();
    let mut next_word = PATIENCE;
    waiting.reverse();
    loop {
        if let Some(interface) = with_mac(mac) {
            for phy in uevent::phys() {
                modules.load_for_device(&phy);
            }
            say!(
                "network card {mac} is {}, driven by {}",
                interface.name,
                interface.driver()
            );
            return Ok(interface);
        }
        let pause = if waiting.is_empty() {
            STEP * 10
        } else {
            Duration::ZERO
        };
        waiting.extend(devices.announced(pause));
        if let Some(modalias) = waiting.pop() {
            modules.load_for_device(&modalias);
        } else if started.elapsed() >= next_word {
            next_word = started.elapsed() + REMINDER;
            say!(
                "waiting for the network card with address {mac}; {}",
                cards()
            );
            if !modules.some_left_out() {
                say!(
                    "  if it never comes, its driver may be missing from the image: rebuild the image with all drivers"
                );
            } else if started.elapsed() >= LONGEST_WITH_FEW {
                return Err(format!(
                    "the network card with address {mac} did not come up with the drivers that the server chose for it; at the next start it gives all"
                ));
            }
            // An event may have been lost, and some buses announce nothing.
            waiting.extend(devices.present());
        }
    }
}

fn cards() -> String {
    let mut seen: Vec<String> = interfaces()
        .map(|card| format!("{} {}", card.name, card.read("address").unwrap_or_default()))
        .collect();
    seen.sort();
    if seen.is_empty() {
        "no network card has appeared yet".to_owned()
    } else {
        format!("the cards here are: {}", seen.join(", "))
    }
}

/// The interfaces that are hardware of this machine.
fn interfaces() -> impl Iterator<Item = Interface> {
    let entries = fs::read_dir("/sys/class/net")
        .into_iter()
        .flatten()
        .flatten();
    entries.filter_map(|entry| {
        let name = entry.file_name().to_str()?.to_owned();
        entry.path().join("device").exists().then_some(())?;
        let mut interface = Interface { name, index: 0 };
        interface.index = interface.read("ifindex")?.parse().ok()?;
        Some(interface)
    })
}

fn with_mac(mac: MacAddr) -> Option<Interface> {
    let wanted = mac.to_string();
    interfaces().find(|card| card.read("address").as_deref() == Some(wanted.as_str()))
}

/// Brings the card up and gives it the address from the command line, or one from DHCP. Returns
/// the network it ended with.
pub(crate) fn bring_up(interface: &Interface, arguments: &BootArguments) -> ClientNetwork {
    let netlink = insist("opening a netlink socket", Netlink::open);
    let index = interface.index;
    insist(&format!("switching {} on", interface.name), || {
        netlink.ask(Request::LinkUp { index })
    });
    wait_for_carrier(interface);
    let network = match &arguments.network {
        Some(network) => network.clone(),
        None => {
            say!(
                "no address on the kernel command line: asking by DHCP on {}",
                interface.name
            );
            dhcp::lease(interface, arguments.mac, &netlink)
        }
    };
    insist("setting the address", || {
        netlink.ask(Request::Address {
            index,
            address: network.address,
            prefix_len: network.prefix_len,
        })
    });
    if let Some(gateway) = network.gateway {
        let on_link = !same_subnet(&network, gateway);
        let route = Request::DefaultRoute {
            index,
            gateway: Some(gateway),
            on_link,
        };
        if let Err(error) = netlink.ask(route) {
            // The server is nearly always on the link: a bad gateway is no reason to stop.
            say!("the default route through {gateway} was refused: {error}");
        }
    }
    say!(
        "{} is up at {} Mbit/s: {}/{}, gateway {}",
        interface.name,
        interface
            .read("speed")
            .filter(|speed| !speed.starts_with('-'))
            .unwrap_or_else(|| "unknown".to_owned()),
        network.address,
        network.prefix_len,
        network
            .gateway
            .map_or("none".to_owned(), |gateway| gateway.to_string()),
    );
    network
}

fn same_subnet(network: &ClientNetwork, other: std::net::Ipv4Addr) -> bool {
    let mask = u32::MAX
        .checked_shl(32 - u32::from(network.prefix_len.min(32)))
        .unwrap_or(0);
    (u32::from(network.address) ^ u32::from(other)) & mask == 0
}

fn wait_for_carrier(interface: &Interface) {
    let started = Instant::now();
    let mut next_word = PATIENCE;
    while interface.read("carrier").as_deref() != Some("1") {
        if started.elapsed() >= next_word {
            next_word = started.elapsed() + REMINDER;
            say!(
                "{} has had no link for {} s: check its cable and the port of the switch",
                interface.name,
                started.elapsed().as_secs()
            );
        }
        std::thread::sleep(STEP);
    }
}

/// Tries until it works; what fails here has no server to be told.
fn insist<T>(what: &str, mut attempt: impl FnMut() -> std::io::Result<T>) -> T {
    let mut pause = Duration::from_secs(1);
    loop {
        match attempt() {
            Ok(value) => return value,
            Err(error) => {
                say!(
                    "{what} failed: {error}; trying again in {} s",
                    pause.as_secs()
                );
                std::thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_secs(30));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn a_gateway_outside_the_subnet_is_seen() {
        let network = |prefix_len| ClientNetwork {
            address: Ipv4Addr::new(10, 0, 0, 5),
            prefix_len,
            gateway: None,
            dns: None,
        };
        assert!(same_subnet(&network(24), Ipv4Addr::new(10, 0, 0, 1)));
        assert!(!same_subnet(&network(24), Ipv4Addr::new(10, 0, 1, 1)));
        assert!(!same_subnet(&network(32), Ipv4Addr::new(10, 0, 0, 1)));
        assert!(same_subnet(&network(0), Ipv4Addr::new(1, 1, 1, 1)));
    }
}
