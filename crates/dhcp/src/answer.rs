//! What the server decided, in the order in which the shell must do it.

use std::net::Ipv4Addr;

use crate::destination::Destination;
use crate::event::Event;
use crate::lease::LeaseChange;
use crate::link::LinkId;
use crate::reply::Reply;

/// A message to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Out of this link.
    pub link: LinkId,
    /// From this port, the one the client's message came to: 67 or 4011.
    pub from_port: u16,
    /// To there.
    pub destination: Destination,
    /// 300 to 1472 bytes.
    pub bytes: Vec<u8>,
}

/// What is left to do once nothing has to be stored any more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Done {
    /// Send this, if anything.
    pub reply: Option<Transmit>,
    /// Then tell these.
    pub events: Vec<Event>,
}

/// The server's decision about one packet.
///
/// RFC 2131 section 3.1 (step 4) wants a binding on stable storage before the acknowledgement
/// leaves. So the acknowledgement cannot be had before: it is inside [`Pending`], and comes out of
/// [`crate::Server::commit`] or [`crate::Server::abort`] only.
#[derive(Debug)]
#[must_use]
pub enum Answer {
    /// Nothing to store.
    Done(Done),
    /// Store [`Pending::changes`] first.
    Pending(Pending),
}

/// A decision that waits for the disk. Several may wait at once (one fsync serves them all); store
/// and resolve them in the order in which they came. One that is never resolved leaves its address
/// held in memory until its lease would have ended, and nothing on the network.
#[derive(Debug)]
#[must_use]
pub struct Pending {
    pub(crate) changes: Vec<LeaseChange>,
    pub(crate) address: Ipv4Addr,
    pub(crate) unix: u64,
    /// Boxed: a decision is moved about more often than it is encoded.
    pub(crate) reply: Option<Box<Outgoing>>,
    /// Told whether or not storing works.
    pub(crate) happened: Vec<Event>,
    /// Told when it worked.
    pub(crate) achieved: Event,
}

impl Pending {
    /// What must be on stable storage before [`crate::Server::commit`] is called: all of it, in this
    /// order, in one transaction.
    pub fn changes(&self) -> &[LeaseChange] {
        &self.changes
    }
}

/// A reply not yet in bytes.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) link: LinkId,
    pub(crate) from_port: u16,
    pub(crate) destination: Destination,
    pub(crate) reply: Reply,
}

impl Outgoing {
    pub(crate) fn transmit(&self) -> Transmit {
        Transmit {
            link: self.link,
            from_port: self.from_port,
            destination: self.destination,
            bytes: self.reply.encode(),
        }
    }
}
