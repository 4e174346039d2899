//! Numbers of the options we read (RFC 2132 and the IANA registry of BOOTP options).

pub(crate) const HOSTNAME: u8 = 12;
pub(crate) const VENDOR_OPTIONS: u8 = 43;
pub(crate) const REQUESTED_ADDRESS: u8 = 50;
pub(crate) const LEASE_TIME: u8 = 51;
pub(crate) const OVERLOAD: u8 = 52;
pub(crate) const MESSAGE_TYPE: u8 = 53;
pub(crate) const SERVER_ID: u8 = 54;
pub(crate) const PARAMETER_LIST: u8 = 55;
pub(crate) const MAX_MESSAGE_SIZE: u8 = 57;
pub(crate) const VENDOR_CLASS: u8 = 60;
pub(crate) const CLIENT_ID: u8 = 61;
pub(crate) const TFTP_SERVER_NAME: u8 = 66;
pub(crate) const BOOT_FILE: u8 = 67;
/// RFC 3004, and iPXE's own way of writing it.
pub(crate) const USER_CLASS: u8 = 77;
/// RFC 3046.
pub(crate) const RELAY_AGENT: u8 = 82;
/// RFC 3442.
pub(crate) const CLASSLESS_ROUTES: u8 = 121;
/// RFC 4578 section 2.1.
pub(crate) const CLIENT_ARCH: u8 = 93;
/// RFC 4578 section 2.3.
pub(crate) const MACHINE_ID: u8 = 97;
/// iPXE's encapsulated options (etherboot's registry).
pub(crate) const IPXE: u8 = 175;
