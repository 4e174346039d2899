//! What only netbootd promises: its command line, its messages, its images. `SUBJECT` changes nothing.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use integration::clients::dhcp::udhcpc;
use integration::clients::dns::dig;
use integration::clients::http::curl;
use integration::subject::netbootd::{command, configure, state_dir};
use integration::{
    Client, Lab, Process, Server, Setup, in_lab, in_lab_with_small, ran, roots, succeed, until,
};
use rustix::process::Signal;

const FIVE_MISTAKES: &str = r#"
[interfaces.br0]
mode = "fulll"
address = "192.168.67.300"
pool = ["192.168.67.90-192.168.67.20"]

[clients."52:54:00:67:00"]
hostname = "pc1"

[boot]
rot = "image"
"#;

#[test]
fn five_mistakes_are_five_diagnostics_each_with_its_line() {
    in_lab(|lab| {
        let file = lab.folder().join("wrong.toml");
        fs::write(&file, FIVE_MISTAKES)?;
        let check = ran(command(lab, &["check"])?.arg("--config").arg(&file))?;
        ensure!(
            check.code.is_some_and(|code| code != 0),
            "accepted: {}",
            check.everything()
        );
        let errors = check
            .errors
            .lines()
            .filter(|line| line.starts_with("error["))
            .count();
        ensure!(errors == 5, "{errors} errors:\n{}", check.errors);
        for line in [3, 4, 5, 7, 11] {
            let place = format!("wrong.toml:{line}:");
            ensure!(
                check.errors.contains(&place),
                "nothing about line {line}:\n{}",
                check.errors
            );
        }
        Ok(())
    });
}

#[test]
fn check_names_the_process_that_holds_a_port() {
    in_lab(|lab| {
        let config = configure(lab, &Setup::default())?;
        let mut squatter = lab.command("busybox")?;
        squatter.args(["nc", "-l", "-p", "2049"]);
        let squatter = Process::start(&mut squatter, &lab.folder().join("squatter.log"))?;
        until(
            Duration::from_secs(10),
            "check to name the holder of port 2049",
            || {
                let check = ran(command(lab, &["check"])?.arg("--config").arg(&config))?;
                let said = check.everything();
                let line = said.lines().find(|line| line.contains(":2049"));
                let named = line.is_some_and(|line| {
                    line.contains("busybox") && line.contains(&squatter.id().to_string())
                });
                Ok(named.then_some(()))
            },
        )
    });
}

#[test]
fn a_good_configuration_passes_the_check() {
    in_lab(|lab| {
        let config = configure(lab, &Setup::default())?;
        let check = succeed(command(lab, &["check"])?.arg("--config").arg(&config))?;
        ensure!(
            check.text.contains("br0"),
            "no word of the interface:\n{}",
            check.text
        );
        Ok(())
    });
}

#[test]
fn an_interrupted_image_build_leaves_nothing() {
    in_lab(|lab| {
        let mut build = start_build(lab)?;
        build.signal(Signal::INT)?;
        let status = build.wait(Duration::from_secs(20))?;
        ensure!(
            !status.success(),
            "an interrupted build says that it went well"
        );
        let mut left = entries(&state_dir(lab).join("images").join("small"))?;
        // The empty file that keeps two builds of one image apart stays, as lock files do.
        left.retain(|name| name != ".build-lock");
        ensure!(left.is_empty(), "left behind: {left:?}");
        Ok(())
    });
}

#[test]
fn a_killed_image_build_publishes_nothing_and_the_next_one_cleans_up() {
    in_lab(|lab| {
        let mut build = start_build(lab)?;
        build.signal(Signal::KILL)?;
        build.wait(Duration::from_secs(20))?;
        let folder = state_dir(lab).join("images").join("small");
        let left = entries(&folder)?;
        let hidden = |names: &[String]| names.iter().all(|name| name.starts_with('.'));
        ensure!(hidden(&left), "published by a killed build: {left:?}");

        let config = configure(lab, &Setup::default())?;
        let mut again = command(lab, &["image", "build", "--name", "small", "--config"])?;
        succeed(again.arg(&config).arg(&roots::small()?.folder))?;
        let left = entries(&folder)?;
        let stale: Vec<_> = left
            .iter()
            .filter(|name| name.starts_with(".tmp"))
            .collect();
        ensure!(stale.is_empty(), "not cleaned up: {stale:?}");
        ensure!(
            left.iter().any(|name| name == "current"),
            "not published: {left:?}"
        );
        Ok(())
    });
}

/// An image build of the small root that has begun to write.
fn start_build(lab: &Lab) -> Result<Process> {
    let small = roots::small()?;
    let config = configure(lab, &Setup::default())?;
    let mut build = command(lab, &["image", "build", "--name", "small", "--config"])?;
    build.arg(&config).arg(&small.folder);
    let mut build = Process::start(&mut build, &lab.folder().join("build.log"))?;
    let folder = state_dir(lab).join("images").join("small");
    until(
        Duration::from_secs(30),
        "the build to write something",
        || {
            build.must_run()?;
            Ok(written(&folder)?.then_some(()))
        },
    )?;
    Ok(build)
}

/// Whether something of some size is written below the folder.
fn written(folder: &Path) -> Result<bool> {
    let Ok(list) = fs::read_dir(folder) else {
        return Ok(false);
    };
    for entry in list {
        let entry = entry?;
        let metadata = entry.metadata()?;
        let big = metadata.is_file() && metadata.len() > 100_000;
        if big || metadata.is_dir() && written(&entry.path())? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn entries(folder: &Path) -> Result<Vec<String>> {
    let Ok(list) = fs::read_dir(folder) else {
        return Ok(Vec::new());
    };
    list.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect()
}

#[test]
fn one_http_connection_serves_many_requests() {
    in_lab(|lab| {
        let _server = Server::netbootd(lab, &Setup::default())?;
        let client = lab.client()?;
        client.set_address("192.168.67.7".parse()?)?;
        let url = format!("http://{}/loader/undionly.kpxe", Lab::SERVER);
        let mut curl = client.command("curl")?;
        let curl = curl.args([
            "--verbose",
            "--output",
            "/dev/null",
            &url,
            "--output",
            "/dev/null",
            &url,
        ]);
        let said = succeed(curl)?.errors;
        ensure!(said.contains("Re-using existing connection"), "{said}");
        Ok(())
    });
}

/// A netbootd with the small image, and a client that has an address.
fn serving(test: impl FnOnce(&Lab, &Client) -> Result<()>) {
    in_lab_with_small(Server::netbootd, |lab, _, client, _| test(lab, client));
}

#[test]
fn a_known_card_gets_the_initrd_with_its_own_drivers_alone() {
    serving(|lab, client| {
        let script = format!("/boot/{}.ipxe", client.mac().replace(':', "-"));
        let script = curl(lab, client, &script, &[])?.text();
        let url = script
            .split_whitespace()
            .find_map(|word| word.strip_suffix("?card=${netX/busid:hexraw}"))
            .with_context(|| format!("iPXE is not asked for its card: {script}"))?;
        let get = |card: &str, words: &[&str]| -> Result<Vec<u8>> {
            let answer = curl(lab, client, &format!("{url}{card}"), words)?;
            ensure!(matches!(answer.status, 200 | 206), "{}", answer.headers);
            Ok(answer.body)
        };
        let whole = get("", &[])?;
        let virtio = get("?card=011af41000", &[])?;
        ensure!(virtio.len() < whole.len(), "all drivers: {}", virtio.len());
        ensure!(virtio[..500_000] == whole[..500_000], "another beginning");
        for unknown in ["?card=01ffff0001", "?card=070bda8153", "?card="] {
            ensure!(get(unknown, &[])? == whole, "{unknown} got another initrd");
        }
        // A range across the place where two files meet.
        let range = get("?card=011af41000", &["--range", "400000-"])?;
        ensure!(range == virtio[400_000..], "another range");
        Ok(())
    });
}

#[test]
fn a_clients_overlay_is_only_for_who_has_its_token() {
    serving(|lab, client| {
        let mac = client.mac().replace(':', "-");
        // The script makes an attempt, so that there is a token at all.
        curl(lab, client, &format!("/boot/{mac}.ipxe"), &[])?;
        for token in ["", "?token=", "?token=00000000000000000000000000000000"] {
            let answer = curl(
                lab,
                client,
                &format!("/client/{mac}/overlay.cpio{token}"),
                &[],
            )?;
            ensure!(answer.status == 403, "{token:?}: {}", answer.headers);
            ensure!(!answer.body.starts_with(b"070701"), "{token:?}: an overlay");
        }
        Ok(())
    });
}

/// dnsmasq stays silent here, and the client's resolver waits as long as it likes.
#[test]
fn a_client_is_told_the_options_that_the_operator_adds() {
    in_lab(|lab| {
        let setup = Setup {
            config: "[interfaces.br0.options]\nntp-servers = \"192.168.67.9\"\ndomain-search = \"lab.internal, example.net\"\n\
                     routes = \"10.9.0.0/16 via 192.168.67.7\"\n224 = \"text:hello\"\n",
            ..Setup::default()
        };
        let _server = Server::netbootd(lab, &setup)?;
        let client = lab.client()?;
        let words = [
            "-O",
            "ntpsrv",
            "-O",
            "search",
            "-O",
            "staticroutes",
            "-O",
            "224",
        ];
        let lease = udhcpc(lab, &client, &words)?.context("no lease")?;
        ensure!(
            lease.value(&["ntpsrv"]) == Some("192.168.67.9"),
            "{lease:?}"
        );
        ensure!(
            lease.value(&["search"]) == Some("lab.internal example.net"),
            "{lease:?}"
        );
        let routes = lease.value(&["staticroutes"]).unwrap_or_default();
        ensure!(routes.starts_with("10.9.0.0/16 192.168.67.7"), "{lease:?}");
        ensure!(lease.value(&["opt224"]) == Some("68656c6c6f"), "{lease:?}");
        Ok(())
    });
}

#[test]
fn a_dns_question_that_no_upstream_answers_is_answered_all_the_same() {
    in_lab(|lab| {
        let _server = Server::netbootd(lab, &Setup::default())?;
        let client = lab.client()?;
        client.set_address("192.168.67.7".parse()?)?;
        let answer = dig(&client, &["www.example.org"])?;
        ensure!(
            matches!(answer.status.as_str(), "REFUSED" | "SERVFAIL"),
            "{answer:?}"
        );
        Ok(())
    });
}
