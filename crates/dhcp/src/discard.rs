//! Why a packet was ignored: a closed list, counted by the shell.

use std::fmt;

/// A reason to ignore a packet. Bytes from the network are never an error of ours, so a discard is
/// counted (by [`Discard::as_str`]) and told at debug level, never as an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Discard {
    /// Shorter than the fixed header and the magic cookie: 240 bytes (RFC 2131 section 2).
    TooShort,
    /// The four bytes after the header are not 99.130.83.99 (RFC 2131 section 3).
    BadCookie,
    /// `op` is not BOOTREQUEST: a server's message on the servers' port.
    NotARequest,
    /// `htype` or `hlen` is not Ethernet's, or `chaddr` is no station's address.
    BadHardwareAddress,
    /// Option 53 is not one byte long; or there is none, in a message too short for BOOTP or in a place where BOOTP has
    /// no business.
    NoMessageType,
    /// A BOOTP client that nothing is reserved for.
    NothingReserved,
    /// A message type that a server does not answer (its own kind, lease queries, unknown ones).
    UnexpectedMessage,
    /// The shell named a link that the configuration does not have.
    UnknownLink,
    /// `giaddr` is no relay of a configured subnet, or names ourselves: never reflect to it.
    UnknownRelay,
    /// No configured subnet holds this link or client.
    NoSubnet,
    /// Nothing in the packet says where an answer could go.
    NoReplyAddress,
    /// Option 54 names another server.
    ForAnotherServer,
    /// RELEASE or DECLINE of an address that this client does not hold.
    NotTheOwner,
    /// Proxy mode: not PXE, HTTP Boot or iPXE, so another server's business.
    NotABootClient,
    /// Proxy mode: the policy has no boot file for this client.
    NothingToBoot,
    /// The policy does not want this client answered at all.
    Refused,
    /// Too many offers that nobody takes up: an address flood. Known clients are still answered.
    OfferFlood,
}

impl Discard {
    /// Every reason, for a metrics page that shows zeros too.
    pub const ALL: [Self; 17] = [
        Self::TooShort,
        Self::BadCookie,
        Self::NotARequest,
        Self::BadHardwareAddress,
        Self::NoMessageType,
        Self::NothingReserved,
        Self::UnexpectedMessage,
        Self::UnknownLink,
        Self::UnknownRelay,
        Self::NoSubnet,
        Self::NoReplyAddress,
        Self::ForAnotherServer,
        Self::NotTheOwner,
        Self::NotABootClient,
        Self::NothingToBoot,
        Self::Refused,
        Self::OfferFlood,
    ];

    /// A stable name in snake case, fit for a counter's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooShort => "too_short",
            Self::BadCookie => "bad_cookie",
            Self::NotARequest => "not_a_request",
            Self::BadHardwareAddress => "bad_hardware_address",
            Self::NoMessageType => "no_message_type",
            Self::NothingReserved => "nothing_reserved",
            Self::UnexpectedMessage => "unexpected_message",
            Self::UnknownLink => "unknown_link",
            Self::UnknownRelay => "unknown_relay",
            Self::NoSubnet => "no_subnet",
            Self::NoReplyAddress => "no_reply_address",
            Self::ForAnotherServer => "for_another_server",
            Self::NotTheOwner => "not_the_owner",
            Self::NotABootClient => "not_a_boot_client",
            Self::NothingToBoot => "nothing_to_boot",
            Self::Refused => "refused",
            Self::OfferFlood => "offer_flood",
        }
    }
}

impl fmt::Display for Discard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
