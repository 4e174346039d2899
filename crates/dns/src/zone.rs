//! The names of the lab: an immutable snapshot, made anew when a lease or the configuration changes.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use hickory_proto::rr::rdata::sshfp::{Algorithm, FingerprintType};
use hickory_proto::rr::rdata::{A, NS, PTR, SOA, SRV, SSHFP};
use hickory_proto::rr::{Name, RData, Record};

use crate::keys::Keys;
use crate::{NEGATIVE_TTL, TTL};

/// Label of the server itself in the domain: the name server of its zones.
const SERVER: &str = "netbootd";

/// A name as it is looked for: its labels in lower case, each behind its length (RFC 1035 section 3.1).
fn key(name: &Name) -> Vec<u8> {
    let mut key = Vec::with_capacity(64);
    for label in name.iter() {
        key.push(label.len() as u8);
        key.extend(label.iter().map(u8::to_ascii_lowercase));
    }
    key
}

/// The name of a key.
fn name(key: &[u8]) -> Option<Name> {
    let mut rest = key;
    let labels = std::iter::from_fn(|| {
        let (length, tail) = rest.split_first()?;
        let (label, tail) = tail.split_at_checked(usize::from(*length))?;
        rest = tail;
        Some(label)
    });
    Name::from_labels(labels).ok()
}

/// The addresses of a name: one, for nearly all.
#[derive(Clone, Debug)]
enum Addresses {
    One(Ipv4Addr),
    Some(Box<[Ipv4Addr]>),
}

impl Addresses {
    fn as_slice(&self) -> &[Ipv4Addr] {
        match self {
            Self::One(address) => std::slice::from_ref(address),
            Self::Some(addresses) => addresses,
        }
    }
}

/// Names and addresses, found by hash in both directions. Names compare without regard to case
/// (RFC 4343), and are given out in lower case. Ten thousand are held in 0.7 MB.
#[derive(Clone, Debug)]
pub struct Zone {
    domain: Name,
    server: Name,
    mailbox: Name,
    /// Names that exist, each with a number.
    keys: Keys,
    /// Those of each name. Names without one are there because a longer name is (RFC 8020).
    addresses: Vec<Addresses>,
    names: HashMap<Ipv4Addr, u32>,
    /// SHA-256 of the ssh host keys of names.
    host_keys: HashMap<u32, [u8; 32]>,
    /// Who has the services of names like `_nfs._tcp` (RFC 2782): host and port.
    services: HashMap<u32, (Name, u16)>,
}

impl Zone {
    /// A snapshot of these names. A name without a dot stands in the domain; one with a dot is whole,
    /// in the domain or not. The first name of an address is the one that its reverse name leads to,
    /// so the daemon gives its own first. What cannot be a name is left out; a `domain` that cannot be
    /// one is replaced by `lab.internal`.
    ///
    /// The server's own name is `netbootd` in the domain; give it with the address to be found at.
    pub fn build<N: AsRef<str>>(
        domain: &str,
        names: impl IntoIterator<Item = (N, Ipv4Addr)>,
    ) -> Self {
        let domain = fqdn(&domain.to_ascii_lowercase()).filter(|domain| !domain.is_root());
        let domain = domain.or_else(|| fqdn("lab.internal")).unwrap_or_default();
        let below = |label: &str| {
            domain
                .prepend_label(label)
                .unwrap_or_else(|_| domain.clone())
        };
        let mut zone = Self {
            server: below(SERVER),
            mailbox: below("hostmaster"),
            keys: Keys::default(),
            addresses: Vec::new(),
            names: HashMap::new(),
            host_keys: HashMap::new(),
            services: HashMap::new(),
            domain,
        };
        zone.number(&zone.domain.clone());
        for (name, address) in names {
            let name = name.as_ref();
            let whole = if name.trim_end_matches('.').contains('.') {
                fqdn(name)
            } else {
                zone.domain.prepend_label(name.trim_end_matches('.')).ok()
            };
            if let Some(name) = whole.filter(|name| !name.is_root()) {
                zone.insert(&name, address);
            }
        }
        zone
    }

    /// Adds what is known of ssh host keys: a label in the domain, the address of that machine, and the
    /// SHA-256 of its ed25519 key. A key whose name means another address here, or none, is left out.
    pub fn with_host_keys<N: AsRef<str>>(
        mut self,
        keys: impl IntoIterator<Item = (N, Ipv4Addr, [u8; 32])>,
    ) -> Self {
        for (label, address, sha256) in keys {
            let name = self.domain.prepend_label(label.as_ref()).ok();
            let name = name.filter(|name| {
                let addresses = self.addresses(name);
                addresses.is_some_and(|addresses| addresses.contains(&address))
            });
            if let Some(number) = name.and_then(|name| self.keys.find(&key(&name))) {
                self.host_keys.insert(number, sha256);
            }
        }
        self
    }

    /// Adds services of the domain (RFC 2782): a name like `_nfs._tcp`, the host that has it, in the domain
    /// where it has no dot, and its port. A later one of the same name replaces an earlier one.
    pub fn with_services<N: AsRef<str>>(
        mut self,
        services: impl IntoIterator<Item = (N, N, u16)>,
    ) -> Self {
        for (service, host, port) in services {
            let below = |name: &str| {
                Name::from_ascii(name)
                    .ok()?
                    .append_domain(&self.domain)
                    .ok()
            };
            let host = host.as_ref().trim_end_matches('.');
            let host = if host.contains('.') {
                fqdn(host)
            } else {
                below(host)
            };
            if let (Some(service), Some(host)) = (below(service.as_ref()), host) {
                self.stand_above(&service);
                let number = self.number(&service);
                self.services.insert(number, (host, port));
            }
        }
        self
    }

    fn insert(&mut self, name: &Name, address: Ipv4Addr) {
        self.stand_above(name);
        let number = self.number(name);
        self.names.entry(address).or_insert(number);
        let known = &mut self.addresses[number as usize];
        match known.as_slice() {
            [] => *known = Addresses::One(address),
            some if some.contains(&address) => {}
            some => *known = Addresses::Some(some.iter().copied().chain([address]).collect()),
        }
    }

    /// The names between this one and the domain exist too.
    fn stand_above(&mut self, name: &Name) {
        let mut parent = name.base_name();
        while self.domain.zone_of(&parent) && !parent.is_root() {
            self.number(&parent);
            parent = parent.base_name();
        }
    }

    /// The number of a name, which exists from now on.
    fn number(&mut self, name: &Name) -> u32 {
        let number = self.keys.number(&key(name));
        if number as usize == self.addresses.len() {
            self.addresses.push(Addresses::Some([].into()));
        }
        number
    }

    /// The clients' domain.
    pub fn domain(&self) -> &Name {
        &self.domain
    }

    /// How many names have an address.
    pub fn len(&self) -> usize {
        let some = |addresses: &&Addresses| !addresses.as_slice().is_empty();
        self.addresses.iter().filter(some).count()
    }

    /// Whether no name has an address.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The addresses of a name; `None` if there is no such name, none of them if it only stands above
    /// others.
    pub fn addresses(&self, name: &Name) -> Option<&[Ipv4Addr]> {
        let number = self.keys.find(&key(name))?;
        Some(self.addresses[number as usize].as_slice())
    }

    /// The name that an address leads back to.
    pub fn name(&self, address: Ipv4Addr) -> Option<Name> {
        name(self.keys.key(*self.names.get(&address)?))
    }

    pub(crate) fn address_records(&self, owner: &Name, addresses: &[Ipv4Addr]) -> Vec<Record> {
        let record =
            |address: &Ipv4Addr| Record::from_rdata(owner.clone(), TTL, RData::A(A(*address)));
        addresses.iter().map(record).collect()
    }

    /// The key of an ssh server (RFC 4255): algorithm 4 is ed25519 (RFC 7479), type 2 is SHA-256
    /// (RFC 6594). `known` is the name in this zone, `owner` how it was asked for.
    pub(crate) fn host_key_records(&self, owner: &Name, known: &Name) -> Vec<Record> {
        let record = |sha256: &[u8; 32]| {
            let print = SSHFP::new(Algorithm::Ed25519, FingerprintType::SHA256, sha256.to_vec());
            Record::from_rdata(owner.clone(), TTL, RData::SSHFP(print))
        };
        let found = self.keys.find(&key(known));
        let found = found.and_then(|number| self.host_keys.get(&number));
        found.map(record).into_iter().collect()
    }

    /// Who has a service, with nothing to choose: priority and weight are 0.
    pub(crate) fn service_records(&self, owner: &Name) -> Vec<Record> {
        let record = |(host, port): &(Name, u16)| {
            let service = SRV::new(0, 0, *port, host.clone());
            Record::from_rdata(owner.clone(), TTL, RData::SRV(service))
        };
        let found = self.keys.find(&key(owner));
        let found = found.and_then(|number| self.services.get(&number));
        found.map(record).into_iter().collect()
    }

    pub(crate) fn pointer(&self, owner: &Name, name: Name) -> Record {
        Record::from_rdata(owner.clone(), TTL, RData::PTR(PTR(name)))
    }

    pub(crate) fn name_server(&self, owner: &Name) -> Record {
        Record::from_rdata(owner.clone(), TTL, RData::NS(NS(self.server.clone())))
    }

    /// The record that goes with "no" (RFC 2308 sections 3 and 5): its TTL and its last number say how
    /// long the "no" may be kept. Nobody transfers these zones, so the serial stands still.
    pub(crate) fn soa(&self, owner: &Name) -> Record {
        let (refresh, retry, expire) = (3600, 1200, 604_800);
        let soa = SOA::new(
            self.server.clone(),
            self.mailbox.clone(),
            1,
            refresh,
            retry,
            expire,
            NEGATIVE_TTL,
        );
        Record::from_rdata(owner.clone(), NEGATIVE_TTL, RData::SOA(soa))
    }
}

fn fqdn(text: &str) -> Option<Name> {
    let mut name = Name::from_ascii(text.trim_end_matches('.')).ok()?;
    name.set_fqdn(true);
    Some(name)
}
