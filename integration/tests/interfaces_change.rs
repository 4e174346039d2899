//! Interfaces and addresses that come, go and change while netbootd runs, asked by real clients.
//! `SUBJECT` changes nothing.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use integration::clients::dhcp::udhcpc;
use integration::subject::netbootd::{command, serve, state_dir};
use integration::{Client, Lab, Process, in_lab, succeed, until};

/// The promise: how long after a change everything is served again.
const SERVED: Duration = Duration::from_secs(2);
const SOON: Duration = Duration::from_secs(10);
/// A link of the test's own; the lab's carries the capture.
const LINK: &str = "lan0";

fn config(lab: &Lab) -> PathBuf {
    lab.folder().join("netbootd.toml")
}

/// A daemon that serves [`LINK`].
fn daemon(lab: &Lab, keys: &str) -> Result<Process> {
    let state = state_dir(lab);
    let text = format!("state_dir = {state:?}\n\n[interfaces.{LINK}]\n{keys}\n");
    fs::write(config(lab), text)?;
    let mut daemon = serve(lab, &config(lab))?;
    daemon.until_printed("ready", SOON)?;
    Ok(daemon)
}

fn status(lab: &Lab) -> Result<String> {
    let mut status = command(lab, &["status"])?;
    Ok(succeed(status.arg("--config").arg(config(lab)))?.text)
}

fn until_status(lab: &Lab, words: &str) -> Result<()> {
    until(SERVED, &format!("status to say {words:?}"), || {
        Ok(status(lab)?.contains(words).then_some(()))
    })
}

/// Makes the link, with this address of the server's.
fn make(lab: &Lab, address: &str) -> Result<()> {
    let bridge = format!("link add {LINK} type bridge forward_delay 0 stp_state 0");
    lab.server().ip(&bridge)?;
    lab.server().ip(&format!("link set {LINK} up"))?;
    lab.server()
        .ip(&format!("address add {address}/24 dev {LINK}"))
}

/// Asks DHCP, DNS, HTTP, TFTP and NFS at this address, one after the other, and each again until it
/// answers; all have to within [`SERVED`] of `change`.
fn all_answer(lab: &Lab, client: &Client, server: &str, change: Instant) -> Result<()> {
    // Who is answered in the very moment of the change has the old address's answer, and asks again by a
    // clock of its own.
    std::thread::sleep(Duration::from_millis(100));
    until(SERVED, "a lease", || {
        let lease = udhcpc(lab, client, &["-t", "1"])?;
        let Some(lease) = lease else { return Ok(None) };
        ensure!(lease.server()?.to_string() == server, "{lease:?}");
        Ok(Some(()))
    })?;
    let at_server = format!("@{server}");
    let (http, tftp) = (format!("http://{server}/"), format!("tftp://{server}/none"));
    let asked: [(&str, &[&str], &str); 4] = [
        (
            "dig",
            &["+time=1", "+tries=1", &at_server, "netbootd.lab.internal"],
            server,
        ),
        (
            "curl",
            &["--silent", "--include", "--max-time", "1", &http],
            "HTTP/1.1 ",
        ),
        // Its number for: there is no such file.
        (
            "curl",
            &["--silent", "--show-error", "--max-time", "1", &tftp],
            "curl: (68)",
        ),
        ("rpcinfo", &["-p", server], "100003"),
    ];
    for (program, words, expected) in asked {
        until(
            SERVED,
            &format!("{program} {words:?} to be answered"),
            || {
                let said = integration::ran(client.command(program)?.args(words))?;
                Ok(said.everything().contains(expected).then_some(()))
            },
        )?;
    }
    let took = change.elapsed();
    println!("everything at {server} answered {took:?} after the change");
    ensure!(took < SERVED, "it took {took:?}");
    Ok(())
}

#[test]
fn an_interface_that_comes_later_is_served_at_once() {
    in_lab(|lab| {
        let mut daemon = daemon(lab, "mode = \"full\"\nauthoritative = true")?;
        until_status(lab, "waiting for lan0: there is no such interface")?;
        let change = Instant::now();
        make(lab, "10.9.0.1")?;
        let client = lab.client_at(LINK)?;
        all_answer(lab, &client, "10.9.0.1", change)?;
        until_status(lab, "serving lan0 (10.9.0.1/24)")?;
        daemon.must_run()
    });
}

#[test]
fn an_address_that_goes_and_comes_finds_its_clients_still_connected() {
    in_lab(|lab| {
        make(lab, "10.9.0.1")?;
        let client = lab.client_at(LINK)?;
        let mut daemon = daemon(lab, "mode = \"full\"\nauthoritative = true")?;
        all_answer(lab, &client, "10.9.0.1", Instant::now())?;
        let mut nfs = connected(lab, &client, "10.9.0.1")?;
        for (gone, back, reason) in [
            (
                "address del 10.9.0.1/24 dev lan0",
                "address add 10.9.0.1/24 dev lan0",
                "it has no IPv4 address",
            ),
            ("link set lan0 down", "link set lan0 up", "it is down"),
        ] {
            lab.server().ip(gone)?;
            until_status(lab, &format!("waiting for lan0: {reason}"))?;
            daemon.until_printed(reason, SOON)?;
            ensure!(!status(lab)?.contains("serving lan0"), "{}", status(lab)?);
            let change = Instant::now();
            lab.server().ip(back)?;
            all_answer(lab, &client, "10.9.0.1", change)?;
            until_status(lab, "serving lan0 (10.9.0.1/24)")?;
        }
        nfs.until_printed("still connected", SOON)?;
        daemon.must_run()
    });
}

/// A client that says whether a connection to NFS, made now, answers a call some seconds later.
fn connected(lab: &Lab, client: &Client, server: &str) -> Result<Process> {
    const CALLS: &str = "
import socket, struct, sys, time
nfs = socket.create_connection((sys.argv[1], 2049), 5)
null = struct.pack('>11I', 1 << 31 | 40, 7, 0, 2, 100003, 3, 0, 0, 0, 0, 0)
def call():
    nfs.sendall(null)
    assert len(nfs.recv(28, socket.MSG_WAITALL)) == 28
call()
print('connected', flush=True)
time.sleep(6)
nfs.settimeout(10)
call()
print('still connected', flush=True)
time.sleep(60)
";
    let mut python = client.command("/usr/bin/python3")?;
    python.args(["-c", CALLS, server]);
    let mut nfs = Process::start(&mut python, &lab.folder().join("connected.log"))?;
    nfs.until_printed("connected", SOON)?;
    Ok(nfs)
}

#[test]
fn an_address_that_changes_moves_every_service() {
    in_lab(|lab| {
        make(lab, "10.9.0.1")?;
        let client = lab.client_at(LINK)?;
        let mut daemon = daemon(lab, "mode = \"full\"\nauthoritative = true")?;
        all_answer(lab, &client, "10.9.0.1", Instant::now())?;
        lab.server().ip("address del 10.9.0.1/24 dev lan0")?;
        let change = Instant::now();
        lab.server().ip("address add 10.77.0.5/24 dev lan0")?;
        all_answer(lab, &client, "10.77.0.5", change)?;
        until_status(lab, "serving lan0 (10.77.0.5/24)")?;
        daemon.until_printed("its address is another now; its services follow", SOON)?;
        // The same the other way round: the new address is there before the old one goes.
        lab.server().ip("address add 10.9.0.2/24 dev lan0")?;
        let change = Instant::now();
        lab.server().ip("address del 10.77.0.5/24 dev lan0")?;
        all_answer(lab, &client, "10.9.0.2", change)?;
        daemon.must_run()
    });
}

#[test]
fn an_interface_that_is_made_again_is_served_again_without_a_second_look_for_servers() {
    in_lab(|lab| {
        make(lab, "10.9.0.1")?;
        // The mode is found out, which takes 6 seconds, once.
        let mut daemon = daemon(lab, "")?;
        for _ in 0..2 {
            let client = lab.client_at(LINK)?;
            all_answer(lab, &client, "10.9.0.1", Instant::now())?;
            lab.server().ip(&format!("link delete {LINK}"))?;
            until_status(lab, "waiting for lan0: there is no such interface")?;
            let change = Instant::now();
            make(lab, "10.9.0.1")?;
            let client = lab.client_at(LINK)?;
            all_answer(lab, &client, "10.9.0.1", change)?;
            asked_for_a_router(&lab.client_at(LINK)?)?;
        }
        daemon.must_run()
    });
}

/// A kernel that comes to the link looks for an IPv6 router, and is answered.
fn asked_for_a_router(client: &Client) -> Result<()> {
    until(SOON, "an answer for who looks for a router", || {
        let counted = succeed(client.command("cat")?.arg("/proc/self/net/snmp6"))?.text;
        let line = counted
            .lines()
            .find(|line| line.starts_with("Icmp6InRouterAdvertisements"));
        let count = line.and_then(|line| line.split_whitespace().last());
        let count: u32 = count.context("no such counter")?.parse()?;
        Ok((count > 0).then_some(()))
    })
}
