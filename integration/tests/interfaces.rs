//! Which interfaces netbootd serves, as what, and when. `SUBJECT` changes nothing.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use integration::subject::netbootd::{asked, serve_interface};
use integration::{Client, Lab, Neighbour, Process, in_lab, succeed, until};

/// Longer than the daemon looks for another DHCP server.
const DECIDED: Duration = Duration::from_secs(20);

/// A daemon that serves this interface with every other key at its default.
fn minimal(lab: &Lab, interface: &str) -> Result<Process> {
    serve_interface(lab, interface, "")
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
            let status = asked(lab, &["status"])?;
            Ok(status.contains("serving late0 (10.9.0.1/24)").then_some(()))
        })
    });
}

/// What the kernel of a client that looks for a router counted: solicitations that it sent, answers that it had.
fn asked_for_routers(client: &Client) -> Result<(u32, u32)> {
    let counted = succeed(client.command("cat")?.arg("/proc/self/net/snmp6"))?.text;
    let count = |name: &str| {
        let mut lines = counted.lines().map(str::split_whitespace);
        let line = lines.find_map(|mut words| (words.next() == Some(name)).then(|| words.next()));
        line.flatten()
            .context("no such counter")?
            .parse()
            .context("no number")
    };
    Ok((
        count("Icmp6OutRouterSolicits")?,
        count("Icmp6InRouterAdvertisements")?,
    ))
}

#[test]
fn who_looks_for_a_router_is_answered_and_finds_none_unless_that_is_switched_off() {
    for (keys, is_answered) in [("", true), ("router_advertisements = false\n", false)] {
        in_lab(|lab| {
            let mut daemon = serve_interface(lab, Lab::BRIDGE, keys)?;
            daemon.until_printed("ready", DECIDED)?;
            let client = lab.client()?;
            until(DECIDED, "a kernel to look for routers", || {
                let (sent, heard) = asked_for_routers(&client)?;
                ensure!(is_answered || heard == 0, "answered, though switched off");
                let done = if is_answered { heard > 0 } else { sent > 1 };
                Ok(done.then_some(()))
            })?;
            let routes = succeed(client.command("ip")?.args(["-6", "route"]))?.text;
            ensure!(
                !routes.contains("default"),
                "netbootd is no router: {routes}"
            );
            daemon.must_run()
        });
    }
}
