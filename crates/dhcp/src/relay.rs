//! The relay agent's option: read, judged, echoed.

use std::net::Ipv4Addr;

/// RFC 3527: the subnet that the client is on, when it is not `giaddr`'s.
const LINK_SELECTION: u8 = 5;
/// RFC 5107: the address that the client shall take us for.
const SERVER_OVERRIDE: u8 = 11;

/// Relay Agent Information, option 82 (RFC 3046), when it is well formed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RelayInfo {
    /// The option's bytes, echoed unchanged and last (section 2.2).
    pub(crate) raw: Vec<u8>,
    /// The client's subnet (RFC 3527).
    pub(crate) link_selection: Option<Ipv4Addr>,
    /// What goes into option 54 (RFC 5107).
    pub(crate) server_override: Option<Ipv4Addr>,
}

impl RelayInfo {
    /// `None` for anything that is not a list of sub-options that fill the option: an empty option,
    /// a length past the end, a trailing byte, the code 0 that no registry assigns.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let list = sub_options(bytes)?;
        if list.is_empty() || bytes.len() > 255 || list.iter().any(|(code, _)| *code == 0) {
            return None;
        }
        let address = |wanted: u8| {
            let (_, value) = list.iter().find(|(code, _)| *code == wanted)?;
            let octets: [u8; 4] = (*value).try_into().ok()?;
            let address = Ipv4Addr::from(octets);
            (!address.is_unspecified()).then_some(address)
        };
        Some(Self {
            raw: bytes.to_vec(),
            link_selection: address(LINK_SELECTION),
            server_override: address(SERVER_OVERRIDE),
        })
    }

    /// What came without a relay's address (`giaddr` 0): a switch put it in, which takes it from the answer, or the
    /// client made it up. It is echoed (section 2.2: "in all replies"), and says nothing else.
    pub(crate) fn of_a_switch(self) -> Self {
        Self {
            raw: self.raw,
            link_selection: None,
            server_override: None,
        }
    }
}

/// Code, length, bytes, until the option is used up (RFC 3046 section 2.0: neither pads nor an end).
/// `None` when a length points past the end or a code stands alone.
fn sub_options(bytes: &[u8]) -> Option<Vec<(u8, &[u8])>> {
    let mut found = Vec::new();
    let mut rest = bytes;
    while let [code, len, tail @ ..] = rest {
        let (value, next) = tail.split_at_checked(usize::from(*len))?;
        found.push((*code, value));
        rest = next;
    }
    rest.is_empty().then_some(found)
}
