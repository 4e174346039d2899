//! DNS, asked by dig.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use integration::clients::dhcp::udhcpc;
use integration::clients::dns::dig;
use integration::dnsmasq::ALONE;
use integration::subject::names;
use integration::{Client, Lab, Process, Server, Setup, in_lab, succeed, until};

fn serving(test: impl FnOnce(&Lab, &Client) -> Result<()>) {
    in_lab(|lab| {
        let mut server = Server::start(lab, &Setup::default())?;
        let client = lab.client()?;
        client.set_address("192.168.67.7".parse()?)?;
        test(lab, &client)?;
        server.must_run()
    });
}

fn host() -> String {
    format!("{}.{}", names::HOST.0, names::DOMAIN)
}

#[test]
fn a_configured_host_has_its_address_over_udp_and_tcp() {
    serving(|_, client| {
        for words in [vec![host()], vec![host(), "+tcp".into()]] {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let answer = dig(client, &words)?;
            ensure!(
                answer.status == "NOERROR" && answer.data == [names::HOST.1],
                "{answer:?}"
            );
        }
        Ok(())
    });
}

#[test]
fn a_configured_address_has_its_name() {
    serving(|_, client| {
        let answer = dig(client, &["-x", names::HOST.1])?;
        ensure!(answer.data == [format!("{}.", host())], "{answer:?}");
        Ok(())
    });
}

#[test]
fn a_name_of_our_domain_that_nobody_has_does_not_exist() {
    serving(|_, client| {
        let answer = dig(client, &[&format!("nobody.{}", names::DOMAIN)])?;
        ensure!(
            answer.status == "NXDOMAIN" && answer.data.is_empty(),
            "{answer:?}"
        );
        Ok(())
    });
}

#[test]
fn a_leased_address_has_the_name_that_its_client_gave() {
    serving(|lab, client| {
        let leased = lab.client()?;
        let lease = udhcpc(lab, &leased, &["-x", "hostname:bench1"])?.context("no lease")?;
        let address = lease.address()?.to_string();
        // A name may take a moment to be known, not longer than its client takes to boot on.
        until(
            Duration::from_secs(3),
            "the client's name to be known",
            || {
                let forward = dig(client, &[&format!("bench1.{}", names::DOMAIN)])?;
                Ok((forward.data == [address.as_str()]).then_some(()))
            },
        )?;
        let reverse = dig(client, &["-x", &address])?;
        ensure!(
            reverse.data == [format!("bench1.{}.", names::DOMAIN)],
            "{reverse:?}"
        );
        Ok(())
    });
}

/// Starts an upstream that knows one name.
fn start_upstream(lab: &Lab) -> Result<(Process, Client)> {
    let upstream = lab.client()?;
    upstream.set_address(names::UPSTREAM.parse()?)?;
    let mut dnsmasq = upstream.command("dnsmasq")?;
    dnsmasq.args(ALONE);
    dnsmasq.args(["--log-queries", "--no-resolv", "--no-hosts"]);
    dnsmasq.arg("--address=/www.example.org/203.0.113.7");
    let mut dnsmasq = Process::start(&mut dnsmasq, &lab.folder().join("upstream.log"))?;
    dnsmasq.until_printed("started", Duration::from_secs(10))?;
    Ok((dnsmasq, upstream))
}

#[test]
fn the_rest_of_the_world_is_what_the_upstream_says() {
    serving(|lab, client| {
        let _upstream = start_upstream(lab)?;
        for words in [["www.example.org", "A"], ["www.example.org", "+tcp"]] {
            let answer = dig(client, &words)?;
            ensure!(answer.data == ["203.0.113.7"], "{answer:?}");
        }
        let unknown = dig(client, &["no-such-name.example.org"])?;
        ensure!(
            unknown.data.is_empty() && unknown.status != "NOERROR",
            "{unknown:?}"
        );
        Ok(())
    });
}

#[test]
fn questions_about_our_own_network_do_not_leave_it() {
    serving(|lab, client| {
        let (upstream, _home) = start_upstream(lab)?;
        // An upstream that is asked answers REFUSED; we know that nobody has these.
        let name = format!("nobody.{}", names::DOMAIN);
        ensure!(dig(client, &[&name])?.status == "NXDOMAIN");
        ensure!(dig(client, &["-x", "192.168.67.77"])?.status == "NXDOMAIN");
        ensure!(
            !upstream.printed().contains("nobody"),
            "the upstream was asked"
        );
        Ok(())
    });
}

#[test]
fn services_have_a_host_and_a_port() {
    let setup = Setup {
        config: "[dns.services]\n\"_ntp._udp\" = \"nas:123\"\n",
        ..Setup::default()
    };
    in_lab(|lab| {
        let mut server = Server::netbootd(lab, &setup)?;
        let client = lab.client()?;
        client.set_address("192.168.67.7".parse()?)?;
        for (service, expected) in [
            ("_nfs._tcp", "0 0 2049 netbootd"),
            ("_tftp._udp", "0 0 69 netbootd"),
            ("_ntp._udp", "0 0 123 nas"),
        ] {
            let mut dig = client.command("dig")?;
            dig.arg(format!("@{}", Lab::SERVER)).args(["+short", "SRV"]);
            let said = succeed(dig.arg(format!("{service}.{}", names::DOMAIN)))?.text;
            let expected = format!("{expected}.{}.\n", names::DOMAIN);
            ensure!(said == expected, "{service}: {said}");
        }
        server.must_run()
    });
}
