//! What is worth telling a human: the timeline, the log and the counters read the same events.

use std::net::Ipv4Addr;

use model::{ClientArch, Firmware, MacAddr};

use crate::link::LinkId;

/// Something that happened to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The client.
    pub mac: MacAddr,
    /// Where it was heard.
    pub link: LinkId,
    /// What was asking, if it boots from the network.
    pub firmware: Option<(Firmware, ClientArch)>,
    /// What happened.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// The client looks for servers (DHCPDISCOVER).
    Discover,
    /// An address was offered, with a boot file or without.
    Offer {
        /// The address.
        address: Ipv4Addr,
        /// The boot file, when the client gets one.
        boot_file: Option<String>,
    },
    /// A boot file was offered beside another server's address.
    ProxyOffer {
        /// The boot file.
        boot_file: String,
    },
    /// An address was bound and acknowledged.
    Ack {
        /// The address.
        address: Ipv4Addr,
        /// The boot file, when the client gets one.
        boot_file: Option<String>,
    },
    /// The boot server (port 4011) named a boot file.
    BootServerAck {
        /// The boot file.
        boot_file: String,
    },
    /// The client was told that it cannot have an address and must start over.
    Nak {
        /// The address it wanted.
        address: Ipv4Addr,
    },
    /// The client asked for options only (DHCPINFORM).
    Inform {
        /// The address it has.
        address: Ipv4Addr,
    },
    /// The client gave its address back.
    Released {
        /// The address.
        address: Ipv4Addr,
    },
    /// The client found its address in use by somebody else; nobody gets it for a while. Worth a
    /// warning: a host with a fixed address inside the pool.
    Declined {
        /// The address.
        address: Ipv4Addr,
    },
    /// No address is left in the client's subnet. Worth a warning.
    PoolExhausted,
    /// The client chose a server that is not us. Worth a warning.
    ForeignServer {
        /// The other server's identifier (option 54).
        server: Ipv4Addr,
    },
    /// The lease could not be stored, so it was not acknowledged, or only for as long as what is
    /// stored allows. Worth an alarm.
    NotStored {
        /// The address.
        address: Ipv4Addr,
    },
}

impl EventKind {
    /// A stable name in snake case, fit for a counter's label.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Discover => "discover",
            Self::Offer { .. } => "offer",
            Self::ProxyOffer { .. } => "proxy_offer",
            Self::Ack { .. } => "ack",
            Self::BootServerAck { .. } => "boot_server_ack",
            Self::Nak { .. } => "nak",
            Self::Inform { .. } => "inform",
            Self::Released { .. } => "released",
            Self::Declined { .. } => "declined",
            Self::PoolExhausted => "pool_exhausted",
            Self::ForeignServer { .. } => "foreign_server",
            Self::NotStored { .. } => "not_stored",
        }
    }
}
