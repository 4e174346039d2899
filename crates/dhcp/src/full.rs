//! The full server: addresses and boot files (RFC 2131 section 4.3).

use std::net::Ipv4Addr;

use dhcproto::v4::{DhcpOption, MessageType};

use crate::answer::{Answer, Done};
use crate::book::PoolId;
use crate::context::Context;
use crate::contributors::{
    boot_options, further, identity, lease_times, names, network, no_proxy_wait, own_disk,
};
use crate::destination::Destination;
use crate::discard::Discard;
use crate::event::EventKind;
use crate::lease::{BindingState, Lease, LeaseChange};
use crate::policy::BootFile;
use crate::reply::Reply;
use crate::server::Server;

/// How long nobody gets an address that a client found in use.
const QUARANTINE_SECONDS: u64 = 3600;
/// Clients may ask for shorter leases, but not so short that renewing is all they do.
const MIN_LEASE_SECONDS: u32 = 120;

/// How a DHCPREQUEST is meant (RFC 2131 section 4.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    /// It takes up an offer.
    Selecting(Ipv4Addr),
    /// It believes to have this address: INIT-REBOOT, by option 50.
    InitReboot(Ipv4Addr),
    /// It has this address and wants it for longer: RENEWING or REBINDING, by `ciaddr`.
    Extending(Ipv4Addr),
}

impl Server {
    /// A message on port 67 of a link in full mode.
    pub(crate) fn full(&mut self, context: &Context<'_>) -> Result<Answer, Discard> {
        let relay = self.relay(context.request)?;
        let subnet = self.subnet_for(context)?;
        let Some(kind) = context.request.kind else {
            return self.bootp(context, relay, subnet);
        };
        match kind {
            MessageType::Discover => self.discover(context, relay, subnet),
            MessageType::Request => self.request(context, relay, subnet),
            MessageType::Decline => self.decline(context, subnet),
            MessageType::Release => self.release(context),
            MessageType::Inform => self.inform(context, relay, subnet),
            _ => Err(Discard::UnexpectedMessage),
        }
    }

    fn discover(
        &mut self,
        context: &Context<'_>,
        relay: Option<Destination>,
        subnet: PoolId,
    ) -> Result<Answer, Discard> {
        let (request, unix) = (context.request, context.now.unix);
        let is_stranger = !self.book.is_known(request.mac);
        if is_stranger && !self.flood.admits(unix) {
            return Err(Discard::OfferFlood);
        }
        let mut events = vec![context.event(EventKind::Discover)];
        let wanted = request.requested;
        let Some(address) = self.book.offer(unix, subnet, &request.key, wanted) else {
            events.push(context.event(EventKind::PoolExhausted));
            return Ok(Answer::Done(Done {
                reply: None,
                events,
            }));
        };
        let boot = context.boot_file(Some(address));
        let reply = self.lease_reply(context, MessageType::Offer, subnet, address, boot.as_ref());
        let boot_file = boot.map(|boot| boot.file);
        events.push(context.event(EventKind::Offer { address, boot_file }));
        let destination = relay.unwrap_or_else(|| Destination::newcomer(request, address));
        let reply = Some(context.outgoing(destination, reply).transmit());
        Ok(Answer::Done(Done { reply, events }))
    }

    fn request(
        &mut self,
        context: &Context<'_>,
        relay: Option<Destination>,
        subnet: PoolId,
    ) -> Result<Answer, Discard> {
        let (request, unix) = (context.request, context.now.unix);
        if let Some(server) = request.server_id
            && server != context.server_id()
            && !self.is_ours(server)
        {
            self.book.withdraw_offer(&request.key);
            return Ok(Answer::Done(Done {
                reply: None,
                events: vec![context.event(EventKind::ForeignServer { server })],
            }));
        }
        let meant = self.meant(context).ok_or(Discard::NoReplyAddress)?;
        let (address, may_have) = match meant {
            Request::Selecting(address) => (
                address,
                self.book.may_select(unix, subnet, &request.key, address),
            ),
            Request::InitReboot(address) | Request::Extending(address) => (
                address,
                self.book.may_keep(unix, subnet, &request.key, address),
            ),
        };
        if !may_have {
            return Ok(self.nak(context, relay, subnet, meant, address));
        }
        if !self.book.is_known(request.mac) {
            self.flood.taken_up();
        }
        let seconds = self.lease_seconds(context, subnet);
        let hostname = request.hostname.as_deref();
        let key = &request.key;
        let changes = self
            .book
            .binding(unix, subnet, key, address, seconds, hostname);
        let boot = context.boot_file(Some(address));
        let mut reply = self.lease_reply(context, MessageType::Ack, subnet, address, boot.as_ref());
        let destination = match (relay, meant) {
            (Some(relay), _) => relay,
            (None, Request::Extending(address)) => Destination::client(address),
            (None, _) => Destination::newcomer(request, address),
        };
        if let Some(ciaddr) = request.client_address {
            reply.header().set_ciaddr(ciaddr);
        }
        let boot_file = boot.map(|boot| boot.file);
        let achieved = EventKind::Ack { address, boot_file };
        let outgoing = Some(context.outgoing(destination, reply));
        Ok(self.pending(context, address, changes, outgoing, achieved))
    }

    /// RFC 2131 table 4. A client that takes up an offer without naming the address means the one
    /// offered.
    fn meant(&self, context: &Context<'_>) -> Option<Request> {
        let request = context.request;
        let (requested, current) = (request.requested, request.client_address);
        if request.server_id.is_some() {
            let offered = || self.book.offers.of(&request.key);
            let address = requested.or(current).or_else(offered)?;
            return Some(Request::Selecting(address));
        }
        current
            .map(Request::Extending)
            .or_else(|| requested.map(Request::InitReboot))
    }

    /// We are authoritative: a client with a wrong idea of its address hears so and starts over.
    /// Broadcast, since the address it has may be wrong for its network; only a client behind a
    /// router that is no relay can be reached in no other way than at that address.
    fn nak(
        &mut self,
        context: &Context<'_>,
        relay: Option<Destination>,
        subnet: PoolId,
        meant: Request,
        address: Ipv4Addr,
    ) -> Answer {
        let mut reply = Reply::to(context.request, MessageType::Nak);
        identity(&mut reply, context.request, context.server_id());
        reply.push(DhcpOption::Message("address not available".to_owned()));
        let is_far = self.book.subnet_of(context.link.address) != Some(subnet);
        let destination = match (relay, meant) {
            (Some(relay), _) => {
                // RFC 2131 section 4.3.2: the relay must broadcast it.
                reply.header().set_flags(dhcproto::v4::Flags::from(0x8000));
                relay
            }
            (None, Request::Extending(address)) if is_far => Destination::client(address),
            (None, _) => Destination::Broadcast(crate::destination::CLIENT_PORT),
        };
        Answer::Done(Done {
            reply: Some(context.outgoing(destination, reply).transmit()),
            events: vec![context.event(EventKind::Nak { address })],
        })
    }

    /// The client found the address in use (RFC 2131 section 4.3.3). Only its holder can say so.
    fn decline(&mut self, context: &Context<'_>, subnet: PoolId) -> Result<Answer, Discard> {
        let request = context.request;
        self.check_server(context)?;
        let address = request.requested.ok_or(Discard::NotTheOwner)?;
        let is_here = self.book.subnet_of(address) == Some(subnet);
        if !is_here || !self.is_holder(context, address) {
            return Err(Discard::NotTheOwner);
        }
        let achieved = EventKind::Declined { address };
        if !self.book.may_quarantine(subnet) {
            let change = vec![LeaseChange::Remove(address)];
            return Ok(self.pending(context, address, change, None, achieved));
        }
        let lease = Lease {
            address,
            mac: request.mac,
            client_id: request.key.client_id.clone(),
            hostname: None,
            expires_unix: context.now.unix.saturating_add(QUARANTINE_SECONDS),
            state: BindingState::Declined,
        };
        let change = vec![LeaseChange::Put(lease)];
        Ok(self.pending(
            context,
            address,
            change,
            None,
            EventKind::Declined { address },
        ))
    }

    /// The client gives its address back (RFC 2131 section 4.3.4). It is kept for the client's
    /// return as long as there are others to give away.
    fn release(&mut self, context: &Context<'_>) -> Result<Answer, Discard> {
        let request = context.request;
        self.check_server(context)?;
        let address = request.client_address.ok_or(Discard::NotTheOwner)?;
        let is_from_there = context.received.source.ip() == &address;
        let lease = self.book.lease(address).cloned();
        let lease = lease.filter(|lease| lease.is_active(context.now.unix));
        let lease = lease.filter(|_| is_from_there || request.relay_agent.is_some());
        let mut lease = lease.ok_or(Discard::NotTheOwner)?;
        if !self.is_holder(context, address) {
            return Err(Discard::NotTheOwner);
        }
        lease.state = BindingState::Released;
        lease.expires_unix = context.now.unix;
        let change = vec![LeaseChange::Put(lease)];
        Ok(self.pending(
            context,
            address,
            change,
            None,
            EventKind::Released { address },
        ))
    }

    /// The client has an address from elsewhere and wants the options (RFC 2131 section 4.3.5).
    fn inform(
        &mut self,
        context: &Context<'_>,
        relay: Option<Destination>,
        subnet: PoolId,
    ) -> Result<Answer, Discard> {
        let request = context.request;
        let address = request
            .client_address
            .or(Some(*context.received.source.ip()));
        let address = address.filter(|address| self.book.subnet(subnet).is_host(*address));
        let address = address.ok_or(Discard::NoReplyAddress)?;
        let boot = context.boot_file(Some(address));
        let mut reply = context.reply(MessageType::Ack);
        reply.header().set_ciaddr(address);
        identity(&mut reply, request, context.server_id());
        self.describe(context, &mut reply, subnet, boot.as_ref());
        let destination = relay.unwrap_or(Destination::client(address));
        Ok(Answer::Done(Done {
            reply: Some(context.outgoing(destination, reply).transmit()),
            events: vec![context.event(EventKind::Inform { address })],
        }))
    }

    /// An offer or acknowledgement of an address, all contributors in order.
    fn lease_reply(
        &self,
        context: &Context<'_>,
        kind: MessageType,
        subnet: PoolId,
        address: Ipv4Addr,
        boot: Option<&BootFile>,
    ) -> Reply {
        let mut reply = context.reply(kind);
        reply.header().set_yiaddr(address);
        identity(&mut reply, context.request, context.server_id());
        lease_times(&mut reply, self.lease_seconds(context, subnet));
        self.describe(context, &mut reply, subnet, boot);
        reply
    }

    /// Network and boot options. Those that a small reply could lose come last.
    pub(crate) fn describe(
        &self,
        context: &Context<'_>,
        reply: &mut Reply,
        subnet: PoolId,
        boot: Option<&BootFile>,
    ) {
        let request = context.request;
        network(reply, self.book.subnet(subnet));
        if let Some((client, boot)) = request.boot.as_ref().zip(boot) {
            boot_options(reply, request, client, boot, true);
            no_proxy_wait(reply, client);
        } else if let Some((client, nothing)) = request.boot.as_ref().zip(context.own_disk()) {
            own_disk(reply, client, &nothing);
        }
        let hostname = self
            .book
            .reserved_name(request.mac, request.key.client_id.as_deref());
        names(reply, self.book.subnet(subnet), hostname);
        let own = context.policy.options(request.mac);
        further(reply, request, self.book.subnet(subnet), &own);
    }

    fn lease_seconds(&self, context: &Context<'_>, subnet: PoolId) -> u32 {
        let seconds = self.book.subnet(subnet).lease_time.as_secs();
        // u32::MAX would mean "for ever".
        let longest = u32::try_from(seconds).unwrap_or(u32::MAX).min(u32::MAX - 1);
        let shortest = longest.min(MIN_LEASE_SECONDS);
        context
            .request
            .lease_time
            .unwrap_or(longest)
            .clamp(shortest, longest)
    }

    fn check_server(&self, context: &Context<'_>) -> Result<(), Discard> {
        let named = context.request.server_id;
        let is_us = named.is_none_or(|id| id == context.server_id() || self.is_ours(id));
        is_us.then_some(()).ok_or(Discard::ForAnotherServer)
    }

    /// Whether the client holds the address: by a lease, or by an offer that it is about to take up.
    fn is_holder(&self, context: &Context<'_>, address: Ipv4Addr) -> bool {
        let key = &context.request.key;
        let lease = self.book.lease(address);
        let lease = lease.filter(|lease| lease.is_active(context.now.unix));
        let is_leased = lease.is_some_and(|lease| {
            let holder = crate::ClientKey {
                mac: lease.mac,
                client_id: lease.client_id.clone(),
            };
            holder.is_same_machine(key)
        });
        is_leased || self.book.offers.holder(address) == Some(key)
    }
}
