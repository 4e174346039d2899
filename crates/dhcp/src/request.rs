//! A client's message, decoded: the step after which nothing can be out of bounds.

use std::net::Ipv4Addr;

use dhcproto::v4::MessageType;
use dhcproto::v4::borrowed::Message;
use model::{MacAddr, Uuid};

use crate::client_id::ClientKey;
use crate::discard::Discard;
use crate::option_code;
use crate::options::Options;
use crate::pxe::BootClient;
use crate::relay::RelayInfo;

/// The fixed header without the magic cookie (RFC 2131 section 2).
pub(crate) const HEADER_LEN: usize = 236;
/// RFC 2131 section 3.
pub(crate) const MAGIC_COOKIE: [u8; 4] = [99, 130, 83, 99];
const BOOT_REQUEST: u8 = 1;
/// With 64 bytes behind the header (RFC 951 section 3).
const BOOTP_LEN: usize = 300;
/// Ethernet, and IEEE 802 networks that some old ROMs claim to be (RFC 1700 "Number Hardware Type").
const ETHERNET_LIKE: [u8; 2] = [1, 6];

/// A client's DHCP message: the header in English (RFC 2131 figure 1) and the options we know.
///
/// ```text
///  0      op  htype  hlen  hops        28  chaddr (16)
///  4      xid                          44  sname  (64)
///  8      secs       flags            108  file  (128)
/// 12      ciaddr     16  yiaddr       236  magic cookie
/// 20      siaddr     24  giaddr       240  options
/// ```
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Option 53; `None`: BOOTP (RFC 1534 section 2).
    pub(crate) kind: Option<MessageType>,
    /// `htype`, 1 or 6.
    pub(crate) hardware_type: u8,
    /// `xid`.
    pub(crate) transaction: u32,
    /// `flags`, of which bit 15 is "broadcast".
    pub(crate) flags: u16,
    /// `ciaddr`: the address the client has and answers for; `None` for 0.0.0.0.
    pub(crate) client_address: Option<Ipv4Addr>,
    /// `giaddr`; `None` for 0.0.0.0.
    pub(crate) relay_agent: Option<Ipv4Addr>,
    /// `chaddr` cut to `hlen`.
    pub(crate) mac: MacAddr,
    /// Option 82.
    pub(crate) relay_info: Option<RelayInfo>,
    /// Who the client is in the lease book.
    pub(crate) key: ClientKey,
    /// Option 97: the number of the mainboard, of whatever asks.
    pub(crate) uuid: Option<Uuid>,
    /// Option 61 as it came, to be echoed (RFC 6842).
    pub(crate) client_id: Option<Vec<u8>>,
    /// What boots, if anything does.
    pub(crate) boot: Option<BootClient>,
    /// Option 50.
    pub(crate) requested: Option<Ipv4Addr>,
    /// Option 54.
    pub(crate) server_id: Option<Ipv4Addr>,
    /// Option 51, seconds.
    pub(crate) lease_time: Option<u32>,
    /// Option 57 as sent.
    pub(crate) max_message_size: Option<u16>,
    /// Option 12, made a DNS label.
    pub(crate) hostname: Option<String>,
    /// Option 55: what the client asks for.
    pub(crate) wanted: Option<Vec<u8>>,
}

impl Request {
    /// Checks the header by ourselves first (the library's `chaddr` slices by a length from the
    /// packet), then reads the options.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Discard> {
        // A BOOTP client of Linux (klibc's) sends the header alone.
        let is_bare = bytes.len() == HEADER_LEN;
        let whole = is_bare.then(|| [bytes, &MAGIC_COOKIE].concat());
        let bytes = whole.as_deref().unwrap_or(bytes);
        let cookie = bytes.get(HEADER_LEN..HEADER_LEN + 4);
        let cookie = cookie.ok_or(Discard::TooShort)?;
        let header = Message::new(bytes).map_err(|_| Discard::TooShort)?;
        if cookie != MAGIC_COOKIE {
            return Err(Discard::BadCookie);
        }
        if bytes.first() != Some(&BOOT_REQUEST) {
            return Err(Discard::NotARequest);
        }
        let hardware_type = *bytes.get(1).ok_or(Discard::TooShort)?;
        let mac = station(hardware_type, header.hlen(), bytes)?;
        let options = Options::decode(
            bytes.get(HEADER_LEN + 4..).unwrap_or_default(),
            bytes.get(108..HEADER_LEN).unwrap_or_default(),
            bytes.get(44..108).unwrap_or_default(),
        );
        let kind = match options.bytes(option_code::MESSAGE_TYPE) {
            Some(&[kind]) => Some(MessageType::from(kind)),
            None if is_bare || bytes.len() >= BOOTP_LEN => None,
            _ => return Err(Discard::NoMessageType),
        };
        let boot = BootClient::recognise(&options);
        let client_id = options.bytes(option_code::CLIENT_ID).map(<[u8]>::to_vec);
        let relay_agent = given(header.giaddr());
        let relay_info = options
            .bytes(option_code::RELAY_AGENT)
            .and_then(RelayInfo::decode)
            .map(|info| match relay_agent {
                Some(_) => info,
                None => info.of_a_switch(),
            });
        Ok(Self {
            kind,
            hardware_type,
            transaction: header.xid(),
            flags: u16::from(header.flags()),
            client_address: given(header.ciaddr()),
            relay_agent,
            mac,
            relay_info,
            key: ClientKey::new(mac, client_id.as_deref(), boot.is_some()),
            uuid: crate::pxe::uuid(&options).map(Uuid),
            client_id,
            boot,
            requested: options.address(option_code::REQUESTED_ADDRESS),
            server_id: options.address(option_code::SERVER_ID),
            lease_time: options
                .array(option_code::LEASE_TIME)
                .map(u32::from_be_bytes),
            max_message_size: options
                .array(option_code::MAX_MESSAGE_SIZE)
                .map(u16::from_be_bytes),
            hostname: options
                .bytes(option_code::HOSTNAME)
                .and_then(crate::hostname::label),
            wanted: options
                .bytes(option_code::PARAMETER_LIST)
                .map(<[u8]>::to_vec),
        })
    }

    /// Whether option 55 asks for this option.
    pub(crate) fn wants(&self, code: u8) -> bool {
        self.wanted
            .as_ref()
            .is_some_and(|wanted| wanted.contains(&code))
    }
}

/// The client's hardware address, if it is one that a station can have.
fn station(hardware_type: u8, hlen: u8, bytes: &[u8]) -> Result<MacAddr, Discard> {
    if hlen != 6 || !ETHERNET_LIKE.contains(&hardware_type) {
        return Err(Discard::BadHardwareAddress);
    }
    let octets = bytes.get(28..34).and_then(|octets| octets.try_into().ok());
    let mac = MacAddr(octets.ok_or(Discard::TooShort)?);
    if mac.is_multicast() || mac.0 == [0; 6] {
        return Err(Discard::BadHardwareAddress);
    }
    Ok(mac)
}

fn given(address: Ipv4Addr) -> Option<Ipv4Addr> {
    (!address.is_unspecified()).then_some(address)
}
