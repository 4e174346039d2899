//! A new generation is published while a client runs the old one.

use std::time::Duration;

use anyhow::{Result, ensure};
use integration::clients::http::curl;
use integration::subject::netbootd::{command, config_file};
use integration::{
    Card, Client, Firmware, Lab, Machine, RootKind, Server, Setup, in_lab, roots, succeed, until,
};

/// The line of the client's boot script that names its kernel, and so its generation.
fn kernel_line(lab: &Lab, client: &Client) -> Result<String> {
    let path = format!("/boot/{}.ipxe", client.mac().replace(':', "-"));
    let script = curl(lab, client, &path, &[])?.text();
    let line = script.lines().find(|line| line.starts_with("kernel "));
    let url = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(url.unwrap_or_default().to_owned())
}

#[test]
fn a_running_client_never_sees_a_new_image_and_the_next_one_gets_it() {
    in_lab(|lab| {
        let small = roots::small()?;
        let setup = Setup {
            root: RootKind::Tree,
            image: Some(&small),
            kernel_arguments: "quiet lab.wait=1",
            ..Setup::default()
        };
        let mut server = Server::netbootd(lab, &setup)?;
        let other = lab.client()?;
        other.set_address("192.168.67.7".parse()?)?;
        let before = kernel_line(lab, &other)?;

        let changed = small.changed(&lab.folder().join("changed"))?;
        let mut machine = Machine::start(lab, Firmware::Bios, Card::Virtio, 1024)?;
        machine.until_says(&["waiting for a line"], Duration::from_secs(240))?;
        let mut build = command(lab, &["image", "build", "--name", "small", "--config"])?;
        build.arg(config_file(lab));
        succeed(build.arg(&changed.folder))?;
        until(
            Duration::from_secs(20),
            "new clients to get the new generation",
            || {
                let now = kernel_line(lab, &other)?;
                Ok((!now.is_empty() && now != before).then_some(()))
            },
        )?;
        machine.types("\n")?;
        let verdict =
            machine.until_says(&["VERDICT PASS", "VERDICT FAIL"], Duration::from_secs(300))?;
        ensure!(
            verdict == "VERDICT PASS",
            "with a new image published, the running client says {verdict}"
        );
        server.must_run()
    });
}
