//! Which interfaces netbootd serves, as what, and when. `SUBJECT` changes nothing.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use integration::clients::dhcp::{dhclient, udhcpc};
use integration::clients::http;
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
        let looking = format!("waiting for {}: looking whether another", Lab::BRIDGE);
        let status = asked(lab, &["status"])?;
        ensure!(status.contains(&looking), "{status}");
        daemon.until_printed("no other DHCP server answered on this link", DECIDED)?;
        daemon.until_printed("ready", DECIDED)?;
        let status = asked(lab, &["status"])?;
        ensure!(!status.contains("waiting"), "{status}");
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
fn a_full_server_leases_nothing_beside_another_until_that_is_gone() {
    in_lab(|lab| {
        let neighbour = Neighbour::start(lab)?;
        let mut daemon = serve_interface(lab, Lab::BRIDGE, "mode = \"full\"\n")?;
        daemon.until_printed("no addresses are leased here", DECIDED)?;
        let status = asked(lab, &["status"])?;
        for word in [
            Neighbour::ADDRESS,
            "without a boot file",
            "authoritative = true",
            "mode = \"proxy\"",
        ] {
            ensure!(status.contains(word), "{word:?} is not in:\n{status}");
        }
        let mac = status
            .split_once('(')
            .and_then(|(_, rest)| rest.split_once(')'));
        ensure!(
            mac.is_some_and(|(mac, _)| mac.len() == 17),
            "no MAC address in:\n{status}"
        );
        let client = lab.client()?;
        let lease = dhclient(lab, &client, "")?.context("the neighbour leases")?;
        ensure!(
            lease.server()?.to_string() == Neighbour::ADDRESS,
            "{lease:?}"
        );
        // What is no DHCP goes on.
        let url = format!("http://{}/", Lab::SERVER);
        http::curl(lab, &client, &url, &[])?;
        drop(neighbour);
        daemon.until_printed("the other DHCP server is gone", DECIDED * 2)?;
        let lease = dhclient(lab, &lab.client()?, "")?.context("we lease")?;
        ensure!(lease.server()? == Lab::SERVER, "{lease:?}");
        let status = asked(lab, &["status"])?;
        ensure!(!status.contains("ALARM"), "{status}");
        daemon.must_run()
    });
}

#[test]
fn a_server_that_comes_later_is_told_once_and_named_in_the_boots_of_its_clients() {
    in_lab(|lab| {
        let keys = "mode = \"full\"\nauthoritative = true\n";
        let mut daemon = serve_interface(lab, Lab::BRIDGE, keys)?;
        daemon.until_printed("ready", DECIDED)?;
        let _neighbour = Neighbour::start(lab)?;
        let client = lab.client()?;
        let firmware = [
            "-B",
            "-V",
            "PXEClient:Arch:00007:UNDI:003016",
            "-x",
            "0x5d:0007",
        ];
        let said = until(DECIDED, "the other server to be heard", || {
            udhcpc(lab, &client, &firmware)?;
            let status = asked(lab, &["status"])?;
            Ok(status.contains("ALARM").then_some(status))
        })?;
        ensure!(said.contains(Neighbour::ADDRESS), "{said}");
        udhcpc(lab, &client, &firmware)?;
        let why = asked(lab, &["why", client.mac()])?;
        ensure!(
            why.contains(&format!("another server, {}", Neighbour::ADDRESS))
                && why.contains("without a boot file"),
            "{why}"
        );
        let told = daemon.printed().matches("answers too").count();
        ensure!(told == 1, "told {told} times:\n{}", daemon.printed());
        daemon.must_run()
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
