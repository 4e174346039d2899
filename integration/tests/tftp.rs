//! TFTP, asked by four clients.

use std::fs;

use anyhow::{Result, bail, ensure};
use integration::clients::tftp::{Fetched, Tool, fetch, put};
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

fn ensure_loader_arrives(lab: &Lab, client: &Client, tool: Tool) -> Result<()> {
    for loader in ["undionly.kpxe", "snponly.efi"] {
        match fetch(lab, client, tool, loader)? {
            Fetched::File(bytes) => ensure!(
                bytes == fs::read(format!("/usr/lib/ipxe/{loader}"))?,
                "{tool:?} got other bytes of {loader}"
            ),
            Fetched::Refused(why) => bail!("{tool:?} did not get {loader}: {why}"),
        }
    }
    Ok(())
}

#[test]
fn tftp_hpa_gets_the_loaders_whole() {
    serving(|lab, client| ensure_loader_arrives(lab, client, Tool::Hpa));
}

#[test]
fn atftp_gets_the_loaders_whole() {
    serving(|lab, client| ensure_loader_arrives(lab, client, Tool::Atftp));
}

#[test]
fn curl_gets_the_loaders_whole() {
    serving(|lab, client| ensure_loader_arrives(lab, client, Tool::Curl));
}

#[test]
fn busybox_gets_the_loaders_whole() {
    serving(|lab, client| ensure_loader_arrives(lab, client, Tool::Busybox));
}

#[test]
fn nothing_outside_the_boot_files_can_be_fetched() {
    serving(|lab, client| {
        for path in [
            "../../../../../../etc/passwd",
            "/etc/passwd",
            "..\\..\\..\\etc\\passwd",
            "loader/../../../../../../etc/passwd",
            "./../../../../../../../etc/passwd",
        ] {
            for tool in [Tool::Hpa, Tool::Curl] {
                if let Fetched::File(bytes) = fetch(lab, client, tool, path)? {
                    bail!("{tool:?} got {} bytes of {path}", bytes.len());
                }
            }
        }
        Ok(())
    });
}

#[test]
fn what_is_not_there_is_refused_at_once_and_in_words() {
    serving(|lab, client| {
        let start = std::time::Instant::now();
        for tool in Tool::ALL {
            if let Fetched::File(_) = fetch(lab, client, tool, "no-such-file")? {
                bail!("{tool:?} got a file that is not there");
            }
        }
        ensure!(
            start.elapsed().as_secs() < 4,
            "it took {:?}",
            start.elapsed()
        );
        Ok(())
    });
}

#[test]
fn nobody_can_write() {
    serving(|lab, client| {
        put(lab, client, "undionly.kpxe")?;
        put(lab, client, "new-file")?;
        ensure_loader_arrives(lab, client, Tool::Curl)
    });
}
