//! What an operator does to the lease book: `netbootd leases`.

use std::fs;

use anyhow::{Context, Result, ensure};
use integration::clients::dhcp::udhcpc;
use integration::subject::netbootd::{asked, refused};
use integration::{Lab, Server, Setup, in_lab};

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
