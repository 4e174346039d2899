//! The other DHCP server: on the link in proxy mode, an office router that knows of no boot; on
//! another link, what a second card gets its address from.

use std::time::Duration;

use anyhow::Result;

use crate::dnsmasq::ALONE;
use crate::lab::{Client, Lab};
use crate::process::{Process, succeed};

/// dnsmasq in its own namespace, handing out addresses and nothing else.
#[derive(Debug)]
pub struct Neighbour {
    // Dropped in this order: the program before its namespace.
    _dnsmasq: Process,
    client: Client,
}

impl Neighbour {
    /// Its address on the lab's link.
    pub const ADDRESS: &'static str = "192.168.67.2";
    /// Its address on another link.
    pub const ELSEWHERE: &'static str = "192.168.99.1";

    /// Starts it and waits until it serves.
    pub fn start(lab: &Lab) -> Result<Self> {
        Self::leasing(lab, "1h")
    }

    /// The same with leases of this length, as dnsmasq writes it.
    pub fn leasing(lab: &Lab, time: &str) -> Result<Self> {
        Self::run(lab, lab.client()?, Self::ADDRESS, &[], time)
    }

    /// The same that names our server as the one to go on to, as GRUB needs it.
    pub fn naming_us(lab: &Lab) -> Result<Self> {
        let words = [format!("--dhcp-boot=,,{}", Lab::SERVER)];
        Self::run(lab, lab.client()?, Self::ADDRESS, &words, "1h")
    }

    /// On the link of this bridge.
    pub fn elsewhere(lab: &Lab, bridge: &str) -> Result<Self> {
        Self::run(lab, lab.client_at(bridge)?, Self::ELSEWHERE, &[], "1h")
    }

    fn run(lab: &Lab, client: Client, address: &str, words: &[String], time: &str) -> Result<Self> {
        client.set_address(address.parse()?)?;
        let net = address.rsplit_once('.').map_or("", |(net, _)| net);
        let mut dnsmasq = client.command("dnsmasq")?;
        dnsmasq
            .args(ALONE)
            .args([
                "--interface=eth0",
                "--bind-interfaces",
                "--port=0",
                "--no-ping",
                "--log-dhcp",
            ])
            .arg(format!("--dhcp-range={net}.100,{net}.190,{time}"))
            .arg("--dhcp-authoritative")
            // It answers no DNS itself, and so would name nobody.
            .arg(format!("--dhcp-option=option:dns-server,{address}"))
            .arg("--dhcp-leasefile=/run/leases")
            .args(words);
        let log = lab.folder().join(format!("neighbour-{net}.log"));
        let mut dnsmasq = Process::start(&mut dnsmasq, &log)?;
        dnsmasq.until_printed("DHCP, IP range", Duration::from_secs(10))?;
        Ok(Self {
            _dnsmasq: dnsmasq,
            client,
        })
    }

    /// Its file of leases.
    pub fn leases(&self) -> Result<String> {
        Ok(succeed(self.client.command("cat")?.arg("/run/leases"))?.text)
    }

    /// When the lease of this address ends, in Unix time.
    pub fn lease_ends(&self, address: &str) -> Result<Option<u64>> {
        let leases = self.leases()?;
        let line = leases
            .lines()
            .find(|line| line.contains(&format!(" {address} ")));
        Ok(line.and_then(|line| line.split(' ').next()?.parse().ok()))
    }
}
