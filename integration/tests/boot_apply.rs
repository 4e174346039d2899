//! What is configured anew comes to machines that run, and what is measured there is ordered from the server.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use anyhow::ensure;
use integration::subject::netbootd::{asked, overlay_dir, put, refused, tried};
use integration::{Card, Firmware, Machine, Person, Server, Setup, in_lab, ran, roots};

/// Several times what a boot of the whole system takes on one busy core.
const LIMIT: Duration = Duration::from_secs(420);

#[test]
fn users_and_files_come_to_a_machine_that_runs_and_the_server_has_it_measured() {
    in_lab(|lab| {
        let person = Person::new(lab)?;
        let plug = lab.tap()?;
        let public = person.public_key()?;
        let full = roots::full()?;
        put(lab, "all/etc/site", "one", 0o644)?;
        put(lab, "all/etc/gone", "there", 0o644)?;
        let client = format!("[clients.{:?}]\nhostname = \"pc01\"\n", plug.1);
        let setup = Setup {
            image: Some(&full),
            kernel_arguments: "quiet",
            user: Some(("alice", &public)),
            config: &client,
            ..Setup::default()
        };
        let server = Server::netbootd(lab, &setup)?;
        let mut machine = Machine::plugged_in(lab, Firmware::Bios, Card::Virtio, 1024, plug)?;
        machine.until_says(&["login:"], LIMIT)?;
        let known_hosts = lab.folder().join("ssh_known_hosts");
        fs::write(&known_hosts, asked(lab, &["ssh", "known-hosts"])?)?;
        let said = person.logs_in("alice@pc01", &known_hosts, "cat /etc/site /etc/gone")?;
        ensure!(said == "onethere", "before: {said}");

        // Somebody new, another text, a unit, and a file less.
        let config = format!("{client}[users.carol]\nssh_keys = [{public:?}]\n");
        let setup = Setup {
            config: &config,
            ..setup
        };
        let mut server = server.kill_and_start_again(lab, &setup)?;
        put(lab, "all/etc/site", "two", 0o644)?;
        fs::remove_file(overlay_dir(lab).join("all/etc/gone"))?;
        let unit = "[Service]\nType=oneshot\nExecStart=/usr/bin/touch /run/site-ran\n";
        put(lab, "all/etc/systemd/system/site.service", unit, 0o644)?;
        let wants = overlay_dir(lab).join("all/etc/systemd/system/multi-user.target.wants");
        fs::create_dir_all(&wants)?;
        symlink("../site.service", wants.join("site.service"))?;
        let said = asked(lab, &["apply", "pc01"])?;
        eprintln!("{said}");
        for wanted in [
            "pc01 (",
            "wrote /etc/site\n",
            "wrote /etc/passwd\n",
            "removed /etc/gone\n",
        ] {
            ensure!(said.contains(wanted), "{wanted:?} is not in {said}");
        }
        ensure!(!said.contains("machine-id"), "{said}");
        let said = person.logs_in(
            "carol@pc01",
            &known_hosts,
            "id -un; cat /etc/site; echo; sleep 5; ls /etc/gone /run/site-ran 2>/dev/null; systemctl is-system-running",
        )?;
        ensure!(
            said == "carol\ntwo\n/run/site-ran\nrunning\n",
            "after: {said}"
        );

        let said = asked(lab, &["apply"])?;
        ensure!(said.contains("nothing has changed"), "once more: {said}");
        // A run that the server orders: what it needs of the root is there, and how it ended is told.
        let command = "systemctl is-system-running; ls /usr/share | wc -l; exit 3";
        let ran_there = tried(lab, &["quiet", "pc01", "sh", "-c", command])?;
        eprintln!("{}", ran_there.everything());
        ensure!(
            ran_there.code == Some(3)
                && ran_there.text.contains("running\n")
                && ran_there
                    .text
                    .contains(" s in which nothing of the root was fetched"),
            "{}",
            ran_there.everything()
        );
        // One that goes on until it is ended.
        asked(lab, &["quiet", "pc01"])?;
        ensure!(asked(lab, &["runs"])?.contains("goes on"));
        person.logs_in("carol@pc01", &known_hosts, "true")?;
        let said = asked(lab, &["quiet", "pc01", "--end"])?;
        ensure!(
            said.contains(" s in which nothing of the root was fetched"),
            "{said}"
        );
        let record = said
            .split("the server has it as ")
            .nth(1)
            .unwrap_or_default();
        ensure!(fs::read_to_string(record.trim())?.contains("\"command\": \"(none)\""));
        let said = refused(lab, &["quiet", "pc01", "--end"])?;
        ensure!(said.contains("no run has begun"), "{said}");

        // The way in is for that alone: no key of a person's is root's.
        let tried = ran(&mut person.ssh("root@pc01", &known_hosts, "true")?)?;
        ensure!(
            tried.code == Some(255) && tried.errors.contains("Permission denied"),
            "{}",
            tried.everything()
        );
        server.must_run()
    });
}
