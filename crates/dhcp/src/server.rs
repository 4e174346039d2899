//! The server: one packet in, one decision out.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddrV4};

use model::{KnownBy, MacAddr};

use crate::answer::{Answer, Done, Outgoing, Pending};
use crate::book::{LeaseBook, PoolId};
use crate::context::Context;
use crate::destination::{BOOT_SERVER_PORT, Destination};
use crate::discard::Discard;
use crate::event::{Event, EventKind};
use crate::flood::Flood;
use crate::in_doubt::InDoubt;
use crate::lease::{Lease, LeaseChange};
use crate::link::{Config, Link, LinkId, Mode};
use crate::policy::BootPolicy;
use crate::request::Request;

/// A stored lease that ends later than this from now was written under a clock that ran ahead.
pub(crate) const FARTHEST_END_SECONDS: u64 = 366 * 24 * 3600;
/// A datagram as the shell received it.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// The link it came in on.
    pub link: LinkId,
    /// Who sent it, as the IP and UDP headers say.
    pub source: SocketAddrV4,
    /// The port it came to: 67, or 4011 for the boot server.
    pub to_port: u16,
    /// The UDP payload.
    pub bytes: &'a [u8],
}

/// The time of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now {
    /// Seconds since 1970. The shell reads the wall clock once, at its start, and adds the time
    /// passed on a monotonic clock, so that setting the clock neither ends leases nor revives them.
    pub unix: u64,
}

/// The DHCP and PXE decisions of all links, and the lease book behind them.
///
/// No sockets, no disk, no clock: [`Server::handle`] takes a datagram and the time and says what to
/// store, what to send and what to tell.
#[derive(Debug)]
pub struct Server {
    pub(crate) links: HashMap<LinkId, Link>,
    pub(crate) book: LeaseBook,
    pub(crate) in_doubt: InDoubt,
    pub(crate) flood: Flood,
}

impl Server {
    /// A server over stored leases. Leases of no configured subnet are kept until they end and not
    /// renewed, so links and subnets may as well come later ([`Server::reconfigure`]). A lease that
    /// ends more than a year after `now` was written while the clock ran ahead, and is cut to that.
    pub fn new(config: &Config, leases: impl IntoIterator<Item = Lease>, now: Now) -> Self {
        let farthest = now.unix.saturating_add(FARTHEST_END_SECONDS);
        let believable = leases.into_iter().map(|mut lease| {
            lease.expires_unix = lease.expires_unix.min(farthest);
            lease
        });
        Self {
            links: links(config),
            book: LeaseBook::new(config, believable),
            in_doubt: InDoubt::default(),
            flood: Flood::default(),
        }
    }

    /// Replaces the configuration and keeps the leases. Offers are forgotten; a client that was
    /// offered an address asks again. A [`Pending`] from before may still be resolved.
    pub fn reconfigure(&mut self, config: &Config) {
        let holders = self.book.holders();
        let mut old = std::mem::replace(&mut self.book, LeaseBook::new(config, []));
        self.book.recognition = std::mem::take(&mut old.recognition);
        for (lease, alive_until) in old.into_leases() {
            let address = lease.address;
            self.book.apply(LeaseChange::Put(lease));
            self.book.keep_until(address, alive_until);
        }
        self.links = links(config);
        self.book.keep_aside(holders);
    }

    /// Decides about one datagram. Costs the same whatever the number of leases.
    ///
    /// # Errors
    /// The reason why the packet is ignored, to be counted.
    pub fn handle(
        &mut self,
        now: Now,
        received: &Received<'_>,
        policy: &dyn BootPolicy,
    ) -> Result<Answer, Discard> {
        let request = Request::decode(received.bytes)?;
        let link = self.links.get(&received.link).cloned();
        let link = link.ok_or(Discard::UnknownLink)?;
        if self.book.recognise(now.unix, &request) {
            policy.recognised(&self.recognised());
        }
        if !policy.may_answer(request.mac) {
            return Err(Discard::Refused);
        }
        let context = Context {
            now,
            link: &link,
            received,
            request: &request,
            policy,
        };
        match (received.to_port, link.mode) {
            (BOOT_SERVER_PORT, _) => self.boot_server(&context),
            (_, Mode::Proxy) => self.proxy(&context),
            (_, Mode::Full) => self.full(&context),
        }
    }

    /// The changes of `pending` are on stable storage: what is left to do.
    pub fn commit(&mut self, pending: Pending) -> Done {
        let Pending {
            changes,
            reply,
            mut happened,
            achieved,
            ..
        } = pending;
        self.in_doubt.resolve(&mut self.book, &changes, true);
        happened.push(achieved);
        Done {
            reply: reply.map(|outgoing| outgoing.transmit()),
            events: happened,
        }
    }

    /// The changes of `pending` could not be stored. The book goes back to what is on disk. A client
    /// that renews a stored lease is told the time that is left of it, so that it lives on while the
    /// disk is full; any other hears nothing and asks again.
    pub fn abort(&mut self, pending: Pending) -> Done {
        let Pending {
            changes,
            address,
            unix,
            reply,
            mut happened,
            achieved,
        } = pending;
        let on_disk = self.in_doubt.on_disk(address).flatten();
        // Only the very client that the disk has: a later stage of its boot would be acknowledged
        // without a trace, and a third could come and be taken for the next stage.
        let is_renewal = |stored: &&Lease| {
            changes.iter().any(|change| {
                matches!(change, LeaseChange::Put(lease)
                    if lease.mac == stored.mac && lease.client_id == stored.client_id)
            })
        };
        let running = on_disk.filter(|lease| lease.is_active(unix));
        let running = running.filter(is_renewal);
        let left = running.map(|lease| lease.expires_unix - unix);
        self.in_doubt.resolve(&mut self.book, &changes, false);
        let failed = EventKind::NotStored { address };
        happened.push(Event {
            kind: failed,
            ..achieved
        });
        let reply = reply.zip(left).map(|(mut outgoing, left)| {
            outgoing
                .reply
                .set_lease_time(u32::try_from(left).unwrap_or(u32::MAX));
            outgoing.transmit()
        });
        Done {
            reply,
            events: happened,
        }
    }

    /// The client at `address` was heard of by other means (NFS, its own report): nobody else gets
    /// its address for another lease time, whatever DHCP says.
    pub fn heard_of(&mut self, now: Now, address: Ipv4Addr) {
        if let Some(id) = self.book.subnet_of(address) {
            let seconds = self.book.subnet(id).lease_time.as_secs();
            self.book
                .keep_until(address, now.unix.saturating_add(seconds));
        }
    }

    /// The lease of an address, whatever its state.
    pub fn lease(&self, address: Ipv4Addr) -> Option<&Lease> {
        self.book.lease(address)
    }

    /// The leases of a hardware address: one per subnet as a rule, see [`crate::ClientKey`].
    pub fn leases_of(&self, mac: MacAddr) -> impl Iterator<Item = &Lease> {
        self.book.leases_of(mac)
    }

    /// Cards of clients that are known by something else, as they were before the last end of the process.
    pub fn recall(&mut self, cards: &[(MacAddr, KnownBy)]) {
        for (card, known_by) in cards {
            self.book.recognition.put(*card, known_by);
        }
    }

    fn recognised(&self) -> Vec<(MacAddr, KnownBy)> {
        let cards = self.book.recognition.all();
        cards
            .map(|(card, known_by)| (card, known_by.clone()))
            .collect()
    }

    /// All leases in no order, ended ones included.
    pub fn leases(&self) -> impl Iterator<Item = &Lease> {
        self.book.leases()
    }

    /// Host names (one DNS label each) and addresses of the active leases, for the local zone. The
    /// operator's name wins; a client's own goes to the first that has it.
    pub fn names(&self, now: Now) -> impl Iterator<Item = (&str, Ipv4Addr)> {
        self.book.names(now.unix)
    }

    /// Numbers for a metrics page.
    pub fn stats(&self) -> Stats {
        Stats {
            leases: self.book.len(),
            offers: self.book.offers.len(),
            steps: self.book.steps,
        }
    }

    /// Puts changes into the book and the rest of the decision behind the disk.
    pub(crate) fn pending(
        &mut self,
        context: &Context<'_>,
        address: Ipv4Addr,
        changes: Vec<LeaseChange>,
        reply: Option<Outgoing>,
        achieved: EventKind,
    ) -> Answer {
        self.in_doubt.stage(&mut self.book, &changes);
        Answer::Pending(Pending {
            changes,
            address,
            unix: context.now.unix,
            reply: reply.map(Box::new),
            happened: Vec::new(),
            achieved: context.event(achieved),
        })
    }

    /// Whether an address is one of ours, on whatever link.
    pub(crate) fn is_ours(&self, address: Ipv4Addr) -> bool {
        self.links.values().any(|link| link.address == address)
    }

    /// The subnet of the client: the relay's (RFC 2131 section 4.3.1; RFC 3527 when the relay says
    /// more), else that of the address it renews through a router, else the link's.
    pub(crate) fn subnet_for(&self, context: &Context<'_>) -> Result<PoolId, Discard> {
        let request = context.request;
        if let Some(relay) = request.relay_agent {
            let selected = request
                .relay_info
                .as_ref()
                .and_then(|info| info.link_selection);
            let subnet = self.book.subnet_of(selected.unwrap_or(relay));
            return subnet.ok_or(Discard::NoSubnet);
        }
        let renewed = request
            .client_address
            .filter(|address| address == context.received.source.ip());
        let renewed = renewed.and_then(|address| self.book.subnet_of(address));
        let subnet = renewed.or_else(|| self.book.subnet_of(context.link.address));
        subnet.ok_or(Discard::NoSubnet)
    }

    /// The relay behind a request, checked: a host of a configured subnet and not ourselves, so that
    /// nobody can make us send to where they like.
    pub(crate) fn relay(&self, request: &Request) -> Result<Option<Destination>, Discard> {
        let Some(giaddr) = request.relay_agent else {
            return Ok(None);
        };
        let subnet = self.book.subnet_of(giaddr).map(|id| self.book.subnet(id));
        let is_known = subnet.is_some_and(|subnet| subnet.is_host(giaddr));
        if !is_known || !crate::destination::is_host(giaddr) || self.is_ours(giaddr) {
            return Err(Discard::UnknownRelay);
        }
        Ok(Some(Destination::relay(giaddr)))
    }
}

/// Numbers about the server's state and work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Leases in the book, ended ones included.
    pub leases: usize,
    /// Offers standing.
    pub offers: usize,
    /// Turns of inner loops since the start; per packet a small constant.
    pub steps: u64,
}

fn links(config: &Config) -> HashMap<LinkId, Link> {
    let links = config.links.iter();
    links.map(|link| (link.id, link.clone())).collect()
}
