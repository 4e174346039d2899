//! Machines of one room that differ: groups, files of the operator, templates.

use std::time::Duration;

use anyhow::{Result, ensure};
use integration::subject::netbootd::{asked, put};
use integration::{Card, Firmware, Machine, Server, Setup, in_lab, roots};

const LIMIT: Duration = Duration::from_secs(240);

/// In the place of the image's own init: shows what came over the image.
const INIT: &str = "#!/bin/busybox sh\n\
    echo \"motd: $(/bin/busybox cat /etc/motd)\"\n\
    echo \"side: $(/bin/busybox cat /etc/side)\"\n\
    [ -e /etc/key ] && echo 'a private key came over'\n\
    echo words: $(/bin/busybox cat /proc/cmdline)\n\
    echo END; /bin/busybox sleep 1; /bin/busybox poweroff -f\n";

const KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEIC5pIGFtIG5vdCBhIHJlYWwga2V5IGF0IGFsbCAhIQ==\n-----END PRIVATE KEY-----\n";

#[test]
fn two_machines_at_once_have_each_their_own_files() {
    in_lab(|lab| {
        let (left, right) = (lab.tap()?, lab.tap()?);
        put(lab, "all/sbin/init", INIT, 0o755)?;
        put(
            lab,
            "all/etc/motd.j2",
            "{{ hostname }} of {{ groups|join('+') }} runs {{ image }}",
            0o644,
        )?;
        put(lab, "all/etc/side", "none", 0o644)?;
        put(lab, "groups/left/etc/side", "left", 0o644)?;
        put(
            lab,
            "clients/righty/etc/side.j2",
            "right at {{ mac }}",
            0o644,
        )?;
        put(lab, "all/etc/key", KEY, 0o644)?;
        let config = format!(
            "[groups.room]\nmembers = [\"*\"]\nkernel_arguments = \"quiet room=1\"\n\
             [groups.left]\nmembers = [\"{}\"]\nkernel_arguments = \"side=left\"\n\
             [clients.\"{}\"]\nhostname = \"righty\"\nkernel_arguments = \"side=right\"\n",
            left.1, right.1
        );
        let small = roots::small()?;
        let setup = Setup {
            image: Some(&small),
            config: &config,
            ..Setup::default()
        };
        let mut server = Server::netbootd(lab, &setup)?;
        let start = |plug: &(String, String)| {
            Machine::plugged_in(lab, Firmware::Bios, Card::Virtio, 512, plug.clone())
        };
        let says = |machine: &mut Machine, wanted: &[&str]| -> Result<()> {
            machine.until_says(&["END"], LIMIT)?;
            let text = machine.console.text();
            for wanted in wanted {
                ensure!(text.contains(wanted), "{wanted:?} is not in what it says");
            }
            machine.console.must_not_say("a private key came over")
        };

        let (mut one, mut two) = (start(&left)?, start(&right)?);
        let name = format!("pc-{}", left.1.replace(':', "").split_off(6));
        says(
            &mut one,
            &[
                &format!("motd: {name} of room+left runs small"),
                "side: left\n",
                "room=1 side=left",
            ],
        )?;
        says(
            &mut two,
            &[
                "motd: righty of room runs small",
                &format!("side: right at {}", right.1),
                "room=1 side=right",
            ],
        )?;
        one.until_off(Duration::from_secs(30))?;
        drop((one, two));

        // A change is there with the next boot, and nothing was built.
        put(lab, "groups/left/etc/side", "changed", 0o644)?;
        let mut one = start(&left)?;
        says(&mut one, &["side: changed\n"])?;

        let explained = asked(lab, &["client", "righty", "--explain"])?;
        for wanted in [
            "groups   room",
            "boots    small@",
            ".hostname = \"righty\"",
            "netbootd.toml:",
            "clients/righty/etc/side.j2",
            "etc/key: it holds a private key (PEM)",
        ] {
            ensure!(
                explained.contains(wanted),
                "{wanted:?} is not in:\n{explained}"
            );
        }
        eprintln!("{explained}");
        server.must_run()
    });
}
