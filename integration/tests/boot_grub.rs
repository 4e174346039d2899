//! Machines that are sent shim and GRUB, as those with Secure Boot have to be: the same menu, the same
//! choices, down to a shell on the booted system that orders its own next boot.

use std::time::Duration;

use anyhow::ensure;
use integration::disk::{Disk, SAYS};
use integration::subject::netbootd::asked;
use integration::{Firmware, Machine, Server, Setup, in_lab, roots};

const LIMIT: Duration = Duration::from_secs(420);
const MINUTE: Duration = Duration::from_secs(60);

const CONFIG: &str = "[loaders]\nuefi_x64 = \"shimx64.efi\"\n\
    [groups.room]\nmembers = [\"*\"]\nimage = \"menu\"\nautologin = \"root\"\n";

#[test]
fn grubs_menu_boots_what_is_chosen_and_the_booted_orders_what_comes_next() {
    in_lab(|lab| {
        let full = roots::full()?;
        let setup = Setup {
            image: Some(&full),
            kernel_arguments: "quiet",
            config: CONFIG,
            ..Setup::default()
        };
        let mut server = Server::netbootd(lab, &setup)?;
        let disk = Disk::uefi(lab)?;
        let (tap, mac) = lab.tap()?;
        let start = || {
            let plug = (tap.clone(), mac.clone());
            Machine::with_disk(lab, Firmware::Uefi, 1024, plug, &disk)
        };

        // Nobody chooses.
        let mut machine = start()?;
        machine.until_says(&["Memory test"], LIMIT)?;
        machine.until_says(&[SAYS], LIMIT)?;
        drop(machine);

        let mut machine = start()?;
        machine.until_says(&["Its own disk"], LIMIT)?;
        machine.types("1")?;
        machine.until_says(&["root@pc-"], LIMIT)?;
        eprintln!(
            "a shell after {:.1} s",
            machine.console.elapsed().as_secs_f32()
        );
        let said = asked(lab, &["why", &mac])?;
        for wanted in ["shimx64.efi", "KiB over TFTP", "full@", "mounted"] {
            ensure!(said.contains(wanted), "no {wanted:?} in:\n{said}");
        }
        let said = asked(lab, &["client", &mac])?;
        ensure!(said.contains("secure boot is off, as it said"), "{said}");
        let client = "/run/netbootd/client boot-next";
        machine.shell(&format!("{client} none"), "answered 403", MINUTE)?;
        machine.shell(
            &format!("{client} absent"),
            "absent is not published",
            MINUTE,
        )?;
        let stranger =
            format!("setpriv --reuid=65534 --clear-groups {client} full; echo end-$((1+1))");
        machine.shell(&stranger, "end-2", MINUTE)?;
        ensure!(machine.console.text().contains("Permission denied"));
        ensure!(
            !asked(lab, &["boot-next"])?.contains(&mac),
            "a ticket was given"
        );
        machine.shell(
            &format!("{client} local-disk"),
            "with its next start",
            MINUTE,
        )?;
        ensure!(asked(lab, &["boot-next"])?.contains("local-disk"));
        drop(machine);

        disk.must_be_untouched()?;
        server.must_run()
    });
}
