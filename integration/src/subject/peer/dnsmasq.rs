//! dnsmasq as DHCP, TFTP and DNS server.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use crate::dnsmasq::ALONE;
use crate::lab::Lab;
use crate::process::Process;
use crate::subject::{Mode, Setup, names};

/// Serves what a test wants, as well as dnsmasq can: without its ping, with router advertisements,
/// and with the word to iPXE that no proxy will come.
pub fn start(lab: &Lab, setup: &Setup<'_>, files: &Path) -> Result<Process> {
    // iPXE does not go on until somebody answers its router solicitation, or 13 s have passed.
    lab.server().ip(&format!(
        "address replace fd67::1/64 dev {} nodad",
        Lab::BRIDGE
    ))?;
    run(lab, &text(setup, files)?)
}

/// Runs it with this configuration, and returns when it serves. TFTP must be on.
pub fn run(lab: &Lab, text: &str) -> Result<Process> {
    let config = lab.folder().join("dnsmasq.conf");
    fs::write(&config, text)?;
    let mut dnsmasq = lab.command("dnsmasq")?;
    dnsmasq
        .args(ALONE)
        .arg(format!("--conf-file={}", config.display()))
        .arg(format!(
            "--dhcp-leasefile={}",
            lab.folder().join("leases").display()
        ));
    let mut dnsmasq = Process::start(&mut dnsmasq, &lab.folder().join("dnsmasq.log"))?;
    dnsmasq.until_printed("dnsmasq-tftp", Duration::from_secs(10))?;
    Ok(dnsmasq)
}

fn text(setup: &Setup<'_>, files: &Path) -> Result<String> {
    let mut text = String::new();
    writeln!(text, "interface={}\nbind-dynamic", Lab::BRIDGE)?;
    writeln!(text, "log-dhcp\nno-ping\nno-resolv\nno-hosts")?;
    writeln!(text, "enable-tftp\ntftp-root={}", files.display())?;
    writeln!(text, "enable-ra\ndhcp-range=fd67::,ra-only")?;
    let (host, address) = names::HOST;
    let domain = names::DOMAIN;
    writeln!(text, "domain={domain}\nlocal=/{domain}/\nbogus-priv")?;
    writeln!(text, "server={}", names::UPSTREAM)?;
    writeln!(text, "host-record={host}.{domain},{address}")?;
    writeln!(text, "dhcp-match=set:ipxe,175")?;
    let script = if setup.image.is_some() {
        "boot.ipxe"
    } else {
        "undionly.kpxe"
    };
    match setup.mode {
        Mode::Full => {
            let (first, last) = names::POOL;
            writeln!(text, "dhcp-range={first},{last},12h")?;
            let (first, last) = names::FAR_POOL;
            writeln!(text, "dhcp-range=set:far,{first},{last},255.255.255.0,12h")?;
            writeln!(text, "dhcp-option=tag:far,option:router,{}", names::RELAY)?;
            writeln!(text, "dhcp-authoritative")?;
            writeln!(text, "dhcp-match=set:uefi,option:client-arch,7")?;
            // iPXE need not wait for a proxy: we are the only server.
            writeln!(text, "dhcp-option=tag:ipxe,encap:175,176,1b")?;
            writeln!(text, "dhcp-boot=tag:ipxe,{script}")?;
            writeln!(text, "dhcp-boot=tag:!ipxe,tag:uefi,snponly.efi")?;
            writeln!(
                text,
                "dhcp-boot=tag:!ipxe,tag:!uefi,tag:!http,undionly.kpxe"
            )?;
            writeln!(text, "dhcp-vendorclass=set:http,HTTPClient")?;
            writeln!(text, "dhcp-option-force=tag:http,60,HTTPClient")?;
            let loader = format!("http://{}/loader/ipxe.efi", Lab::SERVER);
            writeln!(text, "dhcp-boot=tag:http,tag:!ipxe,{loader}")?;
        }
        Mode::Proxy => {
            writeln!(text, "dhcp-range=192.168.67.0,proxy,255.255.255.0")?;
            for (service, loader) in [
                ("X86PC", "undionly.kpxe"),
                ("X86-64_EFI", "snponly.efi"),
                ("BC_EFI", "snponly.efi"),
            ] {
                writeln!(text, "pxe-service=tag:!ipxe,{service},\"netboot\",{loader}")?;
                writeln!(text, "pxe-service=tag:ipxe,{service},\"netboot\",{script}")?;
            }
        }
    }
    Ok(text)
}
