//! DNS: the clients' names from a snapshot, other names from the upstreams.
//!
//! What to answer is the `dns` crate's; here are the sockets, the forwarding, and the limits. One
//! [`Dns`] is shared by all links, so that they share one cache:
//!
//! ```text
//! let dns = Dns::new(&config.dns.upstreams, &own_addresses);   // once
//! tasks.spawn(watch_upstreams(dns.clone(), stopping));         // once: follows /etc/resolv.conf
//! dns.serve_networks(&networks);                               // whenever a link comes or goes
//! dns.publish(zone(&config, &own_addresses, &hosts, leases));  // whenever a lease or a host key changes
//! tasks.spawn(serve(dns.clone(), udp, tcp, stopping));         // each link: port 53 of its address
//! ```
//!
//! The sockets are plain ones at the served address, so that a reply leaves from the address that was
//! asked. hickory-server is not used: it decodes before it asks us, so it decides by itself about
//! malformed queries and EDNS, it starts a task for each query without a limit, and it takes an answer
//! apart into records again; a function from bytes to bytes fits a socket as it is. hickory-resolver
//! does the asking: random ports and ids, TCP after a cut answer, retries, cache.
//!
//! Limits: 256 questions are with the upstreams at once (more are SERVFAIL at once, local names are
//! never held up), 512 TCP connections, 10 seconds for each message of a connection, 4.5 seconds for
//! an upstream. A failure is remembered for 5 seconds (RFC 9520 section 3.2).

mod stream;

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use boot::HostIdentity;
use dns::{Decision, Forward, Policy, Transport, Zone, answer};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, Record, RecordType};
use quick_cache::sync::Cache;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::timeout;
use tracing::{debug, info, warn};

const RESOLV_CONF: &str = "/etc/resolv.conf";
const MAX_IN_FLIGHT: usize = 256;
const MAX_CONNECTIONS: usize = 512;
/// After how long the thread for datagrams looks by itself whether it shall end.
const STOP_TIME: Duration = Duration::from_secs(1);
/// No query of ours to answer is longer: a question and an OPT record.
const LONGEST_QUERY: usize = 4096;
const UPSTREAM_TIME: Duration = Duration::from_millis(4500);
const FAILURE_TIME: Duration = Duration::from_secs(5);
/// Upstream replies and failures that are remembered.
const CACHED: usize = 4096;

/// What all links share.
pub struct Dns {
    zone: ArcSwap<Zone>,
    policy: ArcSwap<Policy>,
    resolver: ArcSwap<Option<TokioResolver>>,
    /// As configured; empty: what [`RESOLV_CONF`] says.
    upstreams: Vec<IpAddr>,
    own: ArcSwap<HashSet<IpAddr>>,
    /// The upstreams that are asked now.
    chosen: ArcSwap<Option<Vec<IpAddr>>>,
    failures: Cache<(Name, RecordType), Instant>,
    in_flight: Arc<Semaphore>,
    connections: Arc<Semaphore>,
    /// What happened so far.
    pub counters: Counters,
}

/// Numbers since the start, each of its own.
#[derive(Debug, Default)]
pub struct Counters {
    /// Replies from our own knowledge, errors among them.
    pub answered: AtomicU64,
    /// Questions passed to an upstream.
    pub forwarded: AtomicU64,
    /// Of those, the ones that became SERVFAIL.
    pub failed: AtomicU64,
    /// Packets without any reply.
    pub discarded: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Dns {
    /// A DNS server that knows no names and serves no network yet. `own` are the addresses of this
    /// machine's served links: an upstream among them would be a question to ourselves.
    pub fn new(upstreams: &[IpAddr], own: &[Ipv4Addr]) -> Arc<Self> {
        let dns = Self {
            zone: ArcSwap::from_pointee(Zone::build("", [("", Ipv4Addr::UNSPECIFIED); 0])),
            policy: ArcSwap::default(),
            resolver: ArcSwap::default(),
            upstreams: upstreams.to_vec(),
            own: ArcSwap::from_pointee(own.iter().map(|address| IpAddr::V4(*address)).collect()),
            chosen: ArcSwap::default(),
            failures: Cache::new(CACHED),
            in_flight: Arc::new(Semaphore::new(MAX_IN_FLIGHT)),
            connections: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            counters: Counters::default(),
        };
        dns.choose_upstreams();
        Arc::new(dns)
    }

    /// Answers clients in these networks, and in no other.
    pub fn serve_networks(&self, networks: &[(Ipv4Addr, u8)]) {
        self.policy.rcu(|policy| Policy {
            networks: networks.to_vec(),
            ..Policy::clone(policy)
        });
    }

    /// Notes the addresses of this machine: an upstream among them would be a question to ourselves.
    pub fn is_at(&self, own: impl IntoIterator<Item = Ipv4Addr>) {
        let own: HashSet<IpAddr> = own.into_iter().map(IpAddr::V4).collect();
        if own != **self.own.load() {
            self.own.store(Arc::new(own));
            self.choose_upstreams();
        }
    }

    /// Replaces the names.
    pub fn publish(&self, zone: Zone) {
        self.zone.store(Arc::new(zone));
    }

    fn choose_upstreams(&self) {
        let mut servers = self.upstreams.clone();
        if servers.is_empty() {
            match hickory_resolver::system_conf::read_system_conf() {
                Ok((config, _)) => {
                    servers.extend(config.name_servers.iter().map(|server| server.ip));
                }
                Err(error) => warn!(
                    "DNS: {RESOLV_CONF} names no server, so only local names are answered: {error}"
                ),
            }
        }
        let own = self.own.load();
        servers.retain(|server| !own.contains(server));
        if self.chosen.load().as_ref().as_ref() == Some(&servers) {
            return;
        }
        self.chosen.store(Arc::new(Some(servers.clone())));
        let resolver = match servers.as_slice() {
            [] => None,
            servers => resolver(servers)
                .inspect_err(|error| warn!(%error, "DNS: no forwarding"))
                .ok(),
        };
        if resolver.is_some() {
            info!(?servers, "DNS: other names are asked for");
        }
        let forward = resolver.is_some();
        self.resolver.store(Arc::new(resolver));
        self.policy.rcu(|policy| Policy {
            forward,
            ..Policy::clone(policy)
        });
    }

    fn decide(&self, query: &[u8], source: SocketAddr, transport: Transport) -> Decision {
        let decision = answer(
            query,
            source.ip(),
            transport,
            &self.zone.load(),
            &self.policy.load(),
        );
        match &decision {
            Decision::Reply(_) => count(&self.counters.answered),
            Decision::Forward(_) => count(&self.counters.forwarded),
            Decision::Drop(discard) => {
                count(&self.counters.discarded);
                debug!(%source, reason = discard.as_str(), "DNS: discarded");
            }
        }
        decision
    }

    /// Asks an upstream.
    async fn forward(&self, forward: &Forward) -> Vec<u8> {
        let question = (forward.name().clone(), forward.record_type());
        let failed_lately = self
            .failures
            .get(&question)
            .is_some_and(|failed| failed.elapsed() < FAILURE_TIME);
        let resolver = self.resolver.load_full();
        if let (Some(resolver), false) = (resolver.as_ref(), failed_lately) {
            match timeout(
                UPSTREAM_TIME,
                resolver.lookup(question.0.clone(), question.1),
            )
            .await
            {
                Ok(Ok(lookup)) => {
                    return forward.answer(
                        ResponseCode::NoError,
                        lookup.answers(),
                        lookup.authorities(),
                    );
                }
                Ok(Err(NetError::Dns(DnsError::NoRecordsFound(none)))) => {
                    let soa: Option<Record> = none.soa.map(|soa| soa.into_record_of_rdata());
                    return forward.answer(none.response_code, &[], soa.as_slice());
                }
                Ok(Err(error)) => debug!(name = %question.0, %error, "DNS: upstream"),
                Err(_) => debug!(name = %question.0, "DNS: upstream took too long"),
            }
            self.failures.insert(question, Instant::now());
        }
        count(&self.counters.failed);
        forward.fail()
    }
}

fn resolver(servers: &[IpAddr]) -> Result<TokioResolver, NetError> {
    let servers = servers
        .iter()
        .map(|server| NameServerConfig::udp_and_tcp(*server))
        .collect();
    let config = ResolverConfig::from_name_servers(servers);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    let mut options = ResolverOpts::default();
    options.timeout = Duration::from_secs(2);
    options.attempts = 1;
    options.cache_size = CACHED as u64;
    options.max_active_requests = MAX_IN_FLIGHT;
    // What the server itself calls its neighbours is not the clients' business.
    options.use_hosts_file = ResolveHosts::Never;
    *builder.options_mut() = options;
    builder.build()
}

/// Names that other machines act upon without asking anybody: no client becomes their owner by
/// calling itself so (the first configures web browsers).
const NOT_FROM_CLIENTS: &[&str] = &["wpad", "isatap", "localhost", "netbootd"];

/// All names: our own first, then those of the configuration, then those of clients that booted and
/// have an ssh host key, then the leases'. A lease cannot take a name that is somebody else's already.
pub fn zone(
    config: &config::Config,
    own: &[Ipv4Addr],
    hosts: &[HostIdentity],
    mut leases: Vec<(String, Ipv4Addr)>,
) -> Zone {
    let mut names: Vec<(String, Ipv4Addr)> = own
        .iter()
        .map(|address| ("netbootd".to_owned(), *address))
        .collect();
    let clients = config.clients.values();
    let reserved = clients
        .clone()
        .filter_map(|client| Some((client.hostname.clone()?, client.address?)));
    names.extend(reserved);
    names.extend(
        config
            .dns
            .hosts
            .iter()
            .map(|(name, address)| (name.clone(), *address)),
    );
    let suffix = format!(".{}", config.dns.domain);
    let label = |name: &str| name.strip_suffix(&suffix).unwrap_or(name).to_owned();
    let mut taken: HashSet<String> = names.iter().map(|(name, _)| label(name)).collect();
    for host in hosts {
        if taken.insert(host.hostname.clone()) {
            names.push((host.hostname.clone(), host.address));
        }
    }
    leases
        .iter_mut()
        .for_each(|(name, _)| name.make_ascii_lowercase());
    leases.sort_unstable();
    leases.dedup_by(|(name, _), (before, _)| name == before);
    leases.retain(|(name, _)| {
        let reserved = NOT_FROM_CLIENTS.contains(&name.as_str());
        !name.contains('.') && !reserved && !taken.contains(name)
    });
    names.append(&mut leases);
    let keys = hosts
        .iter()
        .map(|host| (&host.hostname, host.address, host.key.sha256()));
    // Ours, as long as our name means anything; the configuration's may take their places.
    let ours = [
        ("_nfs._tcp", config.nfs.port, true),
        ("_tftp._udp", config.tftp.port, config.tftp.enabled),
    ];
    let ours = ours
        .into_iter()
        .filter(|(.., enabled)| *enabled && !own.is_empty())
        .map(|(service, port, _)| (service, "netbootd", port));
    let further = config.dns.services.iter();
    let further = further.map(|(service, (host, port))| (service.as_str(), host.as_str(), *port));
    Zone::build(&config.dns.domain, names)
        .with_host_keys(keys)
        .with_services(ours.chain(further))
}

/// Chooses the upstreams again when `/etc/resolv.conf` changes, until `shutdown` changes: at boot it
/// is often written after us, and a laptop moves between networks.
pub async fn watch_upstreams(dns: Arc<Dns>, mut shutdown: watch::Receiver<bool>) -> io::Result<()> {
    let changed = || {
        std::fs::metadata(RESOLV_CONF)
            .and_then(|file| file.modified())
            .ok()
    };
    let mut last: Option<SystemTime> = changed();
    while timeout(Duration::from_secs(2), shutdown.changed())
        .await
        .is_err()
    {
        let now = changed();
        if dns.upstreams.is_empty() && now != last {
            dns.choose_upstreams();
        }
        last = now;
    }
    Ok(())
}

/// Serves port 53 of one address until `shutdown` changes.
///
/// Datagrams have a thread of their own that waits in the kernel: two system calls for a query, where
/// a task of the runtime needs a third to wait and often a fourth to wake another thread.
pub async fn serve(
    dns: Arc<Dns>,
    udp: std::net::UdpSocket,
    tcp: std::net::TcpListener,
    mut shutdown: watch::Receiver<bool>,
) -> io::Result<()> {
    udp.set_nonblocking(false)?;
    udp.set_read_timeout(Some(STOP_TIME))?;
    tcp.set_nonblocking(true)?;
    let tcp = TcpListener::from_std(tcp)?;
    let stop = Stop {
        flag: Arc::default(),
        socket: Arc::new(udp),
    };
    let (gone, ended) = oneshot::channel();
    let datagrams = Datagrams {
        dns: Arc::clone(&dns),
        socket: Arc::clone(&stop.socket),
        runtime: Handle::current(),
        stop: Arc::clone(&stop.flag),
    };
    std::thread::Builder::new()
        .name("dns".to_owned())
        .spawn(move || {
            datagrams.serve();
            let _ = gone.send(());
        })?;
    tokio::select! {
        () = stream::accept(&dns, &tcp) => {}
        _ = shutdown.changed() => {}
    }
    drop(stop);
    // The port is free when the thread is gone.
    let _ = ended.await;
    Ok(())
}

/// Ends the thread for datagrams, whichever way the service ends.
struct Stop {
    flag: Arc<AtomicBool>,
    socket: Arc<std::net::UdpSocket>,
}

impl Drop for Stop {
    fn drop(&mut self) {
        self.flag.store(true, Ordering::Relaxed);
        // This wakes it, and says ENOTCONN all the same: that is so for a socket without a peer. (A
        // datagram would not do: our address may be gone.) Without it, it sees the flag after STOP_TIME.
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Read);
    }
}

struct Datagrams {
    dns: Arc<Dns>,
    socket: Arc<std::net::UdpSocket>,
    /// Where questions for the upstreams wait.
    runtime: Handle,
    stop: Arc<AtomicBool>,
}

impl Datagrams {
    fn serve(&self) {
        let mut queries = net::Received::new(LONGEST_QUERY);
        let mut replies = Vec::new();
        while !self.stop.load(Ordering::Relaxed) {
            match queries.receive(&self.socket) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                // An ICMP error for an earlier reply; the next datagram is unharmed by it.
                Err(error) => {
                    debug!(%error, "DNS: receive");
                    continue;
                }
            }
            for (query, source) in queries.iter() {
                // A query that brings the code down costs one query.
                let one = AssertUnwindSafe(|| self.reply(query, source));
                match catch_unwind(one) {
                    Ok(reply) => replies.extend(reply.map(|reply| (reply, source))),
                    Err(_) => count(&self.dns.counters.discarded),
                }
            }
            // A reply that cannot be sent is lost like any datagram: the client asks again.
            if let Err(error) = net::send_many(&self.socket, &replies) {
                debug!(%error, "DNS: send");
            }
            replies.clear();
        }
    }

    /// What is said at once; what an upstream has to say is sent when it has come.
    fn reply(&self, query: &[u8], source: SocketAddrV4) -> Option<Vec<u8>> {
        let forward = match self.dns.decide(query, source.into(), Transport::Udp) {
            Decision::Reply(reply) => return Some(reply),
            Decision::Drop(_) => return None,
            Decision::Forward(forward) => forward,
        };
        let Ok(permit) = Arc::clone(&self.dns.in_flight).try_acquire_owned() else {
            count(&self.dns.counters.failed);
            return Some(forward.fail());
        };
        let dns = Arc::clone(&self.dns);
        let mut reply = Box::pin(async move { dns.forward(&forward).await });
        // What is in the cache is there at once: no task for it, and no other thread.
        let _runtime = self.runtime.enter();
        let mut nobody = Context::from_waker(Waker::noop());
        if let Poll::Ready(reply) = reply.as_mut().poll(&mut nobody) {
            return Some(reply);
        }
        let socket = Arc::clone(&self.socket);
        self.runtime.spawn(async move {
            let reply = reply.await;
            if let Err(error) = socket.send_to(&reply, source) {
                debug!(%source, %error, "DNS: send");
            }
            drop(permit);
        });
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> config::Config {
        let loaded = config::load_text("lab.toml", text, &config::LoadOptions::default());
        loaded
            .unwrap_or_else(|diagnostics| panic!("{diagnostics}"))
            .config
    }

    fn find(zone: &Zone, name: &str) -> Option<Ipv4Addr> {
        let name = Name::from_ascii(format!("{name}.lab.internal.")).expect("a name");
        zone.addresses(&name)?.first().copied()
    }

    #[test]
    fn a_lease_cannot_take_a_name_of_the_configuration() {
        let config = config(
            "dns.hosts.\"nas.lab.internal\" = \"10.0.0.5\"\n[clients.\"52:54:00:12:34:56\"]\nhostname = \"pc1\"\naddress = \"10.0.0.11\"\n",
        );
        let leases = ["NAS", "netbootd", "pc1", "wpad", "pc7"]
            .map(|name| (name.to_owned(), Ipv4Addr::new(10, 0, 0, 66)));
        let zone = zone(&config, &[Ipv4Addr::new(10, 0, 0, 1)], &[], leases.into());
        let last = |name: &str| find(&zone, name).map(|address| address.octets()[3]);
        assert_eq!(
            [last("nas"), last("netbootd"), last("pc1")],
            [Some(5), Some(1), Some(11)]
        );
        assert_eq!([last("wpad"), last("pc7")], [None, Some(66)]);
    }

    #[test]
    fn we_are_not_our_own_upstream() {
        let own = [Ipv4Addr::new(10, 0, 0, 1)];
        let dns = Dns::new(&[IpAddr::V4(own[0])], &own);
        assert!(!dns.policy.load().forward);
    }
}
