//! What a machine boots: its own disk, an image for one start, what is picked in the menu.

use std::time::Duration;

use anyhow::{Result, ensure};
use integration::disk::{Disk, SAYS};
use integration::subject::netbootd::{asked, refused};
use integration::{Firmware, Lab, Machine, Mode, Neighbour, Server, Setup, in_lab, ran, roots};

const LIMIT: Duration = Duration::from_secs(240);
const VERDICTS: [&str; 2] = ["VERDICT PASS", "VERDICT FAIL"];

/// A room whose machines stay with their own disks.
const WINDOWS_STAYS: &str = "[groups.room]\nmembers = [\"*\"]\nimage = \"local-disk\"\n";

/// A room whose people choose.
const MENU: &str = "[groups.room]\nmembers = [\"*\"]\nimage = \"menu\"\n";

fn setup<'a>(image: &'a roots::Root, mode: Mode, config: &'a str) -> Setup<'a> {
    Setup {
        mode,
        image: Some(image),
        kernel_arguments: "quiet",
        config,
        ..Setup::default()
    }
}

#[test]
fn a_machines_own_system_stays_the_default_and_linux_comes_once_with_a_ticket() {
    in_lab(|lab| {
        let small = roots::small()?;
        let setup = setup(&small, Mode::Full, WINDOWS_STAYS);
        let mut server = Server::netbootd(lab, &setup)?;
        let disk = Disk::new(lab)?;
        let (tap, mac) = lab.tap()?;
        let start = || {
            let plug = (tap.clone(), mac.clone());
            Machine::with_disk(lab, Firmware::Bios, 1024, plug, &disk)
        };

        let mut machine = start()?;
        machine.until_says(&[SAYS], LIMIT)?;
        let without = machine.console.elapsed().as_secs_f32();
        eprintln!("own disk after {without:.1} s, without a ticket");
        drop(machine);

        let said = asked(lab, &["boot-next", &mac, "small"])?;
        ensure!(said.contains("boots small with its next start"), "{said}");
        ensure!(asked(lab, &["boot-next"])?.contains(&mac));
        let mut machine = start()?;
        let verdict = machine.until_says(&VERDICTS, LIMIT)?;
        ensure!(
            verdict == VERDICTS[0],
            "with a ticket the client says {verdict}"
        );
        machine.until_off(Duration::from_secs(30))?;
        drop(machine);

        let left = asked(lab, &["boot-next"])?;
        ensure!(left.contains("what it always boots"), "{left}");
        let mut machine = start()?;
        machine.until_says(&[SAYS], LIMIT)?;
        drop(machine);
        disk.must_be_untouched()?;
        server.must_run()
    });
}

#[test]
fn beside_another_dhcp_server_a_machine_without_a_ticket_is_not_held_up() {
    in_lab(|lab| {
        let small = roots::small()?;
        let _neighbour = Neighbour::start(lab)?;
        let disk = Disk::new(lab)?;
        let (tap, mac) = lab.tap()?;
        let seconds = |lab: &Lab| -> Result<f32> {
            let plug = (tap.clone(), mac.clone());
            let mut machine = Machine::with_disk(lab, Firmware::Bios, 512, plug, &disk)?;
            machine.until_says(&[SAYS], LIMIT)?;
            Ok(machine.console.elapsed().as_secs_f32())
        };
        let alone = seconds(lab)?;
        let setup = setup(&small, Mode::Proxy, WINDOWS_STAYS);
        let mut server = Server::netbootd(lab, &setup)?;
        let beside = seconds(lab)?;
        eprintln!("own disk after {alone:.1} s without netbootd, {beside:.1} s with it");
        let status = asked(lab, &["status", "--steps"])?;
        ensure!(!status.contains("script"), "it was sent on: {status}");
        disk.must_be_untouched()?;
        server.must_run()
    });
}

#[test]
fn a_menu_is_driven_over_the_serial_console() {
    in_lab(|lab| {
        let small = roots::small()?;
        let setup = setup(&small, Mode::Full, MENU);
        let mut server = Server::netbootd(lab, &setup)?;
        let disk = Disk::new(lab)?;
        let (tap, mac) = lab.tap()?;
        let start = || {
            let plug = (tap.clone(), mac.clone());
            Machine::with_disk(lab, Firmware::Bios, 1024, plug, &disk)
        };

        let mut machine = start()?;
        machine.until_says(&["Its own disk"], LIMIT)?;
        machine.types("1")?;
        let verdict = machine.until_says(&VERDICTS, LIMIT)?;
        ensure!(
            verdict == VERDICTS[0],
            "picked by its key, the image says {verdict}"
        );
        machine.until_off(Duration::from_secs(30))?;
        drop(machine);

        let mut machine = start()?;
        machine.until_says(&["Its own disk"], LIMIT)?;
        // Nobody touches it: its own disk.
        machine.until_says(&[SAYS], LIMIT)?;
        drop(machine);

        let mut machine = start()?;
        machine.until_says(&["Memory test"], LIMIT)?;
        machine.types("m")?;
        machine.until_says(&["Memtest86+"], LIMIT)?;
        drop(machine);
        disk.must_be_untouched()?;
        server.must_run()
    });
}

#[test]
fn what_cannot_be_given_is_refused_with_a_reason() {
    in_lab(|lab| {
        let small = roots::small()?;
        let config = format!(
            "{WINDOWS_STAYS}[clients.\"4c4c4544-0042-3510-8052-b4c04f384431\"]\nhostname = \"pc7\"\n"
        );
        let setup = setup(&small, Mode::Full, &config);
        let mut server = Server::netbootd(lab, &setup)?;
        let pc = "52:54:00:00:00:77";
        for (words, reason) in [
            (vec!["boot-next", pc, "demo"], "demo is not published"),
            (vec!["boot-next", pc, "small@dead"], "no generation dead"),
            (
                vec!["boot-next", pc, "small", "--until", "yesterday"],
                "is past",
            ),
            (
                vec!["boot-next", "pc99", "small"],
                "no client is called pc99",
            ),
            (vec!["boot-next", pc], "say what"),
            (vec!["wake", "pc99"], "no client is called pc99"),
            (vec!["wake", "pc7"], "pc7 is known by its UUID"),
            (vec!["boot-next", "pc7", "small"], "switch it on once"),
        ] {
            let said = refused(lab, &words)?;
            ensure!(said.contains(reason), "{words:?} says {said}");
        }
        server.must_run()
    });
}

#[test]
fn a_machine_is_told_to_switch_itself_on() {
    in_lab(|lab| {
        let mut server = Server::netbootd(lab, &Setup::default())?;
        // Somebody has to be on the link, else the kernel sends nothing.
        let _client = lab.client()?;
        let said = asked(lab, &["wake", "52:54:00:aa:bb:cc"])?;
        ensure!(said.contains("to switch itself on"), "{said}");
        // Everything on the link is in the lab's capture: six bytes of ones, and sixteen times the card.
        let wanted = format!("ffffffffffff{}", "525400aabbcc".repeat(16));
        integration::until(Duration::from_secs(20), "the packet to be captured", || {
            let mut tcpdump = lab.command("tcpdump")?;
            tcpdump.args(["-nnxr"]).arg(lab.folder().join("link.pcap"));
            let text = ran(tcpdump.args(["udp", "port", "9"]))?.text;
            let words = text.split_whitespace();
            let hexadecimal: String = words.filter(|word| !word.starts_with("0x")).collect();
            Ok(hexadecimal.contains(&wanted).then_some(()))
        })?;
        server.must_run()
    });
}
