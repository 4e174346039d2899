//! UEFI machines with the network first in their boot order, and a disk with a system of its own after it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use integration::disk::{Disk, SAYS};
use integration::subject::netbootd::asked;
use integration::{Firmware, Lab, Machine, Mode, Neighbour, Server, Setup, in_lab, roots};

const LIMIT: Duration = Duration::from_secs(540);

/// What OVMF says of its ways to boot, in their order: PXE, HTTP over IPv4, HTTP over IPv6, the disk.
const STARTS: &str = ">>Start PXE over IPv4";
const CANCELLED: &str = "PXE-E21: Remote boot cancelled";
const NOT_THERE: &str = "Client Error: 404 Not Found";
const NEXT: &str = ">>Start HTTP Boot over IPv4";
const LAST: &str = ">>Start HTTP Boot over IPv6";
const DISK: &str = "loading Boot0001 \"UEFI Misc Device\"";

const MENU: &str = "[groups.room]\nmembers = [\"*\"]\nimage = \"menu\"\n";
const WINDOWS_STAYS: &str = "[groups.room]\nmembers = [\"*\"]\nimage = \"local-disk\"\n";

fn setup<'a>(image: &'a roots::Root, mode: Mode, config: &'a str) -> Setup<'a> {
    Setup {
        mode,
        image: Some(image),
        config,
        ..Setup::default()
    }
}

#[test]
fn uefi_is_handed_on_to_its_disk_at_once_and_from_the_menu() {
    in_lab(|lab| {
        let small = roots::small()?;
        let mut server = Server::netbootd(lab, &setup(&small, Mode::Full, MENU))?;
        let disk = Disk::uefi(lab)?;
        let (tap, mac) = lab.tap()?;
        let start = || {
            let plug = (tap.clone(), mac.clone());
            Machine::with_disk(lab, Firmware::Uefi, 512, plug, &disk)
        };

        // It is to boot its own disk.
        asked(lab, &["boot-next", &mac, "local-disk"])?;
        let mut machine = start()?;
        let ways = [STARTS, CANCELLED, NOT_THERE, LAST];
        let said = machine.when_said(&ways, &[], LIMIT)?;
        let said: Option<Vec<Duration>> = said.into_iter().collect();
        let said = said.context("a way to boot was left out")?;
        let took = [said[1] - said[0], said[3] - said[1]].map(|time| time.as_secs_f32());
        eprintln!(
            "gave up PXE after {:.1} s, HTTP after {:.1} s",
            took[0], took[1]
        );
        // Left alone it asks for a minute in each way.
        ensure!(took.iter().all(|time| *time < 30.0), "{took:?}");
        drop(machine);

        // Somebody chooses it. Over HTTP, which comes next, the machine is not brought back.
        asked(lab, &["boot-next", &mac, "--cancel"])?;
        let mut machine = start()?;
        machine.until_says(&["Its own disk"], LIMIT)?;
        machine.types("l")?;
        machine.until_says(&[SAYS], LIMIT)?;
        let text = machine.console.text();
        let (_, after) = text
            .split_once("going on to its own disk")
            .context("no script handed it on")?;
        ensure!(
            after.contains(NOT_THERE) && !after.contains("Its own disk"),
            "the menu came back:\n{after}"
        );
        drop(machine);
        disk.must_be_untouched()?;
        server.must_run()
    });
}

#[test]
fn matrix_uefi_is_not_held_up_longer_than_its_firmware_waits() {
    in_lab(|lab| {
        let small = roots::small()?;
        let disk = Disk::uefi(lab)?;
        let plug = lab.tap()?;
        // How long the firmware tries PXE. Over HTTP and IPv4 it waits as long, over IPv6 for a random time.
        let waits = |lab: &Lab, last: &[&str]| -> Result<f32> {
            let mut machine = Machine::with_disk(lab, Firmware::Uefi, 512, plug.clone(), &disk)?;
            let said = machine.when_said(&[&[STARTS, NEXT], last].concat(), &[], LIMIT)?;
            let said: Option<Vec<Duration>> = said.into_iter().collect();
            let said = said.context("a way to boot was left out")?;
            eprintln!("{said:.1?}");
            Ok((said[1] - said[0]).as_secs_f32())
        };
        let alone = waits(lab, &[])?;
        let full = {
            let setup = setup(&small, Mode::Full, WINDOWS_STAYS);
            let mut server = Server::netbootd(lab, &setup)?;
            let full = waits(lab, &[DISK, SAYS])?;
            server.must_run()?;
            full
        };
        let _neighbour = Neighbour::start(lab)?;
        let mut server = Server::netbootd(lab, &setup(&small, Mode::Proxy, WINDOWS_STAYS))?;
        let proxy = waits(lab, &[DISK, SAYS])?;
        eprintln!(
            "done with PXE after {alone:.1} s with nobody there, {full:.1} s full, {proxy:.1} s proxy"
        );
        ensure!(full < alone - 30.0 && proxy < alone + 30.0);
        let status = asked(lab, &["status", "--steps"])?;
        ensure!(!status.contains("offer"), "it was answered: {status}");
        disk.must_be_untouched()?;
        server.must_run()
    });
}

#[test]
fn matrix_uefi_runs_a_memory_test_from_the_menu() {
    in_lab(|lab| {
        let small = roots::small()?;
        let setup = Setup {
            kernel_arguments: "console=ttyS0",
            ..setup(&small, Mode::Full, MENU)
        };
        let mut server = Server::netbootd(lab, &setup)?;
        let mut machine = Machine::with_screen(lab, 512, lab.tap()?)?;
        machine.until_says(&["Memory test"], LIMIT)?;
        machine.types("m")?;
        machine.until_says(&["Memtest86+"], LIMIT)?;
        drop(machine);
        server.must_run()
    });
}
