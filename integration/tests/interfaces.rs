//! Which interfaces netbootd serves, as what, and when. `SUBJECT` changes nothing.

use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};
use integration::subject::netbootd::{command, serve, state_dir};
use integration::{Lab, Neighbour, Process, in_lab, succeed, until};

/// Longer than the daemon looks for another DHCP server.
const DECIDED: Duration = Duration::from_secs(20);

/// A daemon that serves this interface with every other key at its default.
fn minimal(lab: &Lab, interface: &str) -> Result<Process> {
    let config = lab.folder().join("minimal.toml");
    let state = state_dir(lab);
    fs::write(
        &config,
        format!("state_dir = {state:?}\n\n[interfaces.{interface}]\n"),
    )?;
    serve(lab, &config)
}

#[test]
fn alone_on_the_link_netbootd_is_the_full_server_and_says_why() {
    in_lab(|lab| {
        let mut daemon = minimal(lab, Lab::BRIDGE)?;
        daemon.until_printed("no other DHCP server answered on this link", DECIDED)?;
        daemon.until_printed("ready", DECIDED)?;
        ensure!(daemon.printed().contains("full"), "{}", daemon.printed());
        Ok(())
    });
}

#[test]
fn beside_another_server_netbootd_is_a_proxy_and_names_that_server() {
    in_lab(|lab| {
        let _neighbour = Neighbour::start(lab)?;
        let mut daemon = minimal(lab, Lab::BRIDGE)?;
        let found = format!("the DHCP server {} answers", Neighbour::ADDRESS);
        daemon.until_printed(&found, DECIDED)?;
        daemon.until_printed("ready", DECIDED)?;
        ensure!(daemon.printed().contains("proxy"), "{}", daemon.printed());
        Ok(())
    });
}

#[test]
fn an_interface_that_comes_later_is_waited_for_in_words_and_then_served() {
    in_lab(|lab| {
        let mut daemon = minimal(lab, "late0")?;
        daemon.until_printed("waiting for the interface: there is no such", DECIDED)?;
        daemon.until_printed("ready", DECIDED)?;
        lab.server().ip("link add late0 type bridge")?;
        daemon.until_printed("it is down", DECIDED)?;
        lab.server().ip("link set late0 up")?;
        daemon.until_printed("it has no IPv4 address", DECIDED)?;
        lab.server().ip("address add 10.9.0.1/24 dev late0")?;
        until(DECIDED, "late0 to be served", || {
            let config = lab.folder().join("minimal.toml");
            let status = succeed(command(lab, &["status"])?.arg("--config").arg(config))?;
            Ok(status
                .text
                .contains("serving late0 (10.9.0.1/24)")
                .then_some(()))
        })
    });
}
