//! rpcbind, versions 3 and 4 of the port mapper (RFC 1833 section 2), which say addresses as text.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};

use crate::portmap::{Mapping, mappings, port};
use crate::rpc::{Call, Refusal};
use crate::xdr::Writer;
use crate::{Endpoint, Transport};

pub(crate) const NAMES: [&str; 13] = [
    "rpcbind null",
    "rpcbind set",
    "rpcbind unset",
    "rpcbind getaddr",
    "rpcbind dump",
    "rpcbind bcast",
    "rpcbind gettime",
    "rpcbind uaddr2taddr",
    "rpcbind taddr2uaddr",
    "rpcbind getversaddr",
    "rpcbind indirect",
    "rpcbind getaddrlist",
    "rpcbind getstat",
];

pub(crate) fn serve(
    call: &Call<'_>,
    endpoint: &Endpoint,
    out: &mut Writer<'_>,
) -> Result<(), Refusal> {
    let mut arguments = call.arguments.clone();
    match (call.procedure.version, call.procedure.number) {
        (_, 0) => {}
        // SET and UNSET: this registry is not for others to write.
        (_, 1 | 2) => out.bool(false),
        // GETADDR, and GETVERSADDR, which is what our GETADDR does anyway.
        (_, 3) | (4, 9) => {
            let (program, version) = (arguments.u32()?, arguments.u32()?);
            let transport = transport(arguments.string()?, endpoint);
            let port = transport.map_or(0, |it| port(endpoint, program, version, it));
            out.opaque(UniversalAddress::of(endpoint, port).as_bytes());
        }
        (_, 4) => dump(endpoint, out),
        _ => return Err(Refusal::ProcedureUnavailable),
    }
    Ok(())
}

fn dump(endpoint: &Endpoint, out: &mut Writer<'_>) {
    for mapping in mappings(endpoint) {
        out.bool(true);
        out.u32(mapping.program);
        out.u32(mapping.version);
        out.opaque(network_id(&mapping, endpoint).as_bytes());
        out.opaque(UniversalAddress::of(endpoint, mapping.port).as_bytes());
        out.opaque(b"netbootd");
    }
    out.bool(false);
}

fn transport(network_id: &[u8], endpoint: &Endpoint) -> Option<Transport> {
    match (network_id, our_address(endpoint)) {
        (b"tcp", IpAddr::V4(_)) | (b"tcp6", IpAddr::V6(_)) => Some(Transport::Tcp),
        (b"udp", IpAddr::V4(_)) | (b"udp6", IpAddr::V6(_)) => Some(Transport::Udp),
        // Some callers leave the name out and mean what they are using.
        (b"", _) => Some(endpoint.transport),
        _ => None,
    }
}

fn network_id(mapping: &Mapping, endpoint: &Endpoint) -> &'static str {
    match (mapping.transport, our_address(endpoint)) {
        (Transport::Tcp, IpAddr::V4(_)) => "tcp",
        (Transport::Tcp, IpAddr::V6(_)) => "tcp6",
        (Transport::Udp, IpAddr::V4(_)) => "udp",
        (Transport::Udp, IpAddr::V6(_)) => "udp6",
    }
}

fn our_address(endpoint: &Endpoint) -> IpAddr {
    endpoint.local.ip().to_canonical()
}

/// An address and the two bytes of a port, with dots between: `192.168.67.1.8.1` is port 2049.
/// No program is an empty text.
struct UniversalAddress(String);

impl UniversalAddress {
    fn of(endpoint: &Endpoint, port: u16) -> Self {
        let mut text = String::new();
        if port != 0 {
            let address = match our_address(endpoint) {
                IpAddr::V4(Ipv4Addr::UNSPECIFIED) => IpAddr::V4(Ipv4Addr::LOCALHOST),
                address => address,
            };
            let [high, low] = port.to_be_bytes();
            // Writing to a String cannot fail.
            let _ = write!(text, "{address}.{high}.{low}");
        }
        Self(text)
    }

    fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Client, opaque};
    use crate::xdr::Reader;

    fn getaddr(version: u32, number: u32, program: u32, network_id: &str) -> String {
        let mut arguments = [program, 3].map(u32::to_be_bytes).concat();
        arguments.extend(opaque(network_id.as_bytes()));
        arguments.extend(opaque(b""));
        arguments.extend(opaque(b"owner"));
        let results =
            Client::new().call(super::super::portmap::PROGRAM, version, number, &arguments);
        let text = Reader::new(&results).string().unwrap();
        String::from_utf8(text.to_vec()).unwrap()
    }

    #[test]
    fn getaddr_is_our_address_and_the_ports_two_bytes() {
        for version in [3, 4] {
            assert_eq!(getaddr(version, 3, 100_003, "tcp"), "192.168.67.1.8.1");
            assert_eq!(getaddr(version, 3, 100_005, "tcp"), "192.168.67.1.78.80");
            assert_eq!(getaddr(version, 3, 100_003, "udp"), "");
            assert_eq!(getaddr(version, 3, 100_003, "tcp6"), "");
            assert_eq!(getaddr(version, 3, 100_227, "tcp"), "");
        }
        assert_eq!(getaddr(4, 9, 100_003, "tcp"), "192.168.67.1.8.1");
    }

    #[test]
    fn what_needs_more_than_a_table_is_unavailable() {
        let mut client = Client::new();
        for number in [5, 6, 7, 8, 10, 11, 12, 13] {
            assert_eq!(client.accept_status(100_000, 4, number, &[]), 3, "{number}");
        }
        assert_eq!(client.accept_status(100_000, 3, 9, &[]), 3);
    }
}
