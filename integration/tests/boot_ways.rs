//! Each of the ladder's ways with real firmware, said in the configuration, up to the script that its loader asks for:
//! what the firmware was told and what it did with that are read from the link. And all of them in turn, unsaid.
//!
//! `direct` is what all other tests boot by; `shim` is `boot_secure`'s and `boot_grub`'s.

use std::time::Duration;

use anyhow::{Result, ensure};
use integration::Firmware::{Bios, Uefi};
use integration::Mode::{Full, Proxy};
use integration::subject::netbootd::asked;
use integration::{
    Card, Firmware, Lab, Machine, Mode, Neighbour, Server, Setup, in_lab, ran, roots, succeed,
};

const LIMIT: Duration = Duration::from_secs(120);
/// A firmware's request to port 4011 of ours, and that an answer names what is DHCP's option 43.
const ASKS_4011: &str = "> 192.168.67.1.4011: ";
const OPTION_43: &str = "Vendor-Option (43)";

/// Boots a machine that is told in this way up to its script; gives the DHCP messages on the link, as tcpdump shows them,
/// each in one line, and what `netbootd why` says.
fn told(lab: &Lab, firmware: Firmware, mode: Mode, way: &str) -> Result<(Vec<String>, String)> {
    let small = roots::small()?;
    let config = format!("[groups.room]\nmembers = [\"*\"]\nfirmware = \"{way}\"\n");
    let setup = Setup {
        mode,
        image: Some(&small),
        config: &config,
        ..Setup::default()
    };
    let _neighbour = match mode {
        Full => None,
        Proxy => Some(Neighbour::start(lab)?),
    };
    let mut server = Server::netbootd(lab, &setup)?;
    let mut machine = Machine::start(lab, firmware, Card::Virtio, 512)?;
    let script = format!("/boot/{}.ipxe", machine.mac().replace(':', "-"));
    machine.until_says(&[&script], LIMIT)?;
    let why = integration::until(LIMIT, "the script to be asked for", || {
        let why = asked(lab, &["why", machine.mac()])?;
        Ok(why.contains(" script ").then_some(why))
    })?;
    drop(machine);
    server.must_run()?;
    lab.close_capture();
    let mut tcpdump = lab.command("tcpdump")?;
    tcpdump.args(["-nnvr"]).arg(lab.capture());
    let ports = "udp port 67 or udp port 68 or udp port 4011";
    let text = ran(tcpdump.args(ports.split(' ')))?.text;
    // A packet begins at the margin.
    let mut packets: Vec<String> = Vec::new();
    for line in text.lines() {
        match packets.last_mut() {
            Some(packet) if line.starts_with(char::is_whitespace) => *packet += line,
            _ => packets.push(line.to_owned()),
        }
    }
    Ok((packets, why))
}

/// What we said to the firmware, which has no option 175, on port 67.
fn offers(packets: &[String]) -> Vec<&String> {
    let ours = |packet: &&String| {
        packet.contains("192.168.67.1.67 > ")
            && packet.contains("DHCP-Message (53), length 1: Offer")
    };
    packets.iter().filter(ours).collect()
}

fn at_the_boot_server(lab: &Lab, mode: Mode) -> Result<()> {
    let (packets, why) = told(lab, Uefi, mode, "boot-server")?;
    ensure!(
        packets.iter().any(|packet| packet.contains(ASKS_4011)),
        "{packets:#?}"
    );
    let first = offers(&packets)[0];
    ensure!(
        !first.contains(OPTION_43) && !first.contains("snponly.efi"),
        "{first}"
    );
    ensure!(why.contains("snponly.efi, "), "{why}");
    Ok(())
}

fn in_the_header(lab: &Lab, mode: Mode) -> Result<()> {
    let (packets, why) = told(lab, Uefi, mode, "header")?;
    let first = offers(&packets)[0];
    ensure!(first.contains("file \"snponly.efi\""), "{first}");
    ensure!(
        !first.contains(OPTION_43) && !first.contains("BF (67)"),
        "{first}"
    );
    ensure!(why.contains("snponly.efi, "), "{why}");
    Ok(())
}

#[test]
fn uefi_asks_port_4011_for_its_loader_in_proxy_mode() {
    in_lab(|lab| at_the_boot_server(lab, Proxy));
}

#[test]
fn matrix_uefi_asks_port_4011_for_its_loader_in_full_mode() {
    in_lab(|lab| at_the_boot_server(lab, Full));
}

#[test]
fn matrix_uefi_finds_its_loader_in_the_header_in_full_mode() {
    in_lab(|lab| in_the_header(lab, Full));
}

#[test]
fn matrix_uefi_finds_its_loader_in_the_header_in_proxy_mode() {
    in_lab(|lab| in_the_header(lab, Proxy));
}

#[test]
fn matrix_uefi_boots_with_the_other_ipxe() {
    in_lab(|lab| {
        let (packets, why) = told(lab, Uefi, Full, "other-ipxe")?;
        let first = offers(&packets)[0];
        ensure!(
            first.contains(OPTION_43) && first.contains("file \"ipxe.efi\""),
            "{first}"
        );
        ensure!(
            why.contains("ipxe.efi, ") && !why.contains("snponly"),
            "{why}"
        );
        Ok(())
    });
}

/// The card's ROM is an iPXE with HTTP: it needs no loader, whatever is said of how that is told.
#[test]
fn matrix_an_ipxe_in_the_cards_rom_asks_for_its_script_at_once() {
    in_lab(|lab| {
        for (mode, way) in [(Full, "header"), (Proxy, "boot-server")] {
            let (packets, why) = told(lab, Bios, mode, way)?;
            ensure!(
                !packets.iter().any(|packet| packet.contains(ASKS_4011)),
                "{packets:#?}"
            );
            ensure!(!why.contains(" loader "), "{why}");
        }
        Ok(())
    });
}

/// Nobody says anything in the configuration: a firewall in between lets no request for a file through, whatever the
/// machine is told, and its person switches it off and on.
#[test]
fn matrix_one_machine_climbs_from_way_to_way_until_one_brings_it_to_its_script() {
    in_lab(|lab| {
        let small = roots::small()?;
        let setup = Setup {
            image: Some(&small),
            ..Setup::default()
        };
        let mut server = Server::netbootd(lab, &setup)?;
        let nft = |rules: &str| succeed(lab.command("nft")?.arg(rules));
        nft(
            "table inet wall { chain in { type filter hook input priority 0; udp dport 69 drop; }; }",
        )?;
        let plug = lab.tap()?;
        let mac = plug.1.clone();
        let start = || Machine::plugged_in(lab, Uefi, Card::Virtio, 1024, plug.clone());
        let mut machine = start()?;
        for told in [
            "told by direct, it did not fetch what it was told the last time; it gets its loader from port 4011 now",
            "told by boot-server, it did not fetch what it was told the last time; it gets its loader in the header alone now",
            "told by header, it did not fetch what it was told the last time; it gets the other iPXE now",
            "told by other-ipxe, it did not fetch what it was told the last time; it gets shim and GRUB now",
        ] {
            machine.until_says(&["Station IP address is"], LIMIT)?;
            // Who comes again within five seconds of its address goes on with what it did.
            std::thread::sleep(Duration::from_secs(5));
            drop(machine);
            machine = start()?;
            integration::until(LIMIT, told, || {
                Ok(asked(lab, &["why", &mac])?.contains(told).then_some(()))
            })?;
        }
        // Its firmware is still asking.
        nft("delete table inet wall")?;
        machine.until_says(&["VERDICT PASS"], 2 * LIMIT)?;
        drop(machine);
        let client = asked(lab, &["client", &mac])?;
        let remembered = "boots with shim and GRUB; found out and remembered";
        ensure!(client.contains(remembered), "{client}");

        let mut machine = start()?;
        machine.until_says(&["Fetching Netboot Image grubx64.efi"], LIMIT)?;
        server.must_run()
    });
}
