//! The names of the lab: an immutable snapshot, made anew when a lease or the configuration changes.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use hickory_proto::rr::rdata::sshfp::{Algorithm, FingerprintType};
use hickory_proto::rr::rdata::{A, NS, PTR, SOA, SSHFP};
use hickory_proto::rr::{Name, RData, Record};

use crate::{NEGATIVE_TTL, TTL};

/// Label of the server itself in the domain: the name server of its zones.
const SERVER: &str = "netbootd";

/// Names and addresses, found by hash in both directions. Names compare without regard to case
/// (RFC 4343), and are given out in lower case.
#[derive(Clone, Debug)]
pub struct Zone {
    domain: Name,
    server: Name,
    mailbox: Name,
    /// Names that exist. Those without an address are there because a longer name is (RFC 8020).
    addresses: HashMap<Name, Vec<Ipv4Addr>>,
    names: HashMap<Ipv4Addr, Name>,
    /// SHA-256 of the ssh host keys of names.
    host_keys: HashMap<Name, [u8; 32]>,
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
            addresses: HashMap::from([(domain.clone(), Vec::new())]),
            names: HashMap::new(),
            host_keys: HashMap::new(),
            domain,
        };
        for (name, address) in names {
            let name = name.as_ref();
            let whole = if name.trim_end_matches('.').contains('.') {
                fqdn(name)
            } else {
                zone.domain.prepend_label(name.trim_end_matches('.')).ok()
            };
            if let Some(name) = whole.filter(|name| !name.is_root()) {
                zone.insert(name.to_lowercase(), address);
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
            let name = name.map(|name| name.to_lowercase()).filter(|name| {
                let addresses = self.addresses(name);
                addresses.is_some_and(|addresses| addresses.contains(&address))
            });
            if let Some(name) = name {
                self.host_keys.insert(name, sha256);
            }
        }
        self
    }

    fn insert(&mut self, name: Name, address: Ipv4Addr) {
        // Names between this one and the domain exist too.
        let mut parent = name.base_name();
        while self.domain.zone_of(&parent) && !parent.is_root() {
            self.addresses.entry(parent.clone()).or_default();
            parent = parent.base_name();
        }
        self.names.entry(address).or_insert_with(|| name.clone());
        let addresses = self.addresses.entry(name).or_default();
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }

    /// The clients' domain.
    pub fn domain(&self) -> &Name {
        &self.domain
    }

    /// How many names have an address.
    pub fn len(&self) -> usize {
        self.addresses
            .values()
            .filter(|addresses| !addresses.is_empty())
            .count()
    }

    /// Whether no name has an address.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The addresses of a name; `None` if there is no such name, none of them if it only stands above
    /// others.
    pub fn addresses(&self, name: &Name) -> Option<&[Ipv4Addr]> {
        self.addresses.get(name).map(Vec::as_slice)
    }

    /// The name that an address leads back to.
    pub fn name(&self, address: Ipv4Addr) -> Option<&Name> {
        self.names.get(&address)
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
        self.host_keys.get(known).map(record).into_iter().collect()
    }

    pub(crate) fn pointer(&self, owner: &Name, name: &Name) -> Record {
        Record::from_rdata(owner.clone(), TTL, RData::PTR(PTR(name.clone())))
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
