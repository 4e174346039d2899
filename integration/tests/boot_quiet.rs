//! Runs that are measured: nothing of the root is fetched while they run, and a signed record says so.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use integration::subject::netbootd::{asked, put, refused, state_dir, tried};
use integration::{Card, Firmware, Lab, Machine, Server, Setup, in_lab, roots, succeed};

const LIMIT: Duration = Duration::from_secs(240);

/// In the place of the image's own init: a run that needs nothing more of its root, and one that does.
const INIT: &str = "#!/bin/busybox sh\n\
    cd /run\n\
    /run/netbootd/client quiet /bin/busybox sleep 12; echo first ended with $?\n\
    /run/netbootd/client quiet /bin/busybox sh -c 'echo 3 > /proc/sys/vm/drop_caches; cat /etc/* > /dev/null; exit 7'\n\
    echo second ended with $?\n\
    /bin/busybox sleep 1; /bin/busybox poweroff -f\n";

/// The records that the server has kept, the oldest first.
fn records(lab: &Lab) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(state_dir(lab).join("runs"))?.collect::<Result<Vec<_>, _>>()?;
    let mut files: Vec<PathBuf> = entries.iter().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "json"));
    files.sort();
    Ok(files)
}

/// Checks a record's signature as anybody can, with the key of the line for known_hosts.
fn verify(lab: &Lab, record: &Path) -> Result<()> {
    let line = asked(lab, &["ssh", "known-hosts"])?;
    let mut words = line.split_whitespace().skip(2);
    let key = (words.next(), words.next());
    let (Some(kind), Some(key)) = key else {
        anyhow::bail!("no key in {line}");
    };
    let signers = lab.folder().join("signers");
    fs::write(&signers, format!("lab {kind} {key}\n"))?;
    let mut shell = lab.command("sh")?;
    let verify = "ssh-keygen -Y verify -I lab -n netbootd-run -f \"$1\" -s \"$2.sig\" < \"$2\"";
    let said = succeed(shell.args(["-c", verify, "sh"]).arg(&signers).arg(record))?.text;
    ensure!(said.contains("Good \"netbootd-run\" signature"), "{said}");
    Ok(())
}

#[test]
fn a_run_is_proven_to_have_fetched_nothing_of_its_root() {
    in_lab(|lab| {
        let small = roots::small()?;
        put(lab, "all/sbin/init", INIT, 0o755)?;
        let setup = Setup {
            image: Some(&small),
            kernel_arguments: "mitigations=off",
            ..Setup::default()
        };
        let mut server = Server::netbootd(lab, &setup)?;
        let mut machine = Machine::start(lab, Firmware::Bios, Card::Virtio, 512)?;
        machine.until_says(&["the root is in memory"], LIMIT)?;
        // Whoever builds an image now is told to wait, and does.
        integration::until(Duration::from_secs(10), "the run to begin", || {
            Ok(asked(lab, &["runs"])?.contains("goes on").then_some(()))
        })?;
        let started = Instant::now();
        let build = ["image", "build", "--name", "later", "/usr/share/doc/bash"];
        let built = tried(lab, &build)?;
        ensure!(
            built.errors.contains("waiting until") && started.elapsed() > Duration::from_secs(4),
            "the build did not wait: {}",
            built.everything()
        );
        machine.until_says(&["first ended with 0"], LIMIT)?;
        let first = machine.console.text();
        ensure!(
            first.contains(" s in which nothing of the root was fetched"),
            "the first run was not quiet"
        );
        machine.until_says(&["second ended with 7"], LIMIT)?;
        ensure!(
            machine.console.text().contains("NOT quiet: "),
            "a run that reads its root is said to be quiet"
        );
        machine.until_off(Duration::from_secs(30))?;

        let listed = asked(lab, &["runs"])?;
        eprintln!("{listed}");
        let lines: Vec<&str> = listed.lines().collect();
        ensure!(
            lines.len() == 2
                && lines[0].contains(" s in which nothing of the root was fetched")
                && lines[0].ends_with("/bin/busybox sleep 12")
                && lines[1].contains("NOT quiet: "),
            "{listed}"
        );
        let files = records(lab)?;
        ensure!(files.len() == 2, "{files:?}");
        for file in &files {
            verify(lab, file)?;
        }
        let text = fs::read_to_string(&files[0])?;
        eprintln!("{text}");
        for fact in [
            "\"kernel\": ",
            "\"cpu\": ",
            "\"card\": \"virtio_net ",
            "\"firmware\": ",
            "mitigations=off",
            "\"root.squashfs\": ",
        ] {
            ensure!(text.contains(fact), "{fact} is not in the record:\n{text}");
        }
        ensure!(
            !text.contains("netbootd.token"),
            "the token is in the record"
        );

        let name = files[0].display().to_string();
        let said = asked(lab, &["boot-again", &name])?;
        ensure!(
            said.contains("with its next start") && !said.contains("not as in the record"),
            "{said}"
        );
        ensure!(asked(lab, &["boot-next"])?.contains(machine.mac()));
        let said = asked(lab, &["boot-again", &name, "52:54:00:00:00:77"])?;
        ensure!(said.contains("machine was"), "{said}");
        // It does, though another generation is current by now.
        let more = lab.folder().join("more");
        fs::create_dir_all(more.join("etc"))?;
        fs::write(more.join("etc/later"), "later")?;
        let (base, more) = (
            small.folder.display().to_string(),
            more.display().to_string(),
        );
        asked(lab, &["image", "build", "--name", "small", &base, &more])?;
        let published = asked(lab, &["image", "list"])?;
        eprintln!("{published}");
        ensure!(published.contains("previous"), "{published}");
        let plug = (machine.tap().to_owned(), machine.mac().to_owned());
        drop(machine);
        let mut machine = Machine::plugged_in(lab, Firmware::Bios, Card::Virtio, 512, plug)?;
        machine.until_says(&["the root is in memory"], LIMIT)?;
        let console = machine.console.text();
        let words = console
            .lines()
            .find(|line| line.contains("Kernel command line: "))
            .context("the kernel did not say its command line")?;
        let generation = text.split("\"generation\": \"").nth(1);
        let generation = generation.and_then(|rest| rest.split('"').next());
        let generation = generation.context("the record names no generation")?;
        ensure!(
            words.contains(&format!("netbootd.generation={generation} "))
                && words.trim_end().ends_with("mitigations=off"),
            "{words}"
        );
        drop(machine);
        // A record that somebody has touched is nobody's.
        fs::write(&files[0], text.replace("mitigations=off", "mitigations=on"))?;
        let said = refused(lab, &["boot-again", &name])?;
        ensure!(said.contains("has not signed"), "{said}");
        server.must_run()
    });
}
