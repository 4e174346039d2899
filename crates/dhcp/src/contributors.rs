//! What a reply is made of: one small function per concern, each adding its options.

use std::net::Ipv4Addr;

use dhcproto::v4::{DhcpOption, OptionCode, UnknownOption};
use model::Firmware;

use crate::link::Subnet;
use crate::option_code;
use crate::policy::{BootFile, Telling};
use crate::pxe::{BOOT_ITEM, BootClient};
use crate::reply::{Reply, rebinding, renewal};
use crate::request::Request;

/// PXE 2.1 table 2-1, option 43 sub-option 6 with bit 3: boot the named file, with no discovery, no
/// menu and no prompt.
const DISCOVERY_CONTROL: [u8; 3] = [6, 1, 8];
/// PXE 2.1 table 2-1: no discovery by broadcast or multicast (6), a menu of one item of type 0 (9), taken
/// after no time (10).
const LOCAL_BOOT: [u8; 26] = *b"\x06\x01\x03\x09\x0d\0\0\x0alocal disk\x0a\x05\0disk\xff";
/// iPXE's option 175 sub-option 176, "no-pxedhcp": do not wait for a proxy server's offer.
const NO_PXEDHCP: [u8; 3] = [176, 1, 1];
/// `file` is 128 bytes, with a NUL at the end.
const MAX_HEADER_FILE: usize = 127;

/// Who answers whom: option 54, and option 61 as it came (RFC 6842).
pub(crate) fn identity(reply: &mut Reply, request: &Request, server: Ipv4Addr) {
    reply.push(DhcpOption::ServerIdentifier(server));
    if let Some(id) = request.client_id.as_ref().filter(|id| id.len() <= 255) {
        reply.push(DhcpOption::ClientIdentifier(id.clone()));
    }
}

/// Options 51, 58, 59.
pub(crate) fn lease_times(reply: &mut Reply, seconds: u32) {
    reply.push(DhcpOption::AddressLeaseTime(seconds));
    reply.push(DhcpOption::Renewal(renewal(seconds)));
    reply.push(DhcpOption::Rebinding(rebinding(seconds)));
}

/// What a client must know to use its address: options 1, 3, 6.
pub(crate) fn network(reply: &mut Reply, subnet: &Subnet) {
    reply.push(DhcpOption::SubnetMask(subnet.netmask()));
    if let Some(router) = subnet.router {
        reply.push(DhcpOption::Router(vec![router]));
    }
    if !subnet.dns.is_empty() {
        let few = subnet.dns.iter().copied().take(8).collect();
        reply.push(DhcpOption::DomainNameServer(few));
    }
}

/// What is good to know besides: options 12, 15, 28.
pub(crate) fn names(reply: &mut Reply, subnet: &Subnet, hostname: Option<&str>) {
    if let Some(name) = hostname.filter(|name| name.len() <= 255) {
        reply.push(DhcpOption::Hostname(name.to_owned()));
    }
    if let Some(domain) = subnet.domain.as_ref().filter(|domain| domain.len() <= 255) {
        reply.push(DhcpOption::DomainName(domain.clone()));
    }
    if subnet.prefix_len < 31 {
        reply.push(DhcpOption::BroadcastAddr(subnet.broadcast()));
    }
}

/// What the operator adds, for a client that asks for it or does not say what it wants; `own` is for this client, and
/// wins over what is for the subnet. Who is told routes of its own takes no notice of option 3 (RFC 3442), so the
/// router is one of them, unless they name another.
pub(crate) fn further(
    reply: &mut Reply,
    request: &Request,
    subnet: &Subnet,
    own: &[(u8, Vec<u8>)],
) {
    let is_own = |code: &u8| own.iter().any(|(other, _)| other == code);
    let of_subnet = subnet.options.iter().filter(|(code, _)| !is_own(code));
    for (code, bytes) in own.iter().chain(of_subnet) {
        if request.wanted.is_some() && !request.wants(*code) {
            continue;
        }
        let mut bytes = bytes.clone();
        if let (&option_code::CLASSLESS_ROUTES, Some(router)) = (code, subnet.router)
            && !has_default_route(&bytes)
        {
            bytes.push(0);
            bytes.extend_from_slice(&router.octets());
        }
        if bytes.len() <= 255 {
            let option = UnknownOption::new(OptionCode::from(*code), bytes);
            reply.push(DhcpOption::Unknown(option));
        }
    }
}

/// Whether one of the routes (RFC 3442: length of the prefix, its bytes that count, router) leads everywhere.
fn has_default_route(mut routes: &[u8]) -> bool {
    while let [length, rest @ ..] = routes {
        if *length == 0 {
            return true;
        }
        routes = rest
            .get(usize::from(length.div_ceil(8)) + 4..)
            .unwrap_or_default();
    }
    false
}

/// What a booting client is told on port 67; `leases` is whether the address is ours too.
pub(crate) fn boot_options(
    reply: &mut Reply,
    request: &Request,
    client: &BootClient,
    boot: &BootFile,
    leases: bool,
) {
    let telling = match client.is_pxe() {
        true => boot.telling,
        false => Telling::Whole,
    };
    if telling != Telling::Header || !leases {
        boot_identity(reply, client);
    }
    match telling {
        Telling::Whole => {
            vendor_options(reply, client);
            boot_file(reply, request, client, boot);
        }
        Telling::AtBootServer => {
            reply.header().set_siaddr(boot.next_server);
        }
        Telling::Header => header_file(reply, client, boot),
    }
}

/// The header's part. `siaddr` is always set: firmware falls back on it in several ways.
fn header_file(reply: &mut Reply, client: &BootClient, boot: &BootFile) {
    reply.header().set_siaddr(boot.next_server);
    let file = boot.file.as_bytes();
    if client.firmware != Firmware::HttpBoot && file.len() <= MAX_HEADER_FILE {
        reply.header().set_fname(file);
    }
    if client.is_pxe() {
        reply.header().set_sname_str(boot.next_server.to_string());
    }
}

/// Where the boot file is. PXE firmware gets the file in the header (shim and old ROMs look there)
/// and in option 67 (EDK2 prefers it); the others in option 67, which has room for a URL.
pub(crate) fn boot_file(
    reply: &mut Reply,
    request: &Request,
    client: &BootClient,
    boot: &BootFile,
) {
    header_file(reply, client, boot);
    let mut option = boot.file.as_bytes().to_vec();
    if client.firmware != Firmware::Ipxe {
        // EDK2 writes a NUL over the byte after an option 67 that has none, be it the next option.
        option.push(0);
    }
    reply.push(DhcpOption::BootfileName(option));
    if request.wants(option_code::TFTP_SERVER_NAME) {
        let server_name = boot.next_server.to_string();
        reply.push(DhcpOption::TFTPServerName(server_name.into_bytes()));
    }
}

/// What marks the reply as one for this kind of client (PXE 2.1 section 2.2.1, UEFI 2.10 section
/// 24.7.2): option 60, and 97 echoed.
pub(crate) fn boot_identity(reply: &mut Reply, client: &BootClient) {
    let class: &[u8] = match client.firmware {
        Firmware::HttpBoot => b"HTTPClient",
        Firmware::BiosPxe | Firmware::UefiPxe | Firmware::Ipxe => b"PXEClient",
    };
    reply.push(DhcpOption::ClassIdentifier(class.to_vec()));
    if let Some(id) = client.machine_id {
        reply.push(DhcpOption::ClientMachineIdentifier(id.to_vec()));
    }
}

/// Option 43 for PXE firmware: the offer is all there is, boot its file. Never for iPXE, which would
/// look for a menu in it.
fn vendor_options(reply: &mut Reply, client: &BootClient) {
    if client.is_pxe() {
        let mut bytes = DISCOVERY_CONTROL.to_vec();
        bytes.push(255);
        reply.push(DhcpOption::VendorExtensions(bytes));
    }
}

/// For UEFI whose machine boots its own disk. EDK2 takes an offer without a boot file for none and
/// asks on for a minute. A menu whose only item is the local boot (PXE 2.1 table 2-1, tag 9, type 0),
/// chosen without a prompt, ends its PXE at once; over HTTP a file that is not there does.
pub(crate) fn own_disk(reply: &mut Reply, client: &BootClient, nothing: &str) {
    match client.firmware {
        Firmware::UefiPxe => {
            boot_identity(reply, client);
            reply.push(DhcpOption::VendorExtensions(LOCAL_BOOT.to_vec()));
        }
        Firmware::HttpBoot => {
            boot_identity(reply, client);
            reply.push(DhcpOption::BootfileName(
                [nothing.as_bytes(), b"\0"].concat(),
            ));
        }
        Firmware::BiosPxe | Firmware::Ipxe => {}
    }
}

/// Option 43 of a boot server's answer: the boot item that the client asked for, if it did.
pub(crate) fn boot_item(reply: &mut Reply, client: &BootClient) {
    if let Some(item) = client.boot_item {
        let mut bytes = vec![BOOT_ITEM, 4];
        bytes.extend_from_slice(&item);
        bytes.push(255);
        reply.push(DhcpOption::VendorExtensions(bytes));
    }
}

/// Option 175 for iPXE in full mode: no other server has anything to say, three seconds saved.
pub(crate) fn no_proxy_wait(reply: &mut Reply, client: &BootClient) {
    if client.firmware == Firmware::Ipxe {
        let code = OptionCode::from(option_code::IPXE);
        reply.push(DhcpOption::Unknown(UnknownOption::new(
            code,
            NO_PXEDHCP.to_vec(),
        )));
    }
}
