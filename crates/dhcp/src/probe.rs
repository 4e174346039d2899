//! Looking for other DHCP servers: a question to ask, and how to read what servers say.

use std::net::Ipv4Addr;

use dhcproto::v4::borrowed::Message as Header;
use dhcproto::v4::{DhcpOption, Flags, Message, MessageType, OptionCode};
use dhcproto::{Encodable, Encoder};
use model::MacAddr;

use crate::option_code;
use crate::options::Options;
use crate::request::{HEADER_LEN, MAGIC_COOKIE};

const BOOT_REPLY: u8 = 2;

/// A DHCPDISCOVER, to be broadcast from port 68 (or 67) to port 67 of a link. Asks for a broadcast
/// answer, so that no address is needed to hear it, and takes up no offer. `transaction` should be
/// random: [`ServerReply::transaction`] tells answers to it from others.
pub fn discover(transaction: u32, mac: MacAddr) -> Vec<u8> {
    let zero = Ipv4Addr::UNSPECIFIED;
    let mut message = Message::new_with_id(transaction, zero, zero, zero, zero, &mac.0);
    message.set_flags(Flags::from(0x8000));
    let wanted = [
        OptionCode::SubnetMask,
        OptionCode::Router,
        OptionCode::DomainNameServer,
    ];
    let options = message.opts_mut();
    options.insert(DhcpOption::MessageType(MessageType::Discover));
    options.insert(DhcpOption::ParameterRequestList(wanted.to_vec()));
    let mut bytes = Vec::with_capacity(300);
    let outcome = message.encode(&mut Encoder::new(&mut bytes));
    debug_assert!(outcome.is_ok(), "writing to a vector: {outcome:?}");
    bytes.resize(bytes.len().max(300), 0);
    bytes
}

/// What kind of thing a server said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServerReplyKind {
    /// DHCPOFFER.
    Offer,
    /// DHCPACK.
    Ack,
    /// DHCPNAK.
    Nak,
}

/// A server's message seen on the wire: an answer to [`discover`], or somebody else's traffic that
/// gives a foreign server away. Whether `server` is one of ours is for the caller to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerReply {
    /// What it said.
    pub kind: ServerReplyKind,
    /// `xid`.
    pub transaction: u32,
    /// Option 54, else `siaddr`; `None` when it gives neither.
    pub server: Option<Ipv4Addr>,
    /// `chaddr`: to whom it said so; `None` unless that is an Ethernet address.
    pub client: Option<MacAddr>,
    /// `yiaddr`; `None` when it gave no address: a proxy server, or an answer to DHCPINFORM.
    pub address: Option<Ipv4Addr>,
    /// `giaddr`: it came through this relay.
    pub relay_agent: Option<Ipv4Addr>,
    /// Option 67, else `file`, as far as it is printable ASCII; `None` when it named no boot file.
    pub boot_file: Option<String>,
}

impl ServerReply {
    /// Reads a datagram that came to port 68 or 67; `None` when it is no DHCP server's message.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let header = Header::new(bytes).ok()?;
        if bytes.get(HEADER_LEN..HEADER_LEN + 4)? != MAGIC_COOKIE || *bytes.first()? != BOOT_REPLY {
            return None;
        }
        let file = bytes.get(108..HEADER_LEN)?;
        let options = Options::decode(bytes.get(HEADER_LEN + 4..)?, file, bytes.get(44..108)?);
        let kind = match MessageType::from(options.byte(option_code::MESSAGE_TYPE)?) {
            MessageType::Offer => ServerReplyKind::Offer,
            MessageType::Ack => ServerReplyKind::Ack,
            MessageType::Nak => ServerReplyKind::Nak,
            _ => return None,
        };
        let given = |address: Ipv4Addr| (!address.is_unspecified()).then_some(address);
        let octets = bytes.get(28..34).filter(|_| header.hlen() == 6)?;
        Some(Self {
            kind,
            transaction: header.xid(),
            server: options
                .address(option_code::SERVER_ID)
                .or(given(header.siaddr())),
            client: octets.try_into().ok().map(MacAddr),
            address: given(header.yiaddr()),
            relay_agent: given(header.giaddr()),
            boot_file: boot_file(&options, file),
        })
    }

    /// Whether this server gives out addresses: full mode must not be started beside it.
    pub fn gives_addresses(&self) -> bool {
        self.kind == ServerReplyKind::Nak || self.address.is_some()
    }
}

/// A `file` that holds options (option 52) names no file.
fn boot_file(options: &Options, file: &[u8]) -> Option<String> {
    let holds_options = options.byte(option_code::OVERLOAD).unwrap_or(0) & 1 != 0;
    let header = Some(file).filter(|_| !holds_options);
    let bytes = options.bytes(option_code::BOOT_FILE).or(header)?;
    let name = bytes.split(|byte| *byte == 0).next()?;
    let printable = name.iter().filter(|byte| byte.is_ascii_graphic());
    let name: String = printable.map(|byte| char::from(*byte)).collect();
    (!name.is_empty()).then_some(name)
}
