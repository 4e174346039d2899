//! What a packet meets: the parts that stay as they are while it is answered.

use std::net::Ipv4Addr;

use dhcproto::v4::MessageType;

use crate::answer::Outgoing;
use crate::destination::Destination;
use crate::event::{Event, EventKind};
use crate::link::Link;
use crate::policy::{BootFile, BootPolicy};
use crate::reply::Reply;
use crate::request::Request;
use crate::server::{Now, Received};

/// The longest boot file name that fits an option with a NUL.
const MAX_BOOT_FILE: usize = 254;

/// One packet, when and where it came, and who says what boots.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) now: Now,
    pub(crate) link: &'a Link,
    pub(crate) received: &'a Received<'a>,
    pub(crate) request: &'a Request,
    pub(crate) policy: &'a dyn BootPolicy,
}

impl Context<'_> {
    /// What we call ourselves in option 54: our address, unless the relay overrides it (RFC 5107).
    pub(crate) fn server_id(&self) -> Ipv4Addr {
        let info = self.request.relay_info.as_ref();
        info.and_then(|info| info.server_override)
            .unwrap_or(self.link.address)
    }

    pub(crate) fn event(&self, kind: EventKind) -> Event {
        Event {
            mac: self.request.mac,
            link: self.link.id,
            firmware: self
                .request
                .boot
                .as_ref()
                .map(|client| (client.firmware, client.arch)),
            kind,
        }
    }

    pub(crate) fn outgoing(&self, destination: Destination, reply: Reply) -> Outgoing {
        Outgoing {
            link: self.link.id,
            from_port: self.received.to_port,
            destination,
            reply,
        }
    }

    pub(crate) fn reply(&self, kind: MessageType) -> Reply {
        let mut reply = Reply::to(self.request, kind);
        reply.header().set_siaddr(self.link.address);
        reply
    }

    fn discovers(&self) -> bool {
        self.request.kind == Some(MessageType::Discover)
    }

    /// A URL with nothing behind it, if this client is to be told to go on to its own disk.
    pub(crate) fn own_disk(&self) -> Option<String> {
        let client = self.request.boot.as_ref()?;
        let info = client.info(self.request.mac, self.link.id, None, self.discovers());
        self.policy.own_disk(&info, self.link.address)
    }

    /// The boot file for this client, if the policy has one that fits and this architecture boots.
    pub(crate) fn boot_file(&self, address: Option<Ipv4Addr>) -> Option<BootFile> {
        let client = self
            .request
            .boot
            .as_ref()
            .filter(|client| client.is_bootable())?;
        let info = client.info(self.request.mac, self.link.id, address, self.discovers());
        let boot = self.policy.boot_file(&info, self.link.address)?;
        let fits =
            !boot.file.is_empty() && boot.file.len() <= MAX_BOOT_FILE && !boot.file.contains('\0');
        fits.then_some(boot)
    }
}
