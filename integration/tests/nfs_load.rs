//! What clients cost that ask for nothing, that never take their answers, that stop in mid-sentence.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use integration::clients::{nfs, rpc};
use integration::{Client, Lab, Process, Server, in_lab_with_small, until};

/// A shell on the client that holds TCP connections to the server's NFS open.
fn shell(lab: &Lab, client: &Client, name: &str, script: &str) -> Result<Process> {
    let mut bash = client.command("bash")?;
    let open = format!(
        "open() {{ exec {{fd}}<>/dev/tcp/{}/2049; }}; {script}",
        Lab::SERVER
    );
    Process::start(bash.args(["-c", &open]), &lab.folder().join(name))
}

fn with_server(test: impl FnOnce(&Lab, &mut Server, &Client) -> Result<()>) {
    in_lab_with_small(Server::netbootd, |lab, server, client, _| {
        // What the first reader brings into memory once is not what the others cost.
        nfs::cat(client, "/roots/small/etc/lab-note")?;
        test(lab, server, client)?;
        ensure!(!nfs::cat(client, "/roots/small/etc/lab-note")?.is_empty());
        Ok(())
    });
}

#[test]
fn a_thousand_idle_connections_cost_little() {
    with_server(|lab, server, client| {
        let before = server.main().resident()?;
        let script =
            "ulimit -n 4096; for i in {1..1000}; do open || exit 1; done; echo all open; sleep 600";
        let mut idle = shell(lab, client, "idle.log", script)?;
        idle.until_printed("all open", Duration::from_secs(60))?;
        // They are silent for a second before they give back what they do not need.
        std::thread::sleep(Duration::from_secs(3));
        let open = fs::read_dir(format!("/proc/{}/fd", server.main().id()))?.count();
        ensure!(
            open > 1000,
            "the server has {open} files open: not all connections"
        );
        let cost = server.main().resident()?.saturating_sub(before);
        eprintln!("1000 idle connections: {} KiB", cost >> 10);
        ensure!(
            cost <= 16 << 20,
            "1000 idle connections cost {} KiB",
            cost >> 10
        );
        Ok(())
    });
}

#[test]
fn a_client_that_never_takes_its_answers_costs_at_most_two_mebibytes() {
    with_server(|lab, server, client| {
        let mount = rpc::handle(&rpc::mount(lab, client, "/images/small")?)?;
        let image = rpc::handle(&rpc::lookup(lab, client, &mount, "root.squashfs")?)?;
        let tree = rpc::handle(&rpc::mount(lab, client, "/roots/small")?)?;
        let bin = rpc::handle(&rpc::lookup(lab, client, &tree, "bin")?)?;
        let busybox = rpc::handle(&rpc::lookup(lab, client, &bin, "busybox")?)?;
        // Once, so that what is kept of the file is there.
        for file in [&image, &busybox] {
            let (status, _) = rpc::read(lab, client, file, 1 << 20)?;
            ensure!(status == 0, "READ says {status}");
        }
        for (name, file) in [("image", image), ("tree", busybox)] {
            let calls = lab.folder().join(name);
            fs::write(&calls, rpc::read_record(&file, 1 << 20).repeat(20_000))?;
            let before = server.main().resident()?;
            let script = format!("open; echo begins; exec cat {calls:?} >&$fd");
            let mut greedy = shell(lab, client, &format!("greedy-{name}.log"), &script)?;
            greedy.until_printed("begins", Duration::from_secs(20))?;
            let mut most = 0;
            let since = Instant::now();
            while since.elapsed() < Duration::from_secs(5) {
                most = most.max(server.main().resident()?.saturating_sub(before));
                std::thread::sleep(Duration::from_millis(50));
            }
            greedy.must_run()?; // it is still being held back
            eprintln!(
                "a client that never reads, {name}: {} KiB at most",
                most >> 10
            );
            ensure!(most <= 2 << 20, "{name}: it cost {} KiB", most >> 10);
        }
        Ok(())
    });
}

#[test]
fn a_record_that_is_not_finished_is_cut_after_a_minute() {
    with_server(|lab, _, client| {
        let script = "open; echo begins; printf '\\200\\0' >&$fd; cat <&$fd; echo was cut";
        let mut half = shell(lab, client, "half.log", script)?;
        let since = Instant::now();
        let limit = Duration::from_secs(120);
        until(limit, "the connection to be cut", || half.ended())?;
        ensure!(half.printed().contains("was cut"), "{}", half.printed());
        let after = since.elapsed().as_secs();
        ensure!(after >= 55, "it was cut after {after} s already");
        eprintln!("cut after {after} s");
        Ok(())
    });
}
