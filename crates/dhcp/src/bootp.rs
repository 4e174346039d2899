//! BOOTP (RFC 951, RFC 1534): machines that know of no leases.

use crate::answer::{Answer, Done};
use crate::book::PoolId;
use crate::context::Context;
use crate::destination::{CLIENT_PORT, Destination, is_host};
use crate::discard::Discard;
use crate::event::EventKind;
use crate::reply::Reply;
use crate::server::Server;

impl Server {
    /// A request without a message type, on port 67 of a link in full mode. Only who has a reservation is answered: of
    /// an address from the pool nobody would ever say that it is free again. So there is nothing to store.
    pub(crate) fn bootp(
        &mut self,
        context: &Context<'_>,
        relay: Option<Destination>,
        subnet: PoolId,
    ) -> Result<Answer, Discard> {
        let request = context.request;
        let reserved = self.book.reserved_address(subnet, &request.key);
        let address = reserved.ok_or(Discard::NothingReserved)?;
        if self
            .book
            .refusal(context.now.unix, &request.key, address)
            .is_some()
        {
            return Err(Discard::NothingReserved);
        }
        let mut reply = Reply::bootp(request);
        reply.header().set_siaddr(context.link.address);
        reply.header().set_yiaddr(address);
        self.describe(context, &mut reply, subnet, None);
        // RFC 1542 section 4.1.2.
        let current = request.client_address.filter(|address| is_host(*address));
        let destination = match (relay, current) {
            (Some(relay), _) => relay,
            (None, Some(current)) => Destination::client(current),
            (None, None) => Destination::Broadcast(CLIENT_PORT),
        };
        let answered = EventKind::Ack {
            address,
            boot_file: None,
        };
        Ok(Answer::Done(Done {
            reply: Some(context.outgoing(destination, reply).transmit()),
            events: vec![context.event(answered)],
        }))
    }
}
