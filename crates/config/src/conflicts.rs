//! What is wrong between entries that are each right: the same address, name, number or port twice.

use std::collections::HashMap;
use std::fmt::Display;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr};

use model::KnownBy;

use crate::diagnostic::{Code, Fault};
use crate::meaning::Config;
use crate::path::KeyPath;
use crate::reader::{Reader, Spot};
use crate::text::{hosts_of, mask};

/// A network's address and the length of its prefix.
type Network = (Ipv4Addr, u8);

/// A range of addresses with what is known of its surroundings.
pub(crate) struct Pool {
    pub(crate) spot: Spot,
    pub(crate) first: Ipv4Addr,
    pub(crate) last: Ipv4Addr,
    /// The network of its table, where the table says it.
    pub(crate) network: Option<Network>,
    /// The server's address of its table, where the table says it.
    pub(crate) server: Option<Ipv4Addr>,
}

impl Pool {
    fn holds(&self, address: Ipv4Addr) -> bool {
        (self.first..=self.last).contains(&address)
    }
}

/// What entries lay claim to, gathered while they are read.
#[derive(Default)]
pub(crate) struct Claims {
    pools: Vec<Pool>,
    networks: Vec<(Spot, Ipv4Addr, u8)>,
    servers: Vec<(Spot, Ipv4Addr)>,
    routers: Vec<(Spot, Ipv4Addr, Option<Network>)>,
    upstreams: Vec<(Spot, IpAddr)>,
    hosts: Vec<(Spot, String, Ipv4Addr)>,
    clients: Vec<(Spot, KnownBy)>,
    hostnames: Vec<(Spot, String, KnownBy)>,
    reservations: Vec<(Spot, Ipv4Addr, KnownBy)>,
    uids: Vec<(Spot, u32, String)>,
}

impl Claims {
    pub(crate) fn pool(&mut self, pool: Pool) {
        self.pools.push(pool);
    }

    pub(crate) fn network(&mut self, spot: Spot, network: Ipv4Addr, prefix_len: u8) {
        self.networks.push((spot, network, prefix_len));
    }

    pub(crate) fn server(&mut self, spot: Spot, address: Ipv4Addr) {
        self.servers.push((spot, address));
    }

    pub(crate) fn router(&mut self, spot: Spot, address: Ipv4Addr, network: Option<Network>) {
        self.routers.push((spot, address, network));
    }

    pub(crate) fn upstream(&mut self, spot: Spot, address: IpAddr) {
        self.upstreams.push((spot, address));
    }

    pub(crate) fn host(&mut self, spot: Spot, name: String, address: Ipv4Addr) {
        self.hosts.push((spot, name, address));
    }

    pub(crate) fn client(&mut self, spot: Spot, client: KnownBy) {
        self.clients.push((spot, client));
    }

    pub(crate) fn hostname(&mut self, spot: Spot, name: String, client: KnownBy) {
        self.hostnames.push((spot, name, client));
    }

    pub(crate) fn reservation(&mut self, spot: Spot, address: Ipv4Addr, client: KnownBy) {
        self.reservations.push((spot, address, client));
    }

    pub(crate) fn uid(&mut self, spot: Spot, uid: u32, user: String) {
        self.uids.push((spot, uid, user));
    }

    /// Reports every conflict at the later of its two places.
    pub(crate) fn report(self, reader: &mut Reader<'_>, config: &Config) {
        self.pools_and_networks(reader);
        self.addresses(reader);
        self.names(reader, &config.dns.domain);
        twice(reader, &self.uids, Code::DuplicateUid, |uid, user| {
            (
                format!("uid {uid} is also that of `{user}`"),
                "files of the one would belong to the other".to_owned(),
            )
        });
        if config.http.port == Some(config.nfs.port) {
            let spot = Spot::value(&KeyPath::new(["http", "port"]));
            let fault = Fault::new(
                Code::PortConflict,
                format!("HTTP and NFS both want TCP port {}", config.nfs.port),
                "two services cannot listen on one port",
            );
            reader.report(
                &spot,
                fault.help("write another port, or leave http.port out"),
            );
        }
    }

    fn pools_and_networks(&self, reader: &mut Reader<'_>) {
        for (index, (spot, network, prefix_len)) in self.networks.iter().enumerate() {
            let overlapping = self.networks[..index].iter().find(|(_, other, other_len)| {
                let shared = mask(*prefix_len.min(other_len));
                u32::from(*network) & shared == u32::from(*other) & shared
            });
            if let Some((other_spot, other, other_len)) = overlapping {
                let line = reader.line_of(other_spot);
                let fault = Fault::new(
                    Code::BadNetwork,
                    format!(
                        "{network}/{prefix_len} shares addresses with {other}/{other_len}{line}"
                    ),
                    "a client behind a relay must belong to one subnet",
                );
                reader.report(spot, fault);
            }
        }
        for (index, pool) in self.pools.iter().enumerate() {
            let Pool {
                spot, first, last, ..
            } = pool;
            if let Some((network, prefix_len)) = pool.network {
                let (lowest, highest) = hosts_of(network, prefix_len);
                if *first < lowest || *last > highest {
                    let fault = Fault::new(
                        Code::OutsideSubnet,
                        format!("the pool {first}-{last} is not inside {network}/{prefix_len}"),
                        "clients there could not use the addresses; the network's first and last are not for hosts",
                    );
                    let (from, to) = ((*first).max(lowest), (*last).min(highest));
                    let help = if from <= to {
                        (from, to)
                    } else {
                        (lowest, highest)
                    };
                    reader.report(
                        spot,
                        fault.help(format!("write \"{}-{}\" instead", help.0, help.1)),
                    );
                }
            }
            if let Some(server) = pool.server
                && let Some(far) = [*first, *last]
                    .into_iter()
                    .find(|end| end.octets()[0] != server.octets()[0])
            {
                let fault = Fault::new(
                    Code::OutsideSubnet,
                    format!("the pool {first}-{last} is not in the network of {server}"),
                    format!(
                        "{far} and {server} share not even their first number, so no network holds both"
                    ),
                );
                reader.report(
                    spot,
                    fault.help("write addresses of the interface's own network instead"),
                );
            }
            let overlapping = self.pools[..index]
                .iter()
                .find(|other| other.first <= *last && *first <= other.last);
            if let Some(other) = overlapping {
                let line = reader.line_of(&other.spot);
                let fault = Fault::new(
                    Code::PoolOverlap,
                    format!(
                        "the pool {first}-{last} shares addresses with {}-{}{line}",
                        other.first, other.last
                    ),
                    "an address can be leased to one client only",
                );
                reader.report(
                    spot,
                    fault.help("let one of them end before the other begins"),
                );
            }
        }
    }

    fn addresses(&self, reader: &mut Reader<'_>) {
        for (index, (spot, address)) in self.servers.iter().enumerate() {
            if let Some(pool) = self.pools.iter().find(|pool| pool.holds(*address)) {
                let fault = Fault::new(
                    Code::AddressConflict,
                    format!(
                        "the pool {}-{} holds {address}, our own address",
                        pool.first, pool.last
                    ),
                    "a client that leased it would cut everybody off from the server",
                );
                reader.report(&pool.spot, fault.help(around(pool, *address)));
            }
            if let Some((other, _)) = self.servers[..index]
                .iter()
                .find(|(_, other)| other == address)
            {
                let line = reader.line_of(other);
                let fault = Fault::new(
                    Code::AddressConflict,
                    format!("{address} is also the address of another interface{line}"),
                    "the kernel would answer on one of the two only",
                );
                reader.report(spot, fault);
            }
        }
        for (spot, router, network) in &self.routers {
            if let Some((network, prefix_len)) = network {
                let (lowest, highest) = hosts_of(*network, *prefix_len);
                if !(lowest..=highest).contains(router) {
                    let fault = Fault::new(
                        Code::OutsideSubnet,
                        format!("the router {router} is not inside {network}/{prefix_len}"),
                        "a client reaches a router in its own network only",
                    );
                    reader.report(
                        spot,
                        fault.help(format!(
                            "write \"{lowest}\", or what the relay's interface says, instead"
                        )),
                    );
                }
            }
            if let Some(pool) = self.pools.iter().find(|pool| pool.holds(*router)) {
                let fault = Fault::new(
                    Code::AddressConflict,
                    format!(
                        "the pool {}-{} holds {router}, the router",
                        pool.first, pool.last
                    ),
                    "a client that leased it would cut the others off",
                );
                reader.report(&pool.spot, fault.help(around(pool, *router)));
            }
        }
        for (spot, upstream) in &self.upstreams {
            if self
                .servers
                .iter()
                .any(|(_, server)| IpAddr::V4(*server) == *upstream)
            {
                let fault = Fault::new(
                    Code::AddressConflict,
                    format!("the upstream {upstream} is this server itself"),
                    "a question for another server would come back to us for ever",
                );
                reader.report(
                    spot,
                    fault.help("write the address of another DNS server instead"),
                );
            }
        }
        for (spot, address, _) in &self.reservations {
            let owner = self
                .servers
                .iter()
                .map(|(other, server)| (other, *server, "our own address"))
                .chain(
                    self.routers
                        .iter()
                        .map(|(other, router, _)| (other, *router, "the router's address")),
                )
                .find(|(_, taken, _)| taken == address);
            if let Some((other, _, owner)) = owner {
                let line = reader.line_of(other);
                let fault = Fault::new(
                    Code::AddressConflict,
                    format!("{address} is {owner}{line}"),
                    "two machines cannot have one address",
                );
                reader.report(spot, fault.help("write a free address instead"));
            }
        }
    }

    fn names(&self, reader: &mut Reader<'_>, domain: &str) {
        twice(
            reader,
            &self.tables(),
            Code::DuplicateClient,
            |_, client| {
                (
                    format!("{client} has a table already"),
                    "its settings must stand in one place".to_owned(),
                )
            },
        );
        twice(
            reader,
            &self.reservations,
            Code::DuplicateClient,
            |address, client| {
                (
                    format!("{address} is also the address of {client}"),
                    "an address can be kept for one client only".to_owned(),
                )
            },
        );
        twice(
            reader,
            &self.hostnames,
            Code::DuplicateClient,
            |name, client| {
                (
                    format!("`{name}` is also the name of {client}"),
                    "a name must lead to one client".to_owned(),
                )
            },
        );
        for (spot, name, address) in &self.hosts {
            let suffix = format!(".{domain}");
            let label = name.strip_suffix(suffix.as_str()).unwrap_or(name);
            let Some((other, _, mac)) = self.hostnames.iter().find(|(_, other, _)| other == label)
            else {
                continue;
            };
            let same = self
                .reservations
                .iter()
                .any(|(_, kept, owner)| owner == mac && kept == address);
            if !same {
                let line = reader.line_of(other);
                let fault = Fault::new(
                    Code::DuplicateClient,
                    format!("`{label}` is also the name of {mac}{line}"),
                    "a name must lead to one machine",
                );
                reader.report(
                    spot,
                    fault.help("write another name, or leave this line out"),
                );
            }
        }
    }

    /// What clients are known by, each written in one way, and as it is in the file.
    fn tables(&self) -> Vec<(Spot, KnownBy, KnownBy)> {
        let one_way = |client: &KnownBy| match client {
            KnownBy::Uuid(uuid) => KnownBy::Uuid((*uuid).min(uuid.turned())),
            other => other.clone(),
        };
        let clients = self.clients.iter();
        clients
            .map(|(spot, client)| (spot.clone(), one_way(client), client.clone()))
            .collect()
    }
}

/// Reports each claim to something that an earlier one has.
fn twice<T: Eq + Hash, O: Display>(
    reader: &mut Reader<'_>,
    claims: &[(Spot, T, O)],
    code: Code,
    words: impl Fn(&T, &O) -> (String, String),
) {
    let mut first: HashMap<&T, (&Spot, &O)> = HashMap::new();
    for (spot, thing, owner) in claims {
        match first.get(thing) {
            None => {
                first.insert(thing, (spot, owner));
            }
            Some((other, owner)) => {
                let (what, why) = words(thing, owner);
                let line = reader.line_of(other);
                let fault = Fault::new(code, format!("{what}{line}"), why);
                reader.report(spot, fault.help("change one of the two"));
            }
        }
    }
}

/// The pool without the address that it must not hold.
fn around(pool: &Pool, address: Ipv4Addr) -> String {
    let below = Ipv4Addr::from(u32::from(address) - 1);
    let above = Ipv4Addr::from(u32::from(address).saturating_add(1));
    match (pool.first == address, pool.last == address) {
        (true, true) => "write other addresses instead".to_owned(),
        (true, false) => format!("write \"{above}-{}\" instead", pool.last),
        (false, true) => format!("write \"{}-{below}\" instead", pool.first),
        (false, false) => format!(
            "write \"{}-{below}\", \"{above}-{}\" instead",
            pool.first, pool.last
        ),
    }
}
