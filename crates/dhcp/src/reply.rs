//! A reply: the header and the options in the order in which they matter, and its bytes.

use std::net::Ipv4Addr;

use dhcproto::v4::{DhcpOption, Flags, HType, Message, MessageType, Opcode};
use dhcproto::{Encodable, Encoder};

use crate::request::Request;

/// Some ROMs and relays drop anything shorter (RFC 1542 section 2.1).
const MIN_LEN: usize = 300;
/// IP and UDP headers, which option 57 counts.
const PACKET_HEADERS: usize = 28;
/// What every client must take (RFC 2132 section 9.10).
const MIN_PACKET: u16 = 576;
/// More would be cut into fragments that ROMs cannot put together.
const MAX_PACKET: u16 = 1500;

/// A reply under construction, see `contributors`.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    message: Message,
    /// In the order of encoding. Those that do not fit into what the client takes are left out.
    options: Vec<DhcpOption>,
    /// Option 82, echoed last.
    relay_info: Option<Vec<u8>>,
    limit: usize,
}

impl Reply {
    /// The header that answers `request` (RFC 2131 table 3), with option 53 in front.
    pub(crate) fn to(request: &Request, kind: MessageType) -> Self {
        let packet = request.max_message_size.unwrap_or(MIN_PACKET);
        let limit = usize::from(packet.clamp(MIN_PACKET, MAX_PACKET)) - PACKET_HEADERS;
        let mut reply = Self::bare(request, limit);
        reply.push(DhcpOption::MessageType(kind));
        reply
    }

    /// The header that answers a BOOTP `request`: no option says what it is, and there is room for 64 bytes of them
    /// (RFC 1542 section 2.1).
    pub(crate) fn bootp(request: &Request) -> Self {
        Self::bare(request, MIN_LEN)
    }

    /// The header alone, of a reply that is to have at most `limit` bytes.
    fn bare(request: &Request, limit: usize) -> Self {
        let zero = Ipv4Addr::UNSPECIFIED;
        let relay = request.relay_agent.unwrap_or(zero);
        let mac = &request.mac.0;
        let mut message = Message::new_with_id(request.transaction, zero, zero, zero, relay, mac);
        message
            .set_opcode(Opcode::BootReply)
            .set_htype(HType::from(request.hardware_type))
            .set_flags(Flags::from(request.flags));
        Self {
            message,
            options: Vec::new(),
            relay_info: request.relay_info.as_ref().map(|info| info.raw.clone()),
            limit,
        }
    }

    /// The header fields, to be set by contributors.
    pub(crate) fn header(&mut self) -> &mut Message {
        &mut self.message
    }

    pub(crate) fn push(&mut self, option: DhcpOption) {
        self.options.push(option);
    }

    /// Changes the times of a lease that was already described.
    pub(crate) fn set_lease_time(&mut self, seconds: u32) {
        for option in &mut self.options {
            match option {
                DhcpOption::AddressLeaseTime(time) => *time = seconds,
                DhcpOption::Renewal(time) => *time = renewal(seconds),
                DhcpOption::Rebinding(time) => *time = rebinding(seconds),
                _ => {}
            }
        }
    }

    /// The bytes: 300 up to what the client takes, at most 1472.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(512);
        // Without options of its own the message encodes as header and magic cookie, and writing to
        // a vector cannot fail for fields that the setters have checked.
        let header = self.message.encode(&mut Encoder::new(&mut bytes));
        debug_assert!(header.is_ok(), "{header:?}");
        let relay_len = self.relay_info.as_ref().map_or(0, |info| info.len() + 2);
        let room = self.limit - relay_len - 1;
        let mut encoded = Vec::new();
        for option in &self.options {
            encoded.clear();
            let outcome = option.encode(&mut Encoder::new(&mut encoded));
            if outcome.is_ok() && bytes.len() + encoded.len() <= room {
                bytes.extend_from_slice(&encoded);
            }
        }
        if let Some(info) = &self.relay_info {
            // At most 255: RelayInfo holds no longer one.
            bytes.extend_from_slice(&[crate::option_code::RELAY_AGENT, info.len() as u8]);
            bytes.extend_from_slice(info);
        }
        bytes.push(255);
        if bytes.len() < MIN_LEN {
            bytes.resize(MIN_LEN, 0);
        }
        bytes
    }
}

/// T1 (RFC 2131 section 4.4.5).
pub(crate) fn renewal(lease_seconds: u32) -> u32 {
    lease_seconds / 2
}

/// T2 (RFC 2131 section 4.4.5).
pub(crate) fn rebinding(lease_seconds: u32) -> u32 {
    lease_seconds - lease_seconds / 8
}
