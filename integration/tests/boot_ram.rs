//! A root in the client's memory: checked as it comes, and on its own from then on.

use std::time::Duration;

use anyhow::{Context, ensure};
use integration::{Card, Firmware, Lab, Machine, RootKind, Server, Setup, in_lab, roots, succeed};

const LIMIT: Duration = Duration::from_secs(420);

#[test]
fn a_root_in_memory_outlives_its_server_and_its_link() {
    in_lab(|lab: &Lab| {
        let full = roots::full()?;
        let config =
            "[groups.all]\nmembers = [\"*\"]\nautologin = \"root\"\noverlay = \"zram:150%\"\n";
        let setup = Setup {
            root: RootKind::Ram,
            image: Some(&full),
            kernel_arguments: "quiet",
            config,
            ..Setup::default()
        };
        let mut server = Server::netbootd(lab, &setup)?;
        let mut machine = Machine::start(lab, Firmware::Bios, Card::Virtio, 1024)?;
        machine.until_says(&["root@pc-"], LIMIT)?;
        for said in [" MiB in memory, ", "image: its digest is right"] {
            ensure!(
                machine.console.text().contains(said),
                "the console did not say {said:?}"
            );
        }
        server.must_run()?;
        let tap = machine.tap().to_owned();
        drop(server);
        let mut down = lab.command("ip")?;
        succeed(down.args(["link", "set", &tap, "down"]))?;

        let minute = Duration::from_secs(60);
        // A program that nobody has run yet comes from the image, and a file into the overlay.
        let read = "echo still-$((40+2)); find /usr/share/doc -type f | xargs cat | sha256sum > /root/sums && echo read-$((1+1))";
        machine.shell(read, "read-2", minute * 3)?;
        ensure!(machine.console.text().contains("still-42"));
        // The machine has 1 GiB and its image is in it: what is written now is more than the rest.
        let zram = "grep -q ^/dev/zram0 /proc/swaps && echo swaps-$((1+2))";
        machine.shell(zram, "swaps-3", minute)?;
        let write = "yes netbootd | head -c 800M > /root/big && sync && wc -c < /root/big";
        machine.shell(write, "838860800", minute * 5)?;
        machine.shell("cat /proc/swaps; echo end-$((2+2))", "end-4", minute)?;
        let console = machine.console.text();
        let swaps = console
            .lines()
            .rev()
            .find(|line| line.starts_with("/dev/zram0"));
        let swaps = swaps.context("no line of /proc/swaps")?;
        eprintln!("{swaps}");
        // Filename, type, size, used (in KiB), priority.
        let used = swaps.split_whitespace().nth(3).unwrap_or_default();
        ensure!(used.parse::<u32>()? > 100_000, "little is in zram: {swaps}");
        machine.console.must_not_say("Out of memory")
    });
}
