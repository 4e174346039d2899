//! DNS, asked by dig.

use anyhow::{Context, Result, ensure};
use integration::clients::dhcp::udhcpc;
use integration::clients::dns::dig;
use integration::subject::names;
use integration::{Client, Lab, Server, Setup, in_lab};

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
        let forward = dig(client, &[&format!("bench1.{}", names::DOMAIN)])?;
        ensure!(
            forward.data == [address.as_str()],
            "{forward:?} for {address}"
        );
        let reverse = dig(client, &["-x", &address])?;
        ensure!(
            reverse.data == [format!("bench1.{}.", names::DOMAIN)],
            "{reverse:?}"
        );
        Ok(())
    });
}

#[test]
fn a_question_that_nobody_upstream_answers_is_answered_all_the_same() {
    serving(|_, client| {
        let answer = dig(client, &["www.example.org"])?;
        ensure!(
            matches!(answer.status.as_str(), "REFUSED" | "SERVFAIL"),
            "{answer:?}"
        );
        Ok(())
    });
}
