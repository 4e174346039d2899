//! Nonsense on every port: nobody may crash, hang, or grow from it, and the next client is served.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use integration::clients::dhcp::udhcpc;
use integration::clients::dns::dig;
use integration::clients::tftp::{Fetched, Tool, fetch};
use integration::clients::{http, nfs};
use integration::{Client, Lab, Server, Setup, in_lab, ran, roots, until};

/// Sends each payload to a port of the server, all from one shell.
fn send(lab: &Lab, client: &Client, protocol: &str, port: u16, payloads: &[Vec<u8>]) -> Result<()> {
    let mut script = String::new();
    for (number, payload) in payloads.iter().enumerate() {
        let file = lab.folder().join(format!("{protocol}-{port}-{number}"));
        fs::write(&file, payload)?;
        // One write each, so that a datagram is the whole payload.
        script.push_str(&format!(
            "dd if={} bs=65536 of=/dev/fd/3 3<>/dev/{protocol}/{}/{port} 2>/dev/null\n",
            file.display(),
            Lab::SERVER
        ));
    }
    let mut shell = client.command("timeout")?;
    ran(shell.args(["60", "bash", "-c", &script]))?;
    Ok(())
}

/// A DHCP message: fixed part, magic, then `options`.
fn dhcp(op: u8, hlen: u8, options: &[u8]) -> Vec<u8> {
    let mut message = vec![op, 1, hlen, 0, 0xde, 0xad, 0xbe, 0xef];
    message.resize(28, 0);
    message.extend([0x52, 0x54, 0, 0x66, 0x66, 0x66]);
    message.resize(236, 0);
    message.extend([99, 130, 83, 99]);
    message.extend(options);
    message
}

fn dhcp_nonsense() -> Vec<Vec<u8>> {
    let mut payloads: Vec<Vec<u8>> = [0, 1, 43, 235, 236, 239, 240, 1400]
        .iter()
        .map(|&length| dhcp(1, 6, &[0; 1500])[..length].to_vec())
        .collect();
    payloads.extend([
        dhcp(2, 6, &[53, 1, 1, 255]),
        dhcp(1, 0, &[53, 1, 1, 255]),
        dhcp(1, 17, &[53, 1, 1, 255]),
        dhcp(1, 255, &[53, 1, 1, 255]),
        dhcp(1, 6, &[53]),
        dhcp(1, 6, &[53, 200, 1]),
        dhcp(1, 6, &[53, 1, 99, 255]),
        dhcp(1, 6, &[52, 1, 3, 53, 1, 1, 255]),
        dhcp(1, 6, &[53, 1, 1, 82, 4, 1, 200, 0, 0, 255]),
        dhcp(
            1,
            6,
            &[53, 1, 1, 93, 1, 0, 94, 0, 97, 3, 0, 0, 0, 43, 2, 6, 99, 255],
        ),
        dhcp(1, 6, &[53, 1, 1, 57, 2, 0, 0, 81, 1, 0, 255]),
        vec![0xff; 1400],
    ]);
    payloads
}

fn tftp_nonsense() -> Vec<Vec<u8>> {
    let long = [b"\0\x01".as_slice(), &[b'a'; 1300], b"\0octet\0"].concat();
    let options = [
        b"\0\x01f\0octet\0".as_slice(),
        &b"blksize\x000\0".repeat(100),
    ]
    .concat();
    vec![
        vec![],
        vec![0],
        vec![0, 0],
        vec![0, 9, 0, 0],
        b"\0\x01".to_vec(),
        b"\0\x01undionly.kpxe".to_vec(),
        b"\0\x01undionly.kpxe\0".to_vec(),
        b"\0\x01undionly.kpxe\0octet".to_vec(),
        b"\0\x01undionly.kpxe\0mail\0".to_vec(),
        b"\0\x01undionly.kpxe\0octet\0blksize\x0099999999999999999999\0".to_vec(),
        b"\0\x01undionly.kpxe\0octet\0windowsize\0-1\0blksize\0\0".to_vec(),
        b"\0\x03\0\x01data".to_vec(),
        b"\0\x04\0\x01".to_vec(),
        b"\0\x05\0\x01error\0".to_vec(),
        long,
        options,
    ]
}

fn dns_nonsense() -> Vec<Vec<u8>> {
    let header = |questions: u8| vec![0x12, 0x34, 1, 0, questions, questions, 0, 0, 0, 0, 0, 0];
    vec![
        vec![],
        header(1)[..7].to_vec(),
        header(255),
        [header(0), vec![0xc0, 0x0c, 0, 1, 0, 1]].concat(),
        [vec![
            0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 0x0c, 0, 1, 0, 1,
        ]]
        .concat(),
        [
            vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0],
            vec![63; 1000],
        ]
        .concat(),
        [vec![
            0x12, 0x34, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1,
        ]]
        .concat(),
        vec![0xff; 1400],
    ]
}

fn stream_nonsense() -> Vec<Vec<u8>> {
    let endless: Vec<u8> = b"\0\x00\x40\x00"
        .iter()
        .copied()
        .chain([b'x'; 0x4000])
        .collect();
    vec![
        vec![],
        vec![0xff; 4],
        vec![0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 1],
        vec![0x80, 0, 0, 0],
        vec![0x80, 0, 0, 2, 0, 0],
        vec![0; 80_000],
        endless.repeat(64),
        b"GET / HTTP/9.9\r\n\r\n".to_vec(),
        b"GET".to_vec(),
        [b"GET /".as_slice(), &[b'a'; 100_000], b" HTTP/1.1\r\n\r\n"].concat(),
        [
            b"GET / HTTP/1.1\r\n".as_slice(),
            &b"x: y\r\n".repeat(20_000),
            b"\r\n",
        ]
        .concat(),
        b"GET / HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\n".to_vec(),
        b"\r\n\r\n\r\n\r\n".to_vec(),
    ]
}

#[test]
fn nonsense_on_every_port_hurts_nobody() {
    in_lab(|lab| {
        let small = roots::small()?;
        let mut server = Server::start(
            lab,
            &Setup {
                image: Some(&small),
                ..Setup::default()
            },
        )?;
        let attacker = lab.client()?;
        attacker.set_address("192.168.67.66".parse()?)?;
        let before = server.main().resident()?;

        for port in [67, 4011] {
            send(lab, &attacker, "udp", port, &dhcp_nonsense())?;
        }
        for port in [69, 4011, 67] {
            send(lab, &attacker, "udp", port, &tftp_nonsense())?;
        }
        for (protocol, port) in [("udp", 53), ("tcp", 53), ("udp", 111)] {
            send(lab, &attacker, protocol, port, &dns_nonsense())?;
        }
        for port in [80, 111, 2049, 53] {
            send(lab, &attacker, "tcp", port, &stream_nonsense())?;
        }

        server.must_run()?;
        let grown = server.main().resident()?.saturating_sub(before);
        ensure!(grown < 16 * 1024, "the server grew by {grown} KiB");
        everybody_is_served(lab)?;
        server.must_run()
    });
}

fn everybody_is_served(lab: &Lab) -> Result<()> {
    let client = lab.client()?;
    udhcpc(lab, &client, &[])?.context("no lease any more")?;
    if let Fetched::Refused(why) = fetch(lab, &client, Tool::Curl, "undionly.kpxe")? {
        anyhow::bail!("no TFTP any more: {why}");
    }
    let path = format!("/boot/{}.ipxe", client.mac().replace(':', "-"));
    ensure!(
        http::curl(lab, &client, &path, &[])?.status == 200,
        "no HTTP any more"
    );
    ensure!(
        dig(&client, &["nas.lab.internal"])?.status == "NOERROR",
        "no DNS any more"
    );
    until(Duration::from_secs(5), "NFS to answer", || {
        let tried = nfs::try_cat(&client, "/roots/small/etc/lab-note")?;
        Ok((tried.code == Some(0)).then_some(()))
    })?;
    Ok(())
}
