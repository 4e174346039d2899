//! Boots that fail: what is left of them to look at.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use integration::subject::netbootd::asked;
use integration::{Card, Firmware, Machine, Server, in_lab_with_small, succeed, until};

#[test]
fn the_last_packets_of_a_boot_that_failed_are_there_to_be_read() {
    in_lab_with_small(Server::netbootd, |lab, _, _, _| {
        let machine = Machine::start(lab, Firmware::Uefi, Card::Virtio, 512)?;
        let mac = machine.mac().to_owned();
        let limit = Duration::from_secs(120);
        until(limit, "iPXE to ask for its script", || {
            Ok(asked(lab, &["status", "--steps"])?
                .contains("script")
                .then_some(()))
        })?;
        // The power goes.
        drop(machine);
        let why = until(limit, "the boot to be given up", || -> Result<_> {
            let why = asked(lab, &["why", &mac])?;
            Ok(why.contains("its last packets: ").then_some(why))
        })?;
        eprintln!("{why}");
        let file = why.split("tcpdump -vvnr ").nth(1).context("no file")?;
        let mut tcpdump = lab.command("tcpdump")?;
        let shown = succeed(tcpdump.args(["-vvnAr", file.trim()]))?.text;
        eprintln!("{shown}");
        for wanted in [
            "0.0.0.0.68 > 255.255.255.255.67",
            "DHCP-Message (53), length 1: Discover",
            "DHCP-Message (53), length 1: Offer",
            "DHCP-Message (53), length 1: ACK",
            "PXEClient:Arch:00007",
            "RRQ \"snponly.efi\" octet tsize 0",
            // tcpdump knows TFTP by its port, which an answer does not come from.
            ".tsize.1",
            ".ipxe HTTP/1.1",
            "HTTP/1.1 200 OK",
            &format!("Client-Ethernet-Address {mac}"),
        ] {
            ensure!(shown.contains(wanted), "{wanted:?} is not in the capture");
        }
        ensure!(!shown.contains("bad cksum") && !shown.contains("truncated"));
        Ok(())
    });
}
