//! Other DHCP servers on the links where we lease addresses: looked for before the first lease, and heard of afterwards.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use boot::ForeignOffer;
use dhcp::probe::ServerReply;
use model::MacAddr;
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::daemon::{Daemon, unix_seconds};
use crate::links::{self, Link};

/// How often a link is looked at again on which another server was in the way.
const AGAIN: Duration = Duration::from_secs(15);
/// A server that was not heard for so long, in seconds, is gone.
const GONE: u64 = 3600;
/// How long a client may take from an offer to its request.
const FORGOTTEN: Duration = Duration::from_secs(60);
/// Servers that are remembered.
const MAX_SERVERS: usize = 64;

/// What is known of them, by interface and address.
#[derive(Default)]
pub struct ForeignServers {
    seen: Mutex<BTreeMap<(String, Ipv4Addr), Seen>>,
    /// Addresses that were ours, and when we left them.
    ours: Mutex<Vec<(Ipv4Addr, Instant)>>,
}

struct Seen {
    mac: Option<MacAddr>,
    offer: ForeignOffer,
    /// In seconds of Unix time.
    last: u64,
    is_in_the_way: bool,
}

impl Seen {
    fn in_words(&self, interface: &str) -> String {
        let mac = self.mac.map_or(String::new(), |mac| format!(" ({mac})"));
        let server = format!("the DHCP server {}{mac}", self.offer.server);
        let offer = &self.offer;
        match self.is_in_the_way {
            true => format!(
                "{interface}: no addresses are leased here, as {server} answers: {offer}. Switch it off, or write mode = \
                 \"proxy\" to boot machines beside it, or authoritative = true to lease addresses all the same. It is \
                 looked for again every {} s",
                AGAIN.as_secs()
            ),
            false => format!(
                "{interface}: {server} answers too: {offer}. A machine that takes its answer does not boot from here: \
                 switch it off, or write mode = \"proxy\""
            ),
        }
    }
}

impl ForeignServers {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<(String, Ipv4Addr), Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An address is not ours any more.
    pub fn left(&self, address: Ipv4Addr) {
        let mut ours = self.ours.lock().unwrap_or_else(PoisonError::into_inner);
        ours.retain(|(_, since)| since.elapsed() < FORGOTTEN);
        ours.push((address, Instant::now()));
    }

    /// Whether a client may still name an address because it was ours when it was offered its own.
    fn was_ours(&self, address: Ipv4Addr) -> bool {
        let ours = self.ours.lock().unwrap_or_else(PoisonError::into_inner);
        let mut recent = ours.iter().filter(|(_, since)| since.elapsed() < FORGOTTEN);
        recent.any(|(left, _)| *left == address)
    }

    /// What must not stay so, in words.
    pub fn alarms(&self) -> Vec<String> {
        let now = unix_seconds();
        let mut servers = self.lock();
        servers.retain(|_, seen| now < seen.last + GONE);
        let alarms = servers.iter();
        alarms
            .map(|((interface, _), seen)| seen.in_words(interface))
            .collect()
    }

    /// One was heard: said in the log when it is new, offers another boot file, or was gone.
    fn heard(&self, link: &Link, offer: ForeignOffer, is_in_the_way: bool) {
        let (now, server) = (unix_seconds(), offer.server);
        let mac = net::neighbour(server);
        let mut servers = self.lock();
        let key = (link.name.clone(), server);
        let before = servers.get(&key);
        let is_known = before.is_some_and(|seen| {
            // Of one that was only chosen it is not known which file it offers.
            let is_half = |offer: &ForeignOffer| offer.address.is_none();
            let same_file =
                seen.offer.file == offer.file || is_half(&offer) || is_half(&seen.offer);
            same_file && seen.is_in_the_way == is_in_the_way && now < seen.last + GONE
        });
        if is_known || servers.len() >= MAX_SERVERS {
            if let Some(seen) = servers.get_mut(&key) {
                seen.last = now;
                seen.mac = mac.or(seen.mac);
                if seen.offer.address.is_none() {
                    seen.offer = offer;
                }
            }
            return;
        }
        let seen = Seen {
            mac,
            offer,
            last: now,
            is_in_the_way,
        };
        match is_in_the_way {
            true => error!("{}", seen.in_words(&link.name)),
            false => warn!("{}", seen.in_words(&link.name)),
        }
        servers.insert(key, seen);
    }

    /// None is in the way any more; whether one was.
    fn gone(&self, link: &Link) -> bool {
        let mut servers = self.lock();
        let before = servers.len();
        servers.retain(|(interface, _), seen| *interface != link.name || !seen.is_in_the_way);
        servers.len() != before
    }
}

/// How it came that nobody else leases addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alone {
    /// It did not: everything stops.
    Stopped,
    /// Nobody was found.
    AtOnce,
    /// Somebody was, and is gone.
    AfterAll,
}

/// Waits until no other server leases addresses on the link. Where nobody can be looked for, that is said and does not
/// keep us from serving.
pub async fn until_alone(daemon: &Daemon, link: &Link, stop: &mut watch::Receiver<bool>) -> Alone {
    loop {
        let found = tokio::select! {
            found = links::probe(link, &links::BRIEFLY) => found,
            _ = stop.changed() => return Alone::Stopped,
        };
        match found {
            Ok(None) => {
                if !daemon.foreign.gone(link) {
                    return Alone::AtOnce;
                }
                info!(
                    interface = link.name,
                    "the other DHCP server is gone: addresses are leased"
                );
                return Alone::AfterAll;
            }
            Ok(Some((from, reply))) => daemon.foreign.heard(link, offer(from, &reply), true),
            Err(error) => {
                warn!(
                    interface = link.name,
                    "cannot look for another DHCP server: {error:#}"
                );
                return Alone::AtOnce;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            _ = stop.changed() => return Alone::Stopped,
        }
    }
}

/// Hears what other servers broadcast to clients on the link, until `stop` changes.
pub async fn listen(daemon: &Daemon, link: &Link, mut stop: watch::Receiver<bool>) {
    let socket = net::bind_device_udp(&link.name, 68).and_then(UdpSocket::from_std);
    let socket = match socket {
        Ok(socket) => socket,
        Err(error) => {
            info!(
                interface = link.name,
                "answers of other DHCP servers are not heard, as UDP port 68 cannot be had: {error}"
            );
            let _ = stop.changed().await;
            return;
        }
    };
    let mut buffer = [0; 1500];
    loop {
        let received = tokio::select! {
            received = socket.recv_from(&mut buffer) => received,
            _ = stop.changed() => return,
        };
        let Ok((length, SocketAddr::V4(from))) = received else {
            tokio::time::sleep(Duration::from_secs(1)).await;
            continue;
        };
        let Some(reply) = ServerReply::decode(&buffer[..length]) else {
            continue;
        };
        let offer = offer(*from.ip(), &reply);
        if daemon.is_ours(*from.ip()) || daemon.is_ours(offer.server) || !reply.gives_addresses() {
            continue;
        }
        if let Some(client) = reply.client {
            daemon.note(
                client,
                "DHCP",
                &format!("another server, {}, {offer}", offer.server),
            );
            daemon.learn(client, |facts| facts.foreign = Some(offer.clone()));
        }
        links::greet(&socket, offer.server).await;
        daemon.foreign.heard(link, offer, false);
    }
}

/// A client has chosen another server.
pub fn chosen(daemon: &Daemon, client: MacAddr, link: dhcp::LinkId, server: Ipv4Addr) {
    if daemon.foreign.was_ours(server) {
        return;
    }
    let offer = ForeignOffer {
        server,
        address: None,
        file: None,
    };
    daemon.note(
        client,
        "DHCP",
        &format!("it took the answer of another server, {server}"),
    );
    daemon.learn(client, |facts| {
        facts.foreign.get_or_insert(offer.clone());
    });
    let links = daemon.links.load();
    if let Some(served) = links.iter().find(|served| served.link.id == link) {
        daemon.foreign.heard(&served.link, offer, false);
    }
}

fn offer(from: Ipv4Addr, reply: &ServerReply) -> ForeignOffer {
    ForeignOffer {
        // Behind a relay the packet's source is the relay.
        server: reply.server.unwrap_or(from),
        address: reply.address,
        file: reply.boot_file.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link() -> Link {
        Link {
            name: "br0".into(),
            id: dhcp::LinkId(1),
            mac: MacAddr::default(),
            address: Ipv4Addr::new(192, 168, 67, 1),
            prefix_len: 24,
        }
    }

    fn offer(file: Option<&str>) -> ForeignOffer {
        ForeignOffer {
            server: Ipv4Addr::new(192, 0, 2, 9),
            address: Some(Ipv4Addr::new(192, 168, 67, 100)),
            file: file.map(str::to_owned),
        }
    }

    #[test]
    fn one_in_the_way_says_what_to_write_and_goes_without_a_trace() {
        let servers = ForeignServers::default();
        servers.heard(&link(), offer(None), true);
        let alarms = servers.alarms();
        for word in [
            "br0",
            "192.0.2.9",
            "192.168.67.100 without a boot file",
            "authoritative = true",
            "mode = \"proxy\"",
        ] {
            assert!(alarms[0].contains(word), "{alarms:?}");
        }
        assert!(servers.gone(&link()) && servers.alarms().is_empty());
        assert!(!servers.gone(&link()));
    }

    #[test]
    fn an_address_that_we_had_is_no_other_server() {
        let servers = ForeignServers::default();
        let [old, other] = [1, 2].map(|last| Ipv4Addr::new(192, 168, 67, last));
        servers.left(old);
        assert!(servers.was_ours(old) && !servers.was_ours(other));
    }

    #[test]
    fn dh18_one_that_answers_beside_us_is_one_alarm_whatever_it_says() {
        let servers = ForeignServers::default();
        for _ in 0..3 {
            servers.heard(&link(), offer(Some("other.0")), false);
        }
        servers.heard(
            &link(),
            ForeignOffer {
                address: None,
                file: None,
                ..offer(None)
            },
            false,
        );
        let alarms = servers.alarms();
        assert_eq!(alarms.len(), 1);
        assert!(
            alarms[0].contains("the boot file \"other.0\""),
            "{alarms:?}"
        );
    }
}
