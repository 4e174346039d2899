//! The names that are asked for, and the files that the servers have them from.

use std::fmt::Write;
use std::net::Ipv4Addr;

use anyhow::{Result, bail};
use integration::room::{Chance, Relay, message};
use integration::subject::names::DOMAIN;

/// 10 000 machines with a name each, and names of the rest of the world.
pub(crate) struct Names;

impl Names {
    /// Machines.
    pub(crate) const MACHINES: u32 = 10_000;
    /// Names of the rest of the world.
    const OTHERS: u32 = 1000;

    fn address(machine: u32) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(Relay::ADDRESS) + 9 + machine)
    }

    /// The machines' leases, as dnsmasq keeps them.
    pub(crate) fn leases() -> String {
        let mut text = String::new();
        for machine in 0..Self::MACHINES {
            let mac = message::mac(machine).map(|byte| format!("{byte:02x}"));
            let (mac, address) = (mac.join(":"), Self::address(machine));
            let _ = writeln!(text, "4102444800 {mac} {address} pc{machine} *");
        }
        text
    }

    /// The machines, as `/etc/hosts` has them.
    pub(super) fn hosts() -> String {
        let mut text = String::new();
        for machine in 0..Self::MACHINES {
            let _ = writeln!(text, "{} pc{machine}.{DOMAIN}", Self::address(machine));
        }
        text
    }

    /// Names of the rest of the world, as `/etc/hosts` has them.
    pub(super) fn others() -> String {
        let mut text = String::new();
        for number in 0..Self::OTHERS {
            let address = Ipv4Addr::from(0x0808_0000 + number);
            let _ = writeln!(text, "{address} www.site{number}.example");
        }
        text
    }

    /// The machines' names and addresses, each as the records of a zone.
    pub(super) fn zones() -> [String; 2] {
        let head = format!(
            "$TTL 60\n@ SOA ns.{DOMAIN}. root.{DOMAIN}. 1 3600 1200 604800 15\n@ NS ns.{DOMAIN}.\n"
        );
        let mut names = format!("{head}ns A {}\n", integration::Lab::SERVER);
        let mut addresses = head;
        for machine in 0..Self::MACHINES {
            let address = Self::address(machine);
            let [_, b, c, d] = address.octets();
            let _ = writeln!(names, "pc{machine} A {address}");
            let _ = writeln!(addresses, "{d}.{c}.{b} PTR pc{machine}.{DOMAIN}.");
        }
        [names, addresses]
    }

    /// The questions of a case, as dnsperf reads them.
    pub(crate) fn questions(case: &str) -> Result<String> {
        let mut chance = Chance::new(1);
        let mut text = String::new();
        for _ in 0..Self::MACHINES {
            let number = chance.roll() as u32 % Self::MACHINES;
            let _ = match case {
                "a" => writeln!(text, "pc{number}.{DOMAIN} A"),
                "ptr" => {
                    let [a, b, c, d] = Self::address(number).octets();
                    writeln!(text, "{d}.{c}.{b}.{a}.in-addr.arpa PTR")
                }
                "cached" => writeln!(text, "www.site{}.example A", number % Self::OTHERS),
                other => bail!("no case {other}"),
            };
        }
        Ok(text)
    }
}
