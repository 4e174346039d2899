//! By what netbootd knows a machine, what it tells it besides, and whose address it does not give away, asked by clients that nobody here wrote. `SUBJECT` changes nothing.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use integration::clients::dhcp::{dhclient, udhcpc};
use integration::subject::netbootd::{asked, serve_interface};
use integration::{Client, Lab, Process, in_lab, ran};

const READY: Duration = Duration::from_secs(20);
/// As firmware sends it: the type, and the first three fields with the low byte first.
const UUID_SENT: &str = "0x61:0044454c4c420010358052b4c04f384431";
const FULL: &str = "mode = \"full\"\nauthoritative = true\nrouter_advertisements = false\n";

/// netbootd with these keys for the lab's link, ready for its clients.
fn serving(lab: &Lab, keys: &str) -> Result<Process> {
    let mut daemon = serve_interface(lab, Lab::BRIDGE, keys)?;
    daemon.until_printed("ready", READY)?;
    Ok(daemon)
}

#[test]
fn a_machine_is_known_by_its_mainboard_and_keeps_its_address_and_name_over_a_restart() {
    in_lab(|lab| {
        let keys = format!(
            "{FULL}[clients.\"4c4c4544-0042-3510-8052-b4c04f384431\"]\naddress = \"192.168.67.11\"\nhostname = \"pc1\"\n"
        );
        let mut daemon = serving(lab, &keys)?;
        let client = lab.client()?;
        let firmware = [
            "-V",
            "PXEClient:Arch:00007",
            "-x",
            "0x5d:0007",
            "-x",
            UUID_SENT,
        ];
        let lease = udhcpc(lab, &client, &firmware)?.context("the firmware got no lease")?;
        ensure!(
            lease.address()? == Ipv4Addr::new(192, 168, 67, 11),
            "{lease:?}"
        );
        daemon.stop(READY)?;
        let mut daemon = serving(lab, &keys)?;
        // A system says nothing of the mainboard.
        let lease = dhclient(lab, &client, "")?.context("the system got no lease")?;
        ensure!(
            lease.address()? == Ipv4Addr::new(192, 168, 67, 11),
            "{lease:?}"
        );
        ensure!(lease.value(&["new_host_name"]) == Some("pc1"), "{lease:?}");
        let said = asked(lab, &["client", "pc1", "--explain"])?;
        ensure!(
            said.contains(client.mac())
                && said.contains("known by 4c4c4544-0042-3510-8052-b4c04f384431"),
            "{said}"
        );
        let other = dhclient(lab, &lab.client()?, "")?.context("the other got no lease")?;
        ensure!(
            other.address()? != Ipv4Addr::new(192, 168, 67, 11),
            "{other:?}"
        );
        daemon.must_run()
    });
}

#[test]
fn a_bootp_machine_gets_what_is_reserved_for_it_and_another_one_nothing() {
    in_lab(|lab| {
        let (client, other) = (lab.client()?, lab.client()?);
        let keys = format!(
            "{FULL}[clients.{:?}]\naddress = \"192.168.67.13\"\nhostname = \"plotter\"\n",
            client.mac()
        );
        let mut daemon = serving(lab, &keys)?;
        // Of klibc, for kernels whose root is on the network.
        let ask = |client: &Client| {
            let mut ipconfig = client.command("/usr/lib/klibc/bin/ipconfig")?;
            ran(ipconfig.args(["-c", "bootp", "-t", "8", "eth0"]))
        };
        let told = ask(&client)?.everything();
        for wanted in ["192.168.67.13", "255.255.255.0", "plotter", "bootp"] {
            ensure!(told.contains(wanted), "no {wanted:?} in:\n{told}");
        }
        let told = ask(&other)?;
        ensure!(told.code != Some(0), "{}", told.everything());
        daemon.must_run()
    });
}

#[test]
fn a_machine_is_known_by_the_identifier_that_its_system_sends() {
    in_lab(|lab| {
        let keys = format!("{FULL}[clients.\"id:pc07\"]\naddress = \"192.168.67.12\"\n");
        let mut daemon = serving(lab, &keys)?;
        let as_text = dhclient(
            lab,
            &lab.client()?,
            "send dhcp-client-identifier \"pc07\";\n",
        )?;
        let as_text = as_text.context("dhclient got no lease")?;
        ensure!(
            as_text.address()? == Ipv4Addr::new(192, 168, 67, 12),
            "{as_text:?}"
        );
        // Another card, with the type before it, as RFC 2132 has it.
        let typed = ["-C", "-x", "0x3d:0070633037"];
        let typed = udhcpc(lab, &lab.client()?, &typed)?.context("udhcpc got no lease")?;
        ensure!(
            typed.address()? == Ipv4Addr::new(192, 168, 67, 12),
            "{typed:?}"
        );
        daemon.must_run()
    });
}

#[test]
fn an_option_of_the_client_wins_over_its_groups_and_that_over_the_cards() {
    in_lab(|lab| {
        let (own, other) = (lab.client()?, lab.client()?);
        let keys = format!(
            "{FULL}options.ntp-servers = \"192.168.67.91\"\n\
             [groups.all]\nmembers = [\"*\"]\noptions.ntp-servers = \"192.168.67.92\"\noptions.log-servers = \"192.168.67.7\"\n\
             [clients.\"{}\"]\nhostname = \"pc1\"\noptions.42 = \"192.168.67.93\"\n",
            own.mac()
        );
        let mut daemon = serving(lab, &keys)?;
        let wanted = "request subnet-mask, ntp-servers, log-servers;\n";
        for (client, server) in [(&own, "192.168.67.93"), (&other, "192.168.67.92")] {
            let lease = dhclient(lab, client, wanted)?.context("no lease")?;
            ensure!(
                lease.value(&["new_ntp_servers"]) == Some(server),
                "{lease:?}"
            );
            ensure!(
                lease.value(&["new_log_servers"]) == Some("192.168.67.7"),
                "{lease:?}"
            );
        }
        let said = asked(lab, &["client", "pc1", "--explain"])?;
        let lines: Vec<&str> = said
            .lines()
            .filter(|line| line.contains(".options."))
            .collect();
        ensure!(lines.len() == 4, "{said}");
        for overruled in ["192.168.67.91", "192.168.67.92"] {
            let line = lines.iter().find(|line| line.contains(overruled));
            ensure!(
                line.is_some_and(|line| line.contains("(overruled)")),
                "{said}"
            );
        }
        daemon.must_run()
    });
}

#[test]
fn an_address_that_somebody_has_without_a_lease_is_set_aside_before_a_client_comes() {
    in_lab(|lab| {
        let squatter = lab.client()?;
        squatter.set_address("192.168.67.20".parse()?)?;
        let keys = format!("{FULL}pool = [\"192.168.67.20-192.168.67.21\"]\n");
        let mut daemon = serve_interface(lab, Lab::BRIDGE, &keys)?;
        daemon.until_printed("192.168.67.20 is in the pool", READY)?;
        let began = Instant::now();
        let lease = udhcpc(lab, &lab.client()?, &[])?.context("no lease")?;
        ensure!(
            lease.address()? == Ipv4Addr::new(192, 168, 67, 21),
            "{lease:?}"
        );
        let took = began.elapsed();
        ensure!(took < Duration::from_secs(1), "the lease took {took:?}");
        let leases = asked(lab, &["leases"])?;
        let line = leases
            .lines()
            .find(|line| line.starts_with("192.168.67.20 "));
        ensure!(
            line.is_some_and(
                |line| line.contains(squatter.mac()) && line.contains("given to nobody")
            ),
            "{leases}"
        );
        daemon.must_run()
    });
}

#[test]
fn a_system_without_an_address_is_answered_at_its_card() {
    in_lab(|lab| {
        let mut daemon = serving(lab, FULL)?;
        let client = lab.client()?;
        let mut tcpdump = client.command("tcpdump")?;
        tcpdump.args([
            "-l", "-e", "-n", "-vv", "-c", "2", "-i", "eth0", "src", "port", "67",
        ]);
        let mut heard = Process::start(&mut tcpdump, &lab.folder().join("heard.log"))?;
        heard.until_printed("listening on", READY)?;
        dhclient(lab, &client, "")?.context("no lease")?;
        heard.wait(READY)?;
        let heard = heard.printed();
        for wanted in [&format!("> {}, ethertype IPv4", client.mac()), "udp sum ok"] {
            ensure!(heard.matches(wanted).count() == 2, "{wanted}: {heard}");
        }
        daemon.must_run()
    });
}
