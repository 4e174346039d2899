//! The other DHCP server on the link, for proxy mode: an office router that knows of no boot.

use std::time::Duration;

use anyhow::Result;

use crate::lab::{Client, Lab};
use crate::process::Process;

/// dnsmasq in its own namespace on the link, handing out addresses and nothing else.
#[derive(Debug)]
pub struct Neighbour {
    // Dropped in this order: the program before its namespace.
    _dnsmasq: Process,
    _client: Client,
}

impl Neighbour {
    /// Its address.
    pub const ADDRESS: &'static str = "192.168.67.2";

    /// Starts it and waits until it serves.
    pub fn start(lab: &Lab) -> Result<Self> {
        let client = lab.client()?;
        client.set_address(Self::ADDRESS.parse()?)?;
        let mut dnsmasq = client.command("dnsmasq")?;
        dnsmasq
            .args([
                "--keep-in-foreground",
                "--log-facility=-",
                "--user=root",
                "--conf-file=/dev/null",
            ])
            .args([
                "--interface=eth0",
                "--bind-interfaces",
                "--port=0",
                "--no-ping",
                "--log-dhcp",
            ])
            .args([
                "--dhcp-range=192.168.67.100,192.168.67.190,1h",
                "--dhcp-authoritative",
            ])
            .args(["--pid-file=", "--dhcp-leasefile=/run/leases"]);
        let mut dnsmasq = Process::start(&mut dnsmasq, &lab.folder().join("neighbour.log"))?;
        dnsmasq.until_printed("DHCP, IP range", Duration::from_secs(10))?;
        Ok(Self {
            _dnsmasq: dnsmasq,
            _client: client,
        })
    }
}
