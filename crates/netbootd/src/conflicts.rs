//! Asks on a link for addresses before they are leased, in the background: `dhcp::conflict` says for which.

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use dhcp::conflict;
use model::MacAddr;
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tracing::{debug, info, warn};

use crate::links::Link;
use crate::services::dhcp::Shared;

/// Addresses that are asked for at once.
const BATCH: usize = 16;
/// When each is asked for, and at the end how long its answer is waited for.
const ASK_AT: [Duration; 3] = [
    Duration::ZERO,
    Duration::from_millis(300),
    Duration::from_millis(900),
];
/// How often it is looked whether there is something to ask for.
const IDLE: Duration = Duration::from_millis(500);
/// How often addresses that are set aside are asked for again.
const AGAIN: Duration = Duration::from_secs(60);

/// Asks until `stop` changes.
pub async fn watch(shared: &Shared, link: &Link, mut stop: watch::Receiver<bool>) {
    let socket = net::arp_socket(link.id.0).and_then(UdpSocket::from_std);
    let socket = match socket {
        Ok(socket) => socket,
        Err(error) => {
            warn!(
                interface = link.name,
                "addresses are leased without asking whether somebody has them (CAP_NET_RAW is needed): {error}"
            );
            let _ = stop.changed().await;
            return;
        }
    };
    let mut again = Instant::now() + AGAIN;
    loop {
        let mut asked = shared.with(|server| server.to_probe(link.id, BATCH));
        if Instant::now() >= again {
            again = Instant::now() + AGAIN;
            let set_aside = shared.with(|server| server.set_aside());
            let here = set_aside.into_iter().map(|(address, _)| address);
            asked.extend(here.filter(|address| link.holds(*address)));
        }
        let work = async {
            if asked.is_empty() {
                tokio::time::sleep(IDLE).await;
                return;
            }
            match ask(&socket, link, &asked).await {
                Ok(answers) => conclude(shared, link, &asked, &answers),
                Err(error) => {
                    debug!(interface = link.name, %error, "ARP");
                    tokio::time::sleep(AGAIN).await;
                }
            }
        };
        tokio::select! {
            () = work => {}
            _ = stop.changed() => return,
        }
    }
}

/// Who has which of these addresses.
async fn ask(
    socket: &UdpSocket,
    link: &Link,
    asked: &[Ipv4Addr],
) -> io::Result<BTreeMap<Ipv4Addr, MacAddr>> {
    let mut answers = BTreeMap::new();
    let began = Instant::now();
    let mut frame = [0; 128];
    for until in &ASK_AT[1..] {
        for address in asked {
            socket.send(&conflict::probe(link.mac, *address)).await?;
        }
        while let Ok(received) = timeout_at(began + *until, socket.recv(&mut frame)).await {
            if let Some((address, mac)) = conflict::holder(&frame[..received?])
                && mac != link.mac
            {
                answers.insert(address, mac);
            }
        }
    }
    Ok(answers)
}

fn conclude(
    shared: &Shared,
    link: &Link,
    asked: &[Ipv4Addr],
    answers: &BTreeMap<Ipv4Addr, MacAddr>,
) {
    for address in asked {
        match answers.get(address) {
            Some(holder) => {
                if shared.with(|server| server.has_holder(*address, *holder)) {
                    warn!(
                        interface = link.name,
                        "{address} is in the pool, and {holder} has it without a lease: it is set aside and asked for again"
                    );
                }
            }
            None => {
                if shared.with(|server| server.has_no_holder(*address)) {
                    info!(
                        interface = link.name,
                        "nobody has {address} any more: it is given again"
                    );
                }
            }
        }
    }
}
