//! What an operator does to the lease book: `netbootd leases`.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use integration::clients::dhcp::{Lease, dhclient, udhcpc};
use integration::subject::netbootd::{asked, refused, serve_interface, state_dir};
use integration::{Client, Lab, Neighbour, Process, Server, Setup, in_lab};

fn serving(test: impl FnOnce(&Lab) -> Result<()>) {
    in_lab(|lab| {
        let mut server = Server::netbootd(lab, &Setup::default())?;
        test(lab)?;
        server.must_run()
    });
}

#[test]
fn leases_of_dnsmasq_are_taken_over_and_the_client_gets_its_address() {
    serving(|lab| {
        let client = lab.client()?;
        let file = lab.folder().join("dnsmasq.leases");
        let mac = client.mac();
        let leases = format!(
            "0 {mac} 192.168.67.83 old-name *\n1 52:54:00:00:00:09 192.168.67.84 * *\n\
             0 52:54:00:00:00:08 10.9.8.7 * *\n"
        );
        fs::write(&file, leases)?;
        let file = file.display().to_string();
        let summary = "1 leases {} taken over; 1 had ended, 1 do not fit, 0 were not understood";
        let dry = asked(lab, &["leases", "import", "--dry-run", &file])?;
        ensure!(dry.contains(&summary.replace("{}", "would be")), "{dry}");
        ensure!(
            dry.contains("10.9.8.7 of 52:54:00:00:00:08 is left out: no subnet"),
            "{dry}"
        );
        ensure!(asked(lab, &["leases", "--json"])?.trim() == "[]");
        let done = asked(lab, &["leases", "import", &file])?;
        ensure!(done.contains(&summary.replace("{}", "were")), "{done}");
        let lease = udhcpc(lab, &client, &[])?.context("udhcpc got no lease")?;
        ensure!(lease.address()?.to_string() == "192.168.67.83", "{lease:?}");
        Ok(())
    });
}

type Ask<'a> = &'a dyn Fn(&Client) -> Result<Option<Lease>>;

/// Clients ask the server of before; then its leases are netbootd's, and each gets the address that it had.
fn keep_their_addresses<S>(
    start: impl FnOnce(&Lab) -> Result<S>,
    leases: impl FnOnce(&Lab, &S) -> Result<String>,
) {
    in_lab(|lab| {
        let before = start(lab)?;
        // One sends an identifier of its own, one that of its card, one none.
        let ask: [Ask<'_>; 3] = [
            &|client| {
                dhclient(
                    lab,
                    client,
                    "send dhcp-client-identifier \"room 7, seat 3\";",
                )
            },
            &|client| udhcpc(lab, client, &[]),
            &|client| udhcpc(lab, client, &["-C"]),
        ];
        let mut had = Vec::new();
        for ask in ask {
            let client = lab.client()?;
            let lease = ask(&client)?.context("the server of before leased nothing")?;
            had.push((ask, client, lease.address()?));
        }
        let file = lab.folder().join("leases-of-before");
        fs::write(&file, leases(lab, &before)?)?;
        drop(before);
        // The pool that the others had.
        let keys =
            "mode = \"full\"\nauthoritative = true\npool = [\"192.168.67.100-192.168.67.190\"]\n";
        let _server = serve_interface(lab, Lab::BRIDGE, keys)?;
        let done = asked(lab, &["leases", "import", &file.display().to_string()])?;
        ensure!(done.contains("3 leases were taken over"), "{done}");
        // The other way round, so that nobody gets it because it is the next.
        for (ask, client, address) in had.into_iter().rev() {
            let lease = ask(&client)?.context("netbootd leased nothing")?;
            eprintln!("{} had {address}", client.mac());
            ensure!(lease.server()? == Lab::SERVER, "{lease:?}");
            ensure!(
                lease.address()? == address,
                "{lease:?} instead of {address}"
            );
        }
        Ok(())
    });
}

#[test]
fn clients_of_dnsmasq_keep_their_addresses() {
    keep_their_addresses(Neighbour::start, |_, dnsmasq| dnsmasq.leases());
}

#[test]
fn clients_of_iscs_server_keep_their_addresses() {
    let file = |lab: &Lab| lab.folder().join("dhcpd.leases");
    let start = |lab: &Lab| {
        let client = lab.client()?;
        client.set_address(Neighbour::ADDRESS.parse()?)?;
        let settings = lab.folder().join("dhcpd.conf");
        let text = "authoritative;\ndefault-lease-time 3600;\nsubnet 192.168.67.0 netmask 255.255.255.0 \
            { range 192.168.67.100 192.168.67.190; }\n";
        fs::write(&settings, text)?;
        fs::write(file(lab), "")?;
        let mut dhcpd = client.command("dhcpd")?;
        dhcpd
            .args(["-4", "-f", "-d", "--no-pid", "-cf"])
            .arg(settings);
        dhcpd.arg("-lf").arg(file(lab)).arg("eth0");
        let mut dhcpd = Process::start(&mut dhcpd, &lab.folder().join("dhcpd.log"))?;
        dhcpd.until_printed("Server starting service", Duration::from_secs(10))?;
        Ok((dhcpd, client))
    };
    keep_their_addresses(start, |lab, _| Ok(fs::read_to_string(file(lab))?));
}

#[test]
fn leases_of_an_earlier_build_are_told_of_once() {
    in_lab(|lab| {
        fs::create_dir_all(state_dir(lab))?;
        fs::write(state_dir(lab).join("leases.redb"), "redb")?;
        for told in [true, false] {
            let mut daemon = serve_interface(lab, Lab::BRIDGE, "mode = \"full\"\n")?;
            let is_told = daemon.printed().contains("leases.redb holds the leases");
            ensure!(is_told == told, "{}", daemon.printed());
            daemon.stop(Duration::from_secs(10))?;
        }
        Ok(())
    });
}

#[test]
fn a_released_lease_is_gone_from_the_book() {
    serving(|lab| {
        let client = lab.client()?;
        let book = || asked(lab, &["leases", "--json"]);
        for by_address in [true, false] {
            let lease = udhcpc(lab, &client, &[])?.context("udhcpc got no lease")?;
            let address = lease.address()?.to_string();
            ensure!(book()?.contains(&address));
            let what = if by_address { &address } else { client.mac() };
            let released = asked(lab, &["leases", "release", what])?;
            ensure!(
                released.starts_with(&format!("{address} is free")),
                "{released}"
            );
            ensure!(book()?.trim() == "[]");
        }
        let nothing = refused(lab, &["leases", "release", client.mac()])?;
        ensure!(nothing.contains("there is no lease of"), "{nothing}");
        Ok(())
    });
}
