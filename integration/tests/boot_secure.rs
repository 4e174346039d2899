//! Machines that enforce Secure Boot, with Microsoft's keys as they are sold: nobody says so to the server, which finds
//! it out, and boots them with shim, signed GRUB and the image's signed kernel.

use std::time::Duration;

use anyhow::{bail, ensure};
use integration::clients::tftp::{Fetched, Tool, fetch};
use integration::subject::netbootd::asked;
use integration::{Card, Firmware, Machine, Server, Setup, boot, in_lab, roots};

const LIMIT: Duration = Duration::from_secs(240);

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
            client.contains("boots with shim and GRUB; found out and remembered"),
            "{client}"
        );
        let simulated = |words: &[&str]| {
            let told = asked(lab, &[&["simulate", "--mac", &mac][..], words].concat())?;
            ensure!(told.contains("boots small@"), "{words:?}:\n{told}");
            anyhow::Ok(told)
        };
        for (words, fetched) in [
            (&[][..], "fetches shimx64.efi from 192.168.67.1 over TFTP"),
            (&["--arch", "0"], "fetches undionly.kpxe from 192.168.67.1"),
            (
                &["--arch", "16"],
                "fetches http://192.168.67.1/loader/snponly.efi",
            ),
            (
                &["--mode", "ipxe", "--proxy"],
                "fetches http://192.168.67.1/boot/",
            ),
        ] {
            let told = simulated(words)?;
            ensure!(told.contains(fetched), "no {fetched:?} in:\n{told}");
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
            config: "[groups.room]\nmembers = [\"*\"]\nsecure_boot = true\n",
            ..Setup::default()
        };
        let mut server = Server::netbootd(lab, &setup)?;
        boot::passes(lab, &mut server, Firmware::SecureBoot)
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
