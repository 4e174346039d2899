//! Clients reach the world behind the server's other card, and nothing is left of that afterwards.
//! `SUBJECT` changes nothing.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use integration::clients::dhcp::udhcpc;
use integration::subject::netbootd::{asked, command, serve, state_dir};
use integration::{Client, Lab, Namespace, Process, in_lab, ran, succeed, until};
use rustix::process::Signal;

const SOON: Duration = Duration::from_secs(10);
/// The server's address outside, and that of a web server there.
const OUTSIDE: &str = "203.0.113.1";
const WEB: &str = "203.0.113.9";

/// What is behind the server's card `up0`: a web server that knows no way to the clients' network.
struct World {
    // Dropped in this order: the program before its namespace.
    web: Process,
    namespace: Namespace,
}

impl World {
    fn new(lab: &Lab) -> Result<Self> {
        let namespace = Namespace::new()?;
        let to = namespace.holder();
        lab.server()
            .ip(&format!("link add up0 type veth peer name eth0 netns {to}"))?;
        lab.server()
            .ip(&format!("address add {OUTSIDE}/24 dev up0"))?;
        lab.server().ip("link set up0 up")?;
        namespace.ip(&format!("address add {WEB}/24 dev eth0"))?;
        namespace.ip("link set eth0 up")?;
        let mut python = namespace.command("/usr/bin/python3")?;
        python.args(["-u", "-m", "http.server", "--directory", "/run", "80"]);
        let mut web = Process::start(&mut python, &lab.folder().join("web.log"))?;
        web.until_printed("Serving HTTP", SOON)?;
        Ok(Self { web, namespace })
    }

    /// Whether this client reaches the web server, which must see the server's address.
    fn is_reached(&self, client: &Client, page: &str) -> Result<bool> {
        let mut curl = client.command("curl")?;
        curl.args([
            "--silent",
            "--max-time",
            "1",
            &format!("http://{WEB}/{page}"),
        ]);
        if ran(&mut curl)?.code != Some(0) {
            return Ok(false);
        }
        let seen = self.web.printed();
        let seen = seen
            .lines()
            .find(|line| line.contains(&format!("GET /{page} ")));
        ensure!(
            seen.is_some_and(|line| line.starts_with(OUTSIDE)),
            "{seen:?}"
        );
        Ok(true)
    }

    fn until_reached(&self, client: &Client, page: &str) -> Result<()> {
        until(SOON, "a client to reach the world", || {
            Ok(self.is_reached(client, page)?.then_some(()))
        })
    }
}

fn config(lab: &Lab) -> PathBuf {
    lab.folder().join("netbootd.toml")
}

/// Writes a configuration with `nat` for these interfaces.
fn configure(lab: &Lab, interfaces: &[&str]) -> Result<()> {
    let mut text = format!("state_dir = {:?}\n", state_dir(lab));
    for interface in interfaces {
        text += &format!("[interfaces.{interface}]\nmode = \"full\"\nnat = \"up0\"\n");
    }
    Ok(fs::write(config(lab), text)?)
}

fn start(lab: &Lab, interfaces: &[&str]) -> Result<Process> {
    configure(lab, interfaces)?;
    serve(lab, &config(lab))
}

/// Another link of the server, with an address of its own.
fn second_network(lab: &Lab) -> Result<&'static str> {
    let link = lab.other_link()?;
    lab.server()
        .ip(&format!("address add 192.168.68.1/24 dev {link}"))?;
    Ok(link)
}

/// A client with a lease of ours and the router that it names.
fn leased(lab: &Lab, bridge: &str) -> Result<Client> {
    let client = lab.client_at(bridge)?;
    let lease = until(SOON, "a lease", || udhcpc(lab, &client, &[]))?;
    let router = lease.routers();
    ensure!(router == lease.server()?.to_string(), "{lease:?}");
    succeed(
        client
            .command("ip")?
            .args(["route", "add", "default", "via", router]),
    )?;
    Ok(client)
}

/// Runs a line of sh on the server.
fn on_server(lab: &Lab, line: &str) -> Result<String> {
    Ok(succeed(lab.command("sh")?.args(["-c", line]))?.text)
}

fn rules(lab: &Lab) -> Result<String> {
    on_server(
        lab,
        "nft -s list ruleset; cat /proc/sys/net/ipv4/ip_forward",
    )
}

fn forwards(lab: &Lab, on: bool) -> Result<()> {
    let value = u8::from(on);
    on_server(lab, &format!("echo {value} >/proc/sys/net/ipv4/ip_forward"))?;
    Ok(())
}

fn stop(mut daemon: Process) -> Result<()> {
    let ended = daemon.stop(SOON)?;
    ensure!(ended.success(), "{ended}: {}", daemon.printed());
    Ok(())
}

#[test]
fn a_client_reaches_the_world_as_the_server_and_the_end_leaves_nothing() {
    for forwarding in [false, true] {
        in_lab(|lab| {
            let world = World::new(lab)?;
            forwards(lab, forwarding)?;
            let before = rules(lab)?;
            let daemon = start(lab, &[Lab::BRIDGE])?;
            let client = leased(lab, Lab::BRIDGE)?;
            world.until_reached(&client, "page")?;
            ensure!(rules(lab)?.ends_with("}\n1\n"), "{}", rules(lab)?);
            // Who finds the way in is not let in.
            world
                .namespace
                .ip(&format!("route add 192.168.67.0/24 via {OUTSIDE}"))?;
            let address = on_client(&client)?;
            let mut ping = world.namespace.command("ping")?;
            let ping = ran(ping.args(["-c", "1", "-W", "1", &address]))?;
            ensure!(ping.code == Some(1), "{}", ping.everything());
            stop(daemon)?;
            ensure!(rules(lab)? == before, "left: {}", rules(lab)?);
            world.namespace.ip("route del 192.168.67.0/24")?;
            ensure!(!world.is_reached(&client, "after")?);
            Ok(())
        });
    }
}

fn on_client(client: &Client) -> Result<String> {
    let shown = succeed(
        client
            .command("ip")?
            .args(["-4", "-o", "address", "show", "eth0"]),
    )?
    .text;
    let address = shown.split_whitespace().nth(3).unwrap_or_default();
    Ok(address.split('/').next().unwrap_or_default().to_owned())
}

/// What Docker makes of iptables, as far as it is in our way.
const DOCKER: &str = "iptables-nft -N DOCKER-USER && iptables-nft -A DOCKER-USER -j RETURN && \
    iptables-nft -A FORWARD -j DOCKER-USER && iptables-nft -P FORWARD DROP && \
    iptables-nft -t nat -A POSTROUTING -s 172.17.0.0/16 -j MASQUERADE";

#[test]
fn beside_docker_clients_reach_the_world_and_docker_keeps_its_rules() {
    in_lab(|lab| {
        let world = World::new(lab)?;
        forwards(lab, true)?;
        on_server(lab, DOCKER)?;
        let before = rules(lab)?;
        let daemon = start(lab, &[Lab::BRIDGE])?;
        let client = leased(lab, Lab::BRIDGE)?;
        world.until_reached(&client, "page")?;
        // iptables still understands every line of what is its own.
        let listed = on_server(lab, "iptables-nft -S 2>&1; iptables-nft-save 2>&1")?;
        ensure!(listed.contains("-A DOCKER-USER -i br0 -o up0"), "{listed}");
        ensure!(!listed.contains("incompatible"), "{listed}");
        stop(daemon)?;
        ensure!(
            rules(lab)? == before,
            "left: {}\nbefore: {before}",
            rules(lab)?
        );
        Ok(())
    });
}

#[test]
fn docker_that_comes_later_is_told_and_keeps_forwarding() {
    in_lab(|lab| {
        let world = World::new(lab)?;
        forwards(lab, false)?;
        let daemon = start(lab, &[Lab::BRIDGE])?;
        let client = leased(lab, Lab::BRIDGE)?;
        world.until_reached(&client, "before")?;
        on_server(lab, DOCKER)?;
        world.until_reached(&client, "with")?;
        stop(daemon)?;
        let left = rules(lab)?;
        // Docker found it switched on, and needs it.
        ensure!(
            left.ends_with("}\n1\n") && !left.contains("netbootd"),
            "{left}"
        );
        Ok(())
    });
}

#[test]
fn a_firewall_that_drops_is_named() {
    in_lab(|lab| {
        let _world = World::new(lab)?;
        on_server(lab, "iptables-nft -P FORWARD DROP")?;
        let mut daemon = start(lab, &[Lab::BRIDGE])?;
        daemon.until_printed("the firewall's chain `ip filter FORWARD` drops", SOON)?;
        daemon.until_printed("ufw route allow in on br0 out on up0", SOON)
    });
}

#[test]
fn what_the_older_iptables_drops_is_said_with_the_command_that_lets_it_pass() {
    in_lab(|lab| {
        let world = World::new(lab)?;
        on_server(
            lab,
            "iptables-legacy -P FORWARD DROP; iptables-legacy -N DOCKER-USER; iptables-legacy -A FORWARD -j DOCKER-USER",
        )?;
        let mut daemon = start(lab, &[Lab::BRIDGE])?;
        let client = leased(lab, Lab::BRIDGE)?;
        let remedy = "iptables-legacy -I DOCKER-USER -i br0 -o up0 -j ACCEPT && \
            iptables-legacy -I DOCKER-USER -i up0 -o br0 -j ACCEPT";
        daemon.until_printed(remedy, SOON)?;
        let alarm = asked(lab, &["status"])?;
        ensure!(alarm.contains("ALARM") && alarm.contains(remedy), "{alarm}");
        let mut check = command(lab, &["check", "--config"])?;
        let check = succeed(check.arg(config(lab)))?.everything();
        ensure!(check.contains("C107") && check.contains(remedy), "{check}");
        ensure!(!world.is_reached(&client, "dropped")?);
        on_server(lab, remedy)?;
        world.until_reached(&client, "page")?;
        // The kernel tells of rules that change, and not of the older ones.
        on_server(lab, "nft add table ip changed")?;
        until(SOON, "the alarm to end", || {
            Ok((!asked(lab, &["status"])?.contains("ALARM")).then_some(()))
        })
    });
}

#[test]
fn rules_that_somebody_flushes_are_put_back_and_said() {
    in_lab(|lab| {
        let world = World::new(lab)?;
        forwards(lab, false)?;
        let mut daemon = start(lab, &[Lab::BRIDGE])?;
        let client = leased(lab, Lab::BRIDGE)?;
        world.until_reached(&client, "page")?;
        for (number, done) in ["flush ruleset", "flush chain ip netbootd postrouting"]
            .iter()
            .enumerate()
        {
            let in_place = rules(lab)?;
            on_server(lab, &format!("nft {done}"))?;
            until(Duration::from_secs(2), "the rules to be back", || {
                Ok((rules(lab)? == in_place).then_some(()))
            })?;
            world.until_reached(&client, &format!("again{number}"))?;
        }
        daemon.until_printed("somebody changed the rules; they are put back", SOON)?;
        stop(daemon)?;
        ensure!(rules(lab)? == "0\n", "left: {}", rules(lab)?);
        Ok(())
    });
}

#[test]
fn what_a_killed_daemon_left_is_replaced_and_then_taken_away() {
    in_lab(|lab| {
        let world = World::new(lab)?;
        let other = second_network(lab)?;
        forwards(lab, false)?;
        let mut daemon = start(lab, &[Lab::BRIDGE])?;
        world.until_reached(&leased(lab, Lab::BRIDGE)?, "first")?;
        daemon.signal(Signal::KILL)?;
        daemon.wait(SOON)?;
        ensure!(rules(lab)?.contains("192.168.67.0/24"));
        let daemon = start(lab, &[other])?;
        world.until_reached(&leased(lab, other)?, "second")?;
        ensure!(!rules(lab)?.contains("192.168.67.0/24"), "{}", rules(lab)?);
        stop(daemon)?;
        ensure!(rules(lab)? == "0\n", "left: {}", rules(lab)?);
        Ok(())
    });
}

#[test]
fn two_networks_reach_the_world_and_not_each_other() {
    in_lab(|lab| {
        let world = World::new(lab)?;
        let other = second_network(lab)?;
        forwards(lab, false)?;
        let daemon = start(lab, &[Lab::BRIDGE, other])?;
        let clients = [leased(lab, Lab::BRIDGE)?, leased(lab, other)?];
        world.until_reached(&clients[0], "one")?;
        world.until_reached(&clients[1], "two")?;
        // They were not before netbootd switched forwarding on.
        let ping = ["-c", "1", "-W", "1", &on_client(&clients[1])?];
        let ping = ran(clients[0].command("ping")?.args(ping))?;
        ensure!(ping.code == Some(1), "{}", ping.everything());
        // An address that changes takes its rules along.
        lab.server()
            .ip(&format!("address del 192.168.68.1/24 dev {other}"))?;
        lab.server()
            .ip(&format!("address add 192.168.69.1/24 dev {other}"))?;
        world.until_reached(&leased(lab, other)?, "three")?;
        stop(daemon)
    });
}

#[test]
fn an_uplink_that_comes_later_is_waited_for_in_words() {
    in_lab(|lab| {
        forwards(lab, false)?;
        let mut daemon = start(lab, &[Lab::BRIDGE])?;
        daemon.until_printed(
            "waiting for the interface: there is no such interface",
            SOON,
        )?;
        let mut status = command(lab, &["status"])?;
        let status = succeed(status.arg("--config").arg(config(lab)))?.text;
        ensure!(
            status.contains("waiting for up0: there is no such"),
            "{status}"
        );
        let client = leased(lab, Lab::BRIDGE)?;
        let world = World::new(lab)?;
        world.until_reached(&client, "page")?;
        stop(daemon)
    });
}

/// The same command as a user without privileges.
fn unprivileged(command: Command) -> Command {
    let mut words: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    let program = words.iter().position(|word| word == "KILL").unwrap_or(0) + 1;
    for word in [
        "--bounding-set=-all",
        "--inh-caps=-all",
        "--clear-groups",
        "--regid=65534",
        "--reuid=65534",
    ] {
        words.insert(program, word.into());
    }
    let mut unprivileged = Command::new(command.get_program());
    unprivileged.args(words);
    unprivileged
}

#[test]
fn the_check_names_the_line_and_the_drop_in_where_the_right_is_missing() {
    in_lab(|lab| {
        let _world = World::new(lab)?;
        configure(lab, &[Lab::BRIDGE])?;
        // Where anybody may read it.
        let folder = PathBuf::from(on_server(lab, "mktemp -d")?.trim());
        let open = folder.join("netbootd.toml");
        fs::copy(config(lab), &open)?;
        on_server(
            lab,
            &format!(
                "chmod 755 {0} && chmod 644 {0}/netbootd.toml",
                folder.display()
            ),
        )?;
        let mut check = command(lab, &["check"])?;
        check.arg("--config").arg(&open);
        let privileged = ran(&mut check)?;
        let said = ran(&mut unprivileged(check))?;
        fs::remove_dir_all(&folder)?;
        ensure!(!privileged.errors.contains("C107"), "{}", privileged.errors);
        ensure!(said.code == Some(0), "{}", said.everything());
        let words = [
            "warning[C107]: the clients of br0 will reach nobody by up0",
            "netbootd.toml:4:7",
            "nat.conf",
            "CAP_NET_ADMIN",
        ];
        for word in words {
            ensure!(said.errors.contains(word), "no {word} in {}", said.errors);
        }
        Ok(())
    });
}
