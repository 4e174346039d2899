//! The port mapper, version 2 (RFC 1833 section 3): tells where our own programs are, nothing else.

use crate::rpc::{Call, Refusal};
use crate::xdr::Writer;
use crate::{Endpoint, Transport, mount, nfs3};

pub(crate) const PROGRAM: u32 = 100_000;

pub(crate) const NAMES: [&str; 6] = [
    "portmap null",
    "portmap set",
    "portmap unset",
    "portmap getport",
    "portmap dump",
    "portmap callit",
];

/// The port mapper's own port.
const PORT: u16 = 111;

/// One program that can be called (`mapping`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mapping {
    pub(crate) program: u32,
    pub(crate) version: u32,
    pub(crate) transport: Transport,
    pub(crate) port: u16,
}

/// All programs that can be called.
pub(crate) fn mappings(endpoint: &Endpoint) -> [Mapping; 9] {
    use Transport::{Tcp, Udp};
    let (nfs, mount) = (endpoint.ports.nfs, endpoint.ports.mount);
    [
        (PROGRAM, 4, Tcp, PORT),
        (PROGRAM, 3, Tcp, PORT),
        (PROGRAM, 2, Tcp, PORT),
        (PROGRAM, 4, Udp, PORT),
        (PROGRAM, 3, Udp, PORT),
        (PROGRAM, 2, Udp, PORT),
        (nfs3::PROGRAM, nfs3::VERSION, Tcp, nfs),
        (mount::PROGRAM, 1, Tcp, mount),
        (mount::PROGRAM, 3, Tcp, mount),
    ]
    .map(|(program, version, transport, port)| Mapping {
        program,
        version,
        transport,
        port,
    })
}

/// The port of a program, or 0.
pub(crate) fn port(endpoint: &Endpoint, program: u32, version: u32, transport: Transport) -> u16 {
    mappings(endpoint)
        .into_iter()
        .find(|mapping| {
            (mapping.program, mapping.version, mapping.transport) == (program, version, transport)
        })
        .map_or(0, |mapping| mapping.port)
}

pub(crate) fn serve(
    call: &Call<'_>,
    endpoint: &Endpoint,
    out: &mut Writer<'_>,
) -> Result<(), Refusal> {
    let mut arguments = call.arguments.clone();
    match call.procedure.number {
        0 => {}
        // SET and UNSET: this registry is not for others to write.
        1 | 2 => out.bool(false),
        3 => {
            let (program, version) = (arguments.u32()?, arguments.u32()?);
            let transport = match arguments.u32()? {
                6 => Some(Transport::Tcp),
                17 => Some(Transport::Udp),
                _ => None,
            };
            let port = transport.map_or(0, |it| port(endpoint, program, version, it));
            out.u32(u32::from(port));
        }
        4 => {
            for mapping in mappings(endpoint) {
                out.bool(true);
                out.u32(mapping.program);
                out.u32(mapping.version);
                out.u32(match mapping.transport {
                    Transport::Tcp => 6,
                    Transport::Udp => 17,
                });
                out.u32(u32::from(mapping.port));
            }
            out.bool(false);
        }
        // CALLIT would make us call others in a stranger's name.
        _ => return Err(Refusal::ProcedureUnavailable),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Client, word};

    fn getport(program: u32, version: u32, protocol: u32) -> u32 {
        let arguments = [program, version, protocol, 0].map(u32::to_be_bytes);
        word(&Client::new().call(PROGRAM, 2, 3, &arguments.concat()), 0)
    }

    #[test]
    fn getport_tells_where_our_programs_are_and_no_others() {
        assert_eq!(getport(100_003, 3, 6), 2049);
        assert_eq!(getport(100_005, 3, 6), 20048);
        assert_eq!(getport(100_005, 1, 6), 20048);
        assert_eq!(getport(100_000, 2, 17), 111);
        for (program, version, protocol) in [
            (100_003, 3, 17),
            (100_003, 4, 6),
            (100_003, 2, 6),
            (100_005, 3, 17),
            (100_227, 3, 6),
            (100_021, 4, 6),
            (100_003, 3, 99),
        ] {
            assert_eq!(getport(program, version, protocol), 0, "{program}");
        }
    }

    #[test]
    fn the_registry_cannot_be_written() {
        let mapping = [100_003_u32, 3, 6, 666].map(u32::to_be_bytes).concat();
        for procedure in [1, 2] {
            assert_eq!(
                Client::new().call(PROGRAM, 2, procedure, &mapping),
                [0, 0, 0, 0]
            );
        }
        assert_eq!(getport(100_003, 3, 6), 2049);
    }

    #[test]
    fn dump_lists_every_mapping() {
        let list = Client::new().call(PROGRAM, 2, 4, &[]);
        assert_eq!(list.len(), 9 * 20 + 4);
        assert!(Client::new().call(PROGRAM, 2, 0, &[]).is_empty());
    }

    #[test]
    fn over_udp_only_the_port_mapper_answers_and_without_a_mark() {
        let mut client = Client::new();
        client.endpoint.transport = Transport::Udp;
        let arguments = [100_003_u32, 3, 6, 0].map(u32::to_be_bytes).concat();
        assert_eq!(word(&client.call(PROGRAM, 2, 3, &arguments), 0), 2049);
        assert_eq!(client.accept_status(100_003, 3, 0, &[]), 1);
        assert_eq!(client.accept_status(100_005, 3, 5, &[]), 1);
    }
}
