//! Beside another DHCP server: the proxy server on port 67 and the boot server on port 4011
//! (PXE 2.1 sections 2.2 and 2.4).

use std::net::Ipv4Addr;

use dhcproto::v4::MessageType;

use crate::answer::{Answer, Done};
use crate::context::Context;
use crate::contributors::{boot_file, boot_identity, boot_item, boot_options, identity};
use crate::destination::{CLIENT_PORT, Destination, is_host};
use crate::discard::Discard;
use crate::event::EventKind;
use crate::server::Server;

impl Server {
    /// A message on port 67 of a link in proxy mode. Whoever does not boot from us hears nothing.
    pub(crate) fn proxy(&mut self, context: &Context<'_>) -> Result<Answer, Discard> {
        let request = context.request;
        let relay = self.relay(request)?;
        let asked = request.kind.ok_or(Discard::NoMessageType)?;
        let client = request.boot.as_ref().ok_or(Discard::NotABootClient)?;
        let (kind, destination) = match asked {
            MessageType::Discover => {
                let everybody = Destination::Broadcast(CLIENT_PORT);
                (MessageType::Offer, relay.unwrap_or(everybody))
            }
            MessageType::Inform => {
                let address = request.client_address.filter(|address| is_host(*address));
                let address = address.filter(|address| self.is_near(context, *address));
                let address = address.ok_or(Discard::NoReplyAddress)?;
                (
                    MessageType::Ack,
                    relay.unwrap_or(Destination::client(address)),
                )
            }
            MessageType::Request => return Err(Discard::ForAnotherServer),
            _ => return Err(Discard::UnexpectedMessage),
        };
        let boot = context
            .boot_file(request.client_address)
            .ok_or(Discard::NothingToBoot)?;
        let mut reply = context.reply(kind);
        if let (MessageType::Ack, Some(ciaddr)) = (kind, request.client_address) {
            reply.header().set_ciaddr(ciaddr);
        }
        identity(&mut reply, request, context.server_id());
        boot_options(&mut reply, request, client, &boot, false);
        let boot_file = boot.file;
        let told = match kind {
            MessageType::Offer => vec![EventKind::Discover, EventKind::ProxyOffer { boot_file }],
            _ => vec![EventKind::BootServerAck { boot_file }],
        };
        Ok(Answer::Done(Done {
            reply: Some(context.outgoing(destination, reply).transmit()),
            events: told.into_iter().map(|kind| context.event(kind)).collect(),
        }))
    }

    /// A message on port 4011, in either mode. The answer goes to the source address and port: EDK2
    /// listens on 4011, ROMs on 68.
    pub(crate) fn boot_server(&mut self, context: &Context<'_>) -> Result<Answer, Discard> {
        let request = context.request;
        let asked = request.kind.ok_or(Discard::NoMessageType)?;
        let client = request.boot.as_ref().ok_or(Discard::NotABootClient)?;
        if !matches!(asked, MessageType::Request | MessageType::Inform) {
            return Err(Discard::UnexpectedMessage);
        }
        if request.server_id.is_some_and(|id| !self.is_ours(id)) {
            return Err(Discard::ForAnotherServer);
        }
        let source = context.received.source;
        let destination = match source.ip() {
            &Ipv4Addr::UNSPECIFIED => Destination::Broadcast(source.port()),
            address if is_host(*address) => Destination::Unicast(source),
            _ => return Err(Discard::NoReplyAddress),
        };
        if source.port() == 0 || source.ip() == &context.link.address {
            return Err(Discard::NoReplyAddress);
        }
        let boot = context
            .boot_file(request.client_address)
            .ok_or(Discard::NothingToBoot)?;
        let mut reply = context.reply(MessageType::Ack);
        if let Some(ciaddr) = request.client_address {
            reply.header().set_ciaddr(ciaddr);
        }
        identity(&mut reply, request, context.server_id());
        boot_identity(&mut reply, client);
        boot_item(&mut reply, client);
        boot_file(&mut reply, request, client, &boot);
        let told = EventKind::BootServerAck {
            boot_file: boot.file,
        };
        Ok(Answer::Done(Done {
            reply: Some(context.outgoing(destination, reply).transmit()),
            events: vec![context.event(told)],
        }))
    }

    /// Whether an address is on the link's own network or in a configured subnet.
    fn is_near(&self, context: &Context<'_>, address: Ipv4Addr) -> bool {
        let shift = 32 - u32::from(context.link.prefix_len.min(32));
        let network = |address: Ipv4Addr| u32::from(address).checked_shr(shift).unwrap_or(0);
        network(address) == network(context.link.address) || self.book.subnet_of(address).is_some()
    }
}
