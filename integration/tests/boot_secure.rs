//! Machines that enforce Secure Boot, with Microsoft's keys as they are sold: nobody says so to the server, which finds
//! it out, and boots them with shim, signed GRUB and the image's signed kernel.

use std::time::Duration;

use anyhow::{bail, ensure};
use integration::clients::tftp::{Fetched, Tool, fetch};
use integration::subject::netbootd::asked;
use integration::{Card, Firmware, Machine, Mode, Neighbour, Server, Setup, boot, in_lab, roots};

const LIMIT: Duration = Duration::from_secs(240);
const ENFORCED: &str = "[groups.room]\nmembers = [\"*\"]\nsecure_boot = true\n";

#[test]
fn a_machine_with_secure_boot_is_found_out_and_boots_with_its_second_start() {
    in_lab(|lab| {
        let small = roots::small()?;
        let setup = Setup {
            image: Some(&small),
            ..Setup::default()
        };
        let mut server = Server::netbootd(lab, &setup)?;
        let plug = lab.tap()?;
        let mac = plug.1.clone();
        let start =
            || Machine::plugged_in(lab, Firmware::SecureBoot, Card::Virtio, 1024, plug.clone());

        // Its firmware refuses the loader that everybody gets.
        let mut machine = start()?;
        machine.until_says(&["Access Denied"], LIMIT)?;
        drop(machine);

        let mut machine = start()?;
        let verdict = machine.until_says(&["VERDICT PASS", "VERDICT FAIL"], LIMIT)?;
        ensure!(verdict == "VERDICT PASS", "{}", machine.console.text());
        ensure!(
            machine.console.text().contains("Secure boot enabled"),
            "the kernel does not know of Secure Boot"
        );
        eprintln!(
            "Secure Boot: verdict after {:.1} s",
            machine.console.elapsed().as_secs_f32()
        );
        drop(machine);
        let why = asked(lab, &["why", &mac])?;
        for wanted in [
            "it fetched snponly.efi, then silence: Secure Boot refused it",
            "next time it gets shim and GRUB",
            "fetched its loader, then silence the last time; it gets shim and GRUB now",
            "shimx64.efi, ",
        ] {
            ensure!(why.contains(wanted), "no {wanted:?} in:\n{why}");
        }
        let client = asked(lab, &["client", &mac])?;
        ensure!(
            client.contains("boots with shim and GRUB; found out and remembered")
                && client.contains("secure boot is on, as it said"),
            "{client}"
        );
        let simulated =
            |words: &[&str]| asked(lab, &[&["simulate", "--mac", &mac][..], words].concat());
        for (words, fetched) in [
            (&[][..], "fetches shimx64.efi from 192.168.67.1 over TFTP"),
            (&["--arch", "0"], "fetches undionly.kpxe from 192.168.67.1"),
            (
                &["--mode", "ipxe", "--proxy"],
                "fetches http://192.168.67.1/boot/",
            ),
        ] {
            let told = simulated(words)?;
            ensure!(told.contains(fetched), "no {fetched:?} in:\n{told}");
            ensure!(told.contains("boots small@"), "{words:?}:\n{told}");
        }
        for (words, end) in [
            (&["--arch", "16"][..], "boots nothing from here"),
            (
                &["--proxy"],
                "asks nobody: it boots if the other DHCP server names 192.168.67.1",
            ),
        ] {
            let told = simulated(words)?;
            ensure!(told.contains(end), "no {end:?} in:\n{told}");
        }
        server.must_run()?;
        drop(server);

        // Another daemon knows it from the disk.
        let mut server = Server::netbootd(lab, &setup)?;
        let mut machine = start()?;
        machine.until_says(&["netbootd: small"], LIMIT)?;
        let why = asked(lab, &["why", &mac])?;
        ensure!(
            why.contains("shimx64.efi, ") && !why.contains("snponly"),
            "{why}"
        );
        server.must_run()
    });
}

#[test]
fn matrix_secure_boot_that_is_configured_needs_no_second_start() {
    in_lab(|lab| {
        let small = roots::small()?;
        let setup = Setup {
            image: Some(&small),
            config: ENFORCED,
            ..Setup::default()
        };
        let mut server = Server::netbootd(lab, &setup)?;
        boot::passes(lab, &mut server, Firmware::SecureBoot)
    });
}

/// shim reads a proxy's offer, signed GRUB does not: its server is the one that the acknowledgement names (`siaddr`).
#[test]
fn matrix_secure_boot_in_proxy_mode_needs_the_other_server_to_name_us() {
    in_lab(|lab| {
        let small = roots::small()?;
        let setup = Setup {
            mode: Mode::Proxy,
            image: Some(&small),
            config: ENFORCED,
            ..Setup::default()
        };
        let mut server = Server::netbootd(lab, &setup)?;
        let neighbour = Neighbour::naming_us(lab)?;
        boot::passes(lab, &mut server, Firmware::SecureBoot)?;
        drop(neighbour);

        // dnsmasq names itself where it is told nothing, and GRUB asks it, for minutes.
        let _neighbour = Neighbour::start(lab)?;
        let mut machine = Machine::start(lab, Firmware::SecureBoot, Card::Virtio, 1024)?;
        machine.until_says(&["Welcome to GRUB!"], LIMIT)?;
        let told = "the other DHCP server must name this server as the next one";
        integration::until(LIMIT, "the boot to be called stopped", || {
            Ok(asked(lab, &["why", machine.mac()])?
                .contains(told)
                .then_some(()))
        })?;
        server.must_run()
    });
}

/// Debian's GRUB that came over HTTP asks nobody for anything, so over HTTP a machine with Secure Boot is told nothing,
/// and its PXE, which comes next in its boot order, boots it.
#[test]
fn matrix_secure_boot_over_http_is_refused_and_explained() {
    in_lab(|lab| {
        let small = roots::small()?;
        let setup = Setup {
            image: Some(&small),
            ..Setup::default()
        };
        let mut server = Server::netbootd(lab, &setup)?;
        let plug = lab.tap()?;
        let mac = plug.1.clone();
        let start = |firmware| Machine::plugged_in(lab, firmware, Card::Virtio, 1024, plug.clone());
        let mut machine = start(Firmware::SecureHttp)?;
        machine.until_says(&["Access Denied"], LIMIT)?;
        drop(machine);
        let machine = start(Firmware::SecureHttp)?;
        let told = "Secure Boot does not go over HTTP";
        integration::until(LIMIT, "the refusal to be explained", || {
            Ok(asked(lab, &["why", &mac])?.contains(told).then_some(()))
        })?;
        drop(machine);
        let mut machine = start(Firmware::SecureBoot)?;
        machine.until_says(&["Fetching Netboot Image grubx64.efi"], LIMIT)?;
        server.must_run()
    });
}

/// From here a power cut at this moment looks as Secure Boot does.
#[test]
fn matrix_a_power_cut_is_taken_for_secure_boot_once_only() {
    in_lab(|lab| {
        let small = roots::small()?;
        let setup = Setup {
            image: Some(&small),
            ..Setup::default()
        };
        let mut server = Server::netbootd(lab, &setup)?;
        let plug = lab.tap()?;
        let mac = plug.1.clone();
        let start = || Machine::plugged_in(lab, Firmware::Uefi, Card::Virtio, 1024, plug.clone());

        let mut machine = start()?;
        machine.until_says(&["NBP file downloaded successfully"], LIMIT)?;
        drop(machine);

        let mut machine = start()?;
        machine.until_says(&["VERDICT PASS"], LIMIT)?;
        drop(machine);
        let why = asked(lab, &["why", &mac])?;
        ensure!(why.contains("shimx64.efi, "), "{why}");
        let client = asked(lab, &["client", &mac])?;
        ensure!(
            client.contains("what works is found out") && client.contains("secure boot is off"),
            "{client}"
        );

        let mut machine = start()?;
        machine.until_says(&["netbootd: small"], LIMIT)?;
        let why = asked(lab, &["why", &mac])?;
        ensure!(why.contains("snponly.efi, "), "{why}");
        let client = asked(lab, &["client", &mac])?;
        ensure!(
            client.contains("boots with an offer that says it all"),
            "{client}"
        );
        server.must_run()
    });
}

#[test]
fn an_ipxe_that_is_signed_is_sent_to_its_script_before_it_asks_anybody_else() {
    in_lab(|lab| {
        let mut server = Server::netbootd(lab, &Setup::default())?;
        let client = lab.client()?;
        client.set_address("192.168.67.7".parse()?)?;
        for path in ["autoexec.ipxe", "/signed/autoexec.ipxe"] {
            let Fetched::File(script) = fetch(lab, &client, Tool::Curl, path)? else {
                bail!("{path} was refused");
            };
            let script = String::from_utf8(script)?;
            ensure!(
                script.contains("chain --replace http://192.168.67.1/boot/${netX/mac:hexhyp}.ipxe"),
                "{script}"
            );
        }
        server.must_run()
    });
}
