//! Everything that is served on one interface.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use config::{Interface, Mode};
use dhcp::{Reservation, Subnet};
use net::Protocol;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{debug, info, warn};

use crate::bind;
use crate::conflicts;
use crate::daemon::{Daemon, ServedLink};
use crate::export::ExportFs;
use crate::foreign::{self, Alone};
use crate::links::{self, Link, at};
use crate::names;
use crate::services::dhcp::Shared;
use crate::services::dns::Dns;
use crate::services::{self, http, nfs, router_advertisement, tftp};

/// What the services of all links share.
pub struct LinkContext {
    /// The daemon.
    pub daemon: Arc<Daemon>,
    dhcp: Arc<Shared>,
    dns: Arc<Dns>,
    /// What DHCP knows of each link, by the interface's name.
    links: Mutex<BTreeMap<String, (dhcp::Link, Option<Subnet>)>>,
}

type Service = Pin<Box<dyn Future<Output = std::io::Result<()>> + Send>>;

/// What is served on one link: what others have to know of it, and the services, bound and ready to run.
pub struct Serving {
    /// For the daemon.
    pub link: ServedLink,
    /// For DHCP: the link, and in full mode its network.
    pub dhcp: (dhcp::Link, Option<Subnet>),
    /// What runs.
    pub services: Services,
}

/// The services of one link.
pub struct Services(Vec<(&'static str, Service)>);

impl Services {
    /// Runs them until they end, which they do when they are told to stop.
    pub async fn run(self) -> anyhow::Result<()> {
        let mut tasks = JoinSet::new();
        for (name, service) in self.0 {
            tasks.spawn(async move {
                service
                    .await
                    .with_context(|| format!("the {name} service ended"))
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended.context("a service panicked")??;
        }
        Ok(())
    }
}

impl LinkContext {
    /// For a daemon.
    pub fn new(daemon: Arc<Daemon>, dhcp: Arc<Shared>, dns: Arc<Dns>) -> Arc<Self> {
        let context = Self {
            daemon,
            dhcp,
            dns,
            links: Mutex::default(),
        };
        context.change(|_| {});
        Arc::new(context)
    }

    /// Whether some client has had a lease in the link's network: then this is not the first time that it is served.
    fn has_leased(&self, link: &Link) -> bool {
        self.dhcp
            .with(|server| server.leases().any(|lease| link.holds(lease.address)))
    }

    /// Makes a link known to all who answer for it.
    pub fn serve(&self, link: &ServedLink, dhcp: &(dhcp::Link, Option<Subnet>)) {
        self.daemon.serve_link(link);
        self.change(|links| {
            links.insert(link.link.name.clone(), dhcp.clone());
        });
    }

    /// Nobody answers for this interface's link any more.
    pub fn leave(&self, name: &str) {
        self.daemon.leave_link(name);
        self.change(|links| {
            links.remove(name);
        });
    }

    /// Changes what DHCP and DNS know of the links.
    fn change(&self, change: impl FnOnce(&mut BTreeMap<String, (dhcp::Link, Option<Subnet>)>)) {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut links);
        let mut config = relayed(&self.daemon.config);
        for (link, subnet) in links.values() {
            config.links.push(link.clone());
            config.subnets.extend(subnet.clone());
        }
        let relayed = self.daemon.config.subnets.iter();
        let relayed = relayed.map(|subnet| (subnet.network, subnet.prefix_len));
        let own = links
            .values()
            .map(|(link, _)| (link.address, link.prefix_len));
        self.dns.serve_networks(&Vec::from_iter(relayed.chain(own)));
        self.dhcp.with(|server| server.reconfigure(&config));
    }
}

/// What the DHCP server knows before it serves a link: the networks behind relays, and the clients' own addresses.
pub fn relayed(config: &config::Config) -> dhcp::Config {
    let subnets = config.subnets.iter().map(|subnet| Subnet {
        network: subnet.network,
        prefix_len: subnet.prefix_len,
        pool: subnet.pool.clone(),
        router: subnet.router,
        dns: subnet.dns.clone(),
        domain: Some(config.dns.domain.clone()),
        lease_time: subnet.lease_time,
        options: further(&subnet.options),
    });
    let reservations = config.clients.iter().map(|(known_by, client)| Reservation {
        client: known_by.clone(),
        address: client.address,
        hostname: client.hostname.clone(),
    });
    dhcp::Config {
        links: Vec::new(),
        subnets: subnets.collect(),
        reservations: reservations.collect(),
    }
}

/// A link as the DHCP server knows it, and in full mode its network.
pub fn dhcp_link(
    config: &config::Config,
    wanted: &Interface,
    link: &Link,
    mode: dhcp::Mode,
    dns: Vec<std::net::Ipv4Addr>,
) -> (dhcp::Link, Option<Subnet>) {
    let subnet = (mode == dhcp::Mode::Full).then(|| Subnet {
        network: link.address,
        prefix_len: link.prefix_len,
        pool: if wanted.pool.is_empty() {
            links::default_pool(link)
        } else {
            wanted.pool.clone()
        },
        // Who sends the clients' packets on is their router.
        router: wanted.router.or(wanted.nat.as_ref().map(|_| link.address)),
        dns,
        domain: Some(config.dns.domain.clone()).filter(|domain| !domain.is_empty()),
        lease_time: wanted.lease_time,
        options: further(&wanted.options),
    });
    let link = dhcp::Link {
        id: link.id,
        address: link.address,
        prefix_len: link.prefix_len,
        mode,
    };
    (link, subnet)
}

/// Decides what we are on a link, unless that is `known`, binds every port, and hands out the services,
/// which run until `stop` changes. Nothing answers before everything is bound.
pub async fn start(
    context: &Arc<LinkContext>,
    wanted: &Interface,
    link: Link,
    known: Option<dhcp::Mode>,
    stop: &watch::Receiver<bool>,
) -> anyhow::Result<Serving> {
    let daemon = &context.daemon;
    let config = &daemon.config;
    let mut services: Vec<(&'static str, Service)> = Vec::new();
    let stopping = || stop.clone();

    let tftp = if config.tftp.enabled {
        let address = at(&link, config.tftp.port);
        Some(
            net::bind_udp(address)
                .map_err(|error| bind::taken("TFTP", Protocol::Udp, address, &error))?,
        )
    } else {
        None
    };
    let (http, http_port) = bind::http(&link, config.http.port)?;
    let nfs_sockets = bind::nfs(&link, &config.nfs)?;

    let (mode, why) = match known {
        Some(mode) => (mode, "as it was on this network".to_owned()),
        None => links::decide_mode(wanted, &link).await?,
    };
    let mode_name = if mode == dhcp::Mode::Full {
        "full"
    } else {
        "proxy"
    };
    info!(interface = link.name, address = %link.address, mode = mode_name, "DHCP: {why}");
    let dhcp_sockets = bind::dhcp(&link, mode, wanted.mode)?;
    let dns_sockets = bind::dns(&link, config.dns.enabled, mode)?;

    let dns_servers = if !wanted.dns.is_empty() {
        wanted.dns.clone()
    } else if dns_sockets.is_some() {
        vec![link.address]
    } else {
        names::system_dns_servers()
    };
    let served = ServedLink {
        link: link.clone(),
        mode,
        dns: dns_servers.clone(),
        http_port,
    };
    let dhcp = dhcp_link(config, wanted, &link, mode, dns_servers);

    let looks = wanted.mode == Mode::Full && !wanted.authoritative && known.is_none();
    services.push((
        "DHCP",
        Box::pin(dhcp_service(
            Arc::clone(context),
            link.clone(),
            (
                mode == dhcp::Mode::Full,
                looks && !context.has_leased(&link),
            ),
            dhcp_sockets,
            http_port,
            stopping(),
        )),
    ));
    if mode == dhcp::Mode::Full {
        let (shared, link, stopping) = (Arc::clone(&context.dhcp), link.clone(), stopping());
        let service = async move {
            conflicts::watch(&shared, &link, stopping).await;
            Ok(())
        };
        services.push(("search for addresses in use", Box::pin(service)));
    }
    if let Some(socket) = tftp {
        services.push((
            "TFTP",
            Box::pin(tftp::serve(Arc::clone(daemon), socket, stopping())),
        ));
    }
    services.push((
        "HTTP",
        Box::pin(http::serve(Arc::clone(daemon), http, stopping())),
    ));
    if let Some(sockets) = dns_sockets {
        let (udp, tcp) = sockets;
        let dns = Arc::clone(&context.dns);
        services.push((
            "DNS",
            Box::pin(services::dns::serve(dns, udp, tcp, stopping())),
        ));
    }
    services.push(("NFS", nfs_service(context, nfs_sockets, stopping())));
    services.extend(router_advertisements(wanted, &link, stopping()));
    Ok(Serving {
        link: served,
        dhcp,
        services: Services(services),
    })
}

fn router_advertisements(
    wanted: &Interface,
    link: &Link,
    stopping: watch::Receiver<bool>,
) -> Option<(&'static str, Service)> {
    if !wanted.router_advertisements {
        return None;
    }
    match net::router_socket(&link.name, link.id.0) {
        Ok(socket) => {
            let name = link.name.clone();
            let service = async move { router_advertisement::serve(socket, &name, stopping).await };
            Some(("router advertisement", Box::pin(service)))
        }
        Err(error) => {
            warn!(
                interface = link.name,
                %error,
                "iPXE's router solicitations are not answered (CAP_NET_RAW is needed); where the LAN has no \
                 IPv6 router every boot takes 13 seconds longer"
            );
            None
        }
    }
}

impl nfs::ExportedFiles for ExportFs {
    fn file(&self, token: ::nfs::FileToken) -> Option<Arc<std::fs::File>> {
        Self::file(self, token)
    }

    fn at_once(&self) -> &dyn ::nfs::ReadOnlyFs {
        Self::at_once(self)
    }

    fn slices_at_once(
        &self,
        file: &::nfs::FileHandle,
        offset: u64,
        count: u32,
    ) -> Option<Result<nfs::Slices, ::nfs::Status>> {
        let slices = Self::at_once(self).slices(file, offset, count)?;
        Some(slices.map(|(slices, eof)| nfs::Slices { slices, eof }))
    }

    fn place(&self, handle: &::nfs::FileHandle) -> Option<Arc<str>> {
        Self::place(self, handle)
    }

    fn prefetch(&self, handle: &::nfs::FileHandle, offset: u64, len: u32) {
        Self::prefetch(self, handle, offset, len);
    }
}

fn nfs_service(
    context: &LinkContext,
    sockets: nfs::Sockets,
    mut stopping: watch::Receiver<bool>,
) -> Service {
    let daemon = Arc::clone(&context.daemon);
    let on_mount: nfs::OnMount = Arc::new(move |client, path| {
        let path = String::from_utf8_lossy(path);
        debug!(%client, %path, "NFS: mounted");
        if let std::net::IpAddr::V4(address) = client.ip()
            && let Some(client) = daemon.client_at(address)
        {
            daemon.note(client, "NFS", &format!("mounted {path}"));
        }
    });
    let mut options = nfs::Options::new(context.daemon.config.nfs.port);
    options.counters = Arc::clone(&context.daemon.nfs_counters);
    let files = Arc::clone(&context.daemon.exports);
    let shutdown = async move {
        // An error means that nobody follows the interface any more, which is an end too.
        let _ = stopping.changed().await;
    };
    Box::pin(nfs::serve(
        options,
        sockets.listeners,
        sockets.port_mapper,
        files,
        on_mount,
        shutdown,
    ))
}

/// Answers on a link. Where addresses are leased other servers are listened for, and where it `looks`, none is leased
/// before nobody else does.
async fn dhcp_service(
    context: Arc<LinkContext>,
    link: Link,
    (is_full, looks): (bool, bool),
    sockets: [std::net::UdpSocket; 2],
    http_port: u16,
    mut stop: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let (daemon, shared) = (Arc::clone(&context.daemon), Arc::clone(&context.dhcp));
    if looks {
        match foreign::until_alone(&daemon, &link, &mut stop).await {
            Alone::Stopped => return Ok(()),
            Alone::AtOnce => {}
            Alone::AfterAll => sockets.iter().for_each(forget),
        }
    }
    let (heard_on, until) = (link.clone(), stop.clone());
    let serving =
        services::dhcp::serve(Arc::clone(&daemon), shared, link, sockets, http_port, stop);
    if !is_full {
        return serving.await;
    }
    let (served, ()) = tokio::join!(serving, foreign::listen(&daemon, &heard_on, until));
    served
}

/// Throws away what was not meant for us: it came while another server answered.
fn forget(socket: &std::net::UdpSocket) {
    while socket.recv(&mut [0; 1]).is_ok() {}
}

/// Options as the DHCP server takes them.
pub fn further<'a>(options: impl IntoIterator<Item = &'a model::DhcpOption>) -> Vec<(u8, Vec<u8>)> {
    let pair = |option: &model::DhcpOption| (option.code, option.bytes.clone());
    options.into_iter().map(pair).collect()
}
