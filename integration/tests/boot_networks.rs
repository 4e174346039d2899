//! A running client keeps its card, its address and its DNS server, whatever else is on it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use integration::subject::netbootd::{asked, put};
use integration::{
    Card, Firmware, Lab, Machine, Mode, Neighbour, RootKind, Server, Setup, in_lab, roots,
};

const LIMIT: Duration = Duration::from_secs(420);
const MINUTE: Duration = Duration::from_secs(60);
const AUTOLOGIN: &str = "[groups.all]\nmembers = [\"*\"]\nautologin = \"root\"\n";
/// The shortest lease that there is lasts two minutes.
const LEASE: Duration = Duration::from_secs(120);

/// The end of the lease of this card's address, from `netbootd leases`; `None`: there is none.
fn leased(lab: &Lab, mac: &str) -> Result<Option<String>> {
    Ok(asked(lab, &["leases"])?
        .lines()
        .find(|line| line.contains(mac))
        .map(str::to_owned))
}

/// Waits longer than the lease lasts, then asks the client who it is and how it kept its address.
fn still_there(machine: &mut Machine) -> Result<String> {
    std::thread::sleep(LEASE + Duration::from_secs(15));
    let ask =
        "ip -4 -o address; journalctl --no-pager -u netbootd-lease -o cat; echo told-$((3+4))";
    machine.shell(ask, "told-7", MINUTE)?;
    let text = machine.console.text();
    let told = text.rsplit_once("told-$((").map_or("", |(_, told)| told);
    eprintln!("{told}");
    Ok(told.to_owned())
}

#[test]
fn matrix_no_network_manager_touches_the_card_that_booted_and_its_lease_lives_on() {
    in_lab(|lab| {
        put(
            lab,
            "all/root/networks.sh",
            include_str!("networks.sh"),
            0o755,
        )?;
        let elsewhere = lab.other_link()?;
        let _router = Neighbour::elsewhere(lab, elsewhere)?;
        let root = roots::networks()?;
        let setup = Setup {
            image: Some(&root),
            kernel_arguments: "quiet",
            lease_time: "2m",
            config: AUTOLOGIN,
            ..Setup::default()
        };
        let server = Server::netbootd(lab, &setup)?;
        let (plug, second) = (lab.tap()?, lab.tap_at(elsewhere)?);
        let mac = plug.1.clone();
        let mut machine = Machine::with_second_card(lab, 1024, plug, &second)?;
        machine.until_says(&["root@pc-"], LIMIT)?;
        let check = format!("/root/networks.sh {mac} {} {}\n", second.1, Lab::SERVER);
        machine.types(&check)?;
        let verdict = machine.until_says(&["NETWORKS PASS", "NETWORKS FAIL"], LIMIT)?;
        let text = machine.console.text();
        for line in text.lines().filter(|line| line.contains(" still ")) {
            eprintln!("{line}");
        }
        ensure!(verdict == "NETWORKS PASS", "the client says {verdict}");

        let mut server = server.kill_and_start_again(lab, &setup)?;
        let told = still_there(&mut machine)?;
        ensure!(told.contains("is ours for 120 s"), "its lease: {told}");
        ensure!(!told.contains("holds port 68"), "its lease: {told}");
        let lease = leased(lab, &mac)?.with_context(|| format!("no lease of {mac}"))?;
        eprintln!("{lease}");
        let address = lease.split_whitespace().next().unwrap_or_default();
        ensure!(told.contains(&format!(" {address}/24 ")), "{lease}, {told}");
        server.must_run()
    });
}

#[test]
fn matrix_beside_another_dhcp_server_a_root_in_memory_keeps_its_address_without_us() {
    in_lab(|lab| {
        let router = Neighbour::leasing(lab, "2m")?;
        let full = roots::full()?;
        let setup = Setup {
            mode: Mode::Proxy,
            root: RootKind::Ram,
            image: Some(&full),
            kernel_arguments: "quiet",
            config: AUTOLOGIN,
            ..Setup::default()
        };
        let server = Server::netbootd(lab, &setup)?;
        let mut machine = Machine::start(lab, Firmware::Bios, Card::Virtio, 1024)?;
        machine.until_says(&["root@pc-"], LIMIT)?;
        drop(server);
        // The lease's own DNS server: who runs the network knows it better than we.
        let ask = format!(
            "grep -c '^nameserver {}$' /etc/resolv.conf; echo dns-$((1+1))",
            Neighbour::ADDRESS
        );
        machine.shell(&ask, "1\ndns-2", MINUTE)?;
        let told = still_there(&mut machine)?;
        ensure!(told.contains("is ours for 120 s"), "its lease: {told}");
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let words = told.split_whitespace();
        let address = words.filter_map(|word| word.strip_suffix("/24")).next();
        let address = address.context("it has no address")?;
        let ends = router.lease_ends(address)?;
        let ends = ends.with_context(|| format!("no lease of {address}"))?;
        ensure!(ends > now, "the lease ended {} s ago", now - ends);
        Ok(())
    });
}
