//! DHCP, asked by clients that nobody here wrote.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use integration::clients::dhcp::{Exchanges, Lease, dhclient, dhcpcd, perfdhcp, udhcpc};
use integration::clients::{http, tftp};
use integration::dnsmasq::ALONE;
use integration::subject::names;
use integration::{Client, Lab, Mode, Neighbour, Process, Server, Setup, in_lab, roots};

/// What iPXE says that it can do (option 175): HTTP, menus, bzImage, PXE.
const IPXE_FEATURES: &str = "0xaf:130101270101180101210101";
const UEFI: [&str; 4] = ["-V", "PXEClient:Arch:00007:UNDI:003016", "-x", "0x5d:0007"];
const BIOS: [&str; 4] = ["-V", "PXEClient:Arch:00000:UNDI:002001", "-x", "0x5d:0000"];

fn serving(test: impl FnOnce(&Lab, &mut Server) -> Result<()>) {
    in_lab(|lab| {
        let small = roots::small()?;
        let mut server = Server::start(
            lab,
            &Setup {
                image: Some(&small),
                ..Setup::default()
            },
        )?;
        test(lab, &mut server)?;
        server.must_run()
    });
}

fn lease(lab: &Lab, client: &Client, words: &[&str]) -> Result<Lease> {
    udhcpc(lab, client, words)?.context("udhcpc got no lease")
}

fn ensure_from_pool(address: Ipv4Addr) -> Result<()> {
    let (first, last): (Ipv4Addr, Ipv4Addr) = (names::POOL.0.parse()?, names::POOL.1.parse()?);
    ensure!(
        (first..=last).contains(&address),
        "{address} is not in the pool"
    );
    Ok(())
}

#[test]
fn udhcpc_gets_an_address_from_the_pool() {
    serving(|lab, _| {
        let lease = lease(lab, &lab.client()?, &[])?;
        ensure_from_pool(lease.address()?)?;
        ensure!(lease.mask()? == Ipv4Addr::new(255, 255, 255, 0));
        ensure!(lease.server()? == Lab::SERVER);
        ensure!(lease.seconds()? >= 120, "a lease of {} s", lease.seconds()?);
        ensure!(
            lease.dns() == Lab::SERVER.to_string(),
            "DNS is {:?}",
            lease.dns()
        );
        Ok(())
    });
}

#[test]
fn dhclient_gets_an_address_from_the_pool() {
    serving(|lab, _| {
        let lease = dhclient(lab, &lab.client()?, "")?.context("dhclient got no lease")?;
        ensure_from_pool(lease.address()?)?;
        ensure!(lease.mask()? == Ipv4Addr::new(255, 255, 255, 0));
        ensure!(lease.server()? == Lab::SERVER);
        Ok(())
    });
}

#[test]
fn dhcpcd_gets_an_address_from_the_pool() {
    serving(|lab, _| {
        let lease = dhcpcd(lab, &lab.client()?)?.context("dhcpcd got no lease")?;
        ensure_from_pool(lease.address()?)?;
        ensure!(lease.mask()? == Ipv4Addr::new(255, 255, 255, 0));
        ensure!(lease.server()? == Lab::SERVER);
        Ok(())
    });
}

#[test]
fn two_hundred_machines_of_perfdhcp_all_get_an_address_of_their_own() {
    serving(|lab, _| {
        let (relay, address) = (lab.client()?, names::RELAY.parse()?);
        relay.set_address(address)?;
        relay.route(&format!("{}/32", Lab::SERVER))?;
        let (bridge, server) = (Lab::BRIDGE, lab.server());
        server.ip(&format!("route add {address} dev {bridge}"))?;
        let exchanges = perfdhcp(&relay, address, 200, 100)?;
        let all = Exchanges {
            offers: (200, 200),
            acknowledgements: (200, 200),
            ..Exchanges::default()
        };
        ensure!(exchanges == all, "{exchanges:?}");
        Ok(())
    });
}

#[test]
fn a_client_that_asks_again_gets_the_same_address() {
    serving(|lab, _| {
        let client = lab.client()?;
        let first = lease(lab, &client, &[])?.address()?;
        let second = lease(lab, &client, &[])?.address()?;
        ensure!(first == second, "{first}, then {second}");
        Ok(())
    });
}

#[test]
fn no_two_clients_get_the_same_address() {
    serving(|lab, _| {
        let mut addresses = Vec::new();
        for _ in 0..4 {
            addresses.push(lease(lab, &lab.client()?, &[])?.address()?);
        }
        let given = addresses.clone();
        addresses.sort();
        addresses.dedup();
        ensure!(addresses.len() == 4, "{given:?}");
        Ok(())
    });
}

#[test]
fn uefi_is_told_an_efi_program_and_bios_a_bios_program() {
    serving(|lab, _| {
        let uefi = lease(lab, &lab.client()?, &UEFI)?;
        ensure!(uefi.boot_file() == Some("snponly.efi"), "{uefi:?}");
        ensure!(uefi.next_server() == Some("192.168.67.1"), "{uefi:?}");
        let bios = lease(lab, &lab.client()?, &BIOS)?;
        ensure!(bios.boot_file() == Some("undionly.kpxe"), "{bios:?}");
        Ok(())
    });
}

#[test]
fn ipxe_is_told_its_script_and_never_itself_again() {
    serving(|lab, _| {
        let client = lab.client()?;
        let mut words = UEFI.to_vec();
        words.extend(["-x", IPXE_FEATURES]);
        let lease = lease(lab, &client, &words)?;
        let file = lease.boot_file().context("iPXE is told no file")?;
        let script = if file.starts_with("http") {
            http::curl(lab, &client, file, &[])?.body
        } else {
            match tftp::fetch(lab, &client, tftp::Tool::Curl, file)? {
                tftp::Fetched::File(bytes) => bytes,
                tftp::Fetched::Refused(why) => anyhow::bail!("{file} is not there: {why}"),
            }
        };
        ensure!(
            script.starts_with(b"#!ipxe"),
            "{file} is not an iPXE script"
        );
        Ok(())
    });
}

#[test]
fn in_proxy_mode_the_other_server_leases_and_we_never_do() {
    in_lab(|lab| {
        let setup = Setup {
            mode: Mode::Proxy,
            ..Setup::default()
        };
        let mut server = Server::start(lab, &setup)?;
        let client = lab.client()?;
        let alone = udhcpc(lab, &client, &[])?;
        ensure!(alone.is_none(), "a lease from nobody: {alone:?}");
        let alone = udhcpc(lab, &client, &UEFI)?;
        ensure!(
            alone.is_none(),
            "a lease for a PXE client from nobody: {alone:?}"
        );

        let _neighbour = Neighbour::start(lab)?;
        let lease = lease(lab, &client, &[])?;
        ensure!(
            lease.server()?.to_string() == Neighbour::ADDRESS,
            "{lease:?}"
        );
        server.must_run()
    });
}

#[test]
fn a_client_behind_a_relay_gets_an_address_of_its_own_network() {
    serving(|lab, _| {
        let relay = lab.client()?;
        relay.set_address("192.168.67.3".parse()?)?;
        let client = lab.client_behind(&relay, names::RELAY.parse()?)?;
        lab.server().ip("route add 10.1.0.0/24 via 192.168.67.3")?;
        let mut agent = relay.command("dnsmasq")?;
        agent.args(ALONE).args(["--port=0", "--log-dhcp"]);
        agent.arg(format!("--dhcp-relay={},{}", names::RELAY, Lab::SERVER));
        let mut agent = Process::start(&mut agent, &lab.folder().join("relay.log"))?;
        agent.until_printed("DHCP relay", Duration::from_secs(10))?;

        let lease = lease(lab, &client, &UEFI)?;
        let (first, last): (Ipv4Addr, Ipv4Addr) =
            (names::FAR_POOL.0.parse()?, names::FAR_POOL.1.parse()?);
        ensure!((first..=last).contains(&lease.address()?), "{lease:?}");
        ensure!(lease.routers() == names::RELAY, "{lease:?}");
        ensure!(lease.boot_file() == Some("snponly.efi"), "{lease:?}");
        Ok(())
    });
}
