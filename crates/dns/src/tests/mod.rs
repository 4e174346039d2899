//! Tests through one door: a query in, the decoded reply out.

mod hostile;
mod names;
mod wire;

use std::net::{IpAddr, Ipv4Addr};

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};

use crate::{Decision, Policy, Transport, Zone, answer};

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 67, 20));

fn zone() -> Zone {
    let names = [
        ("netbootd", [192, 168, 67, 1]),
        ("pc1", [192, 168, 67, 20]),
        ("pc1-old", [192, 168, 67, 20]),
        ("rack.pc2.lab.internal", [192, 168, 67, 21]),
        ("nas.office.example", [198, 18, 0, 5]),
        ("not a name.", [192, 168, 67, 99]),
    ];
    Zone::build(
        "Lab.Internal",
        names.map(|(name, octets)| (name, Ipv4Addr::from(octets))),
    )
    .with_host_keys([
        ("PC1", Ipv4Addr::new(192, 168, 67, 20), [0xab; 32]),
        // Somebody else's address, and nobody's name.
        ("pc1-old", Ipv4Addr::new(192, 168, 67, 21), [1; 32]),
        ("pc9", Ipv4Addr::new(192, 168, 67, 29), [1; 32]),
    ])
    .with_services([
        ("_nfs._tcp", "netbootd", 2049),
        ("_ntp._udp", "time.office.example", 1),
        ("_ntp._udp", "time.office.example", 123),
        ("not a service.", "netbootd", 1),
    ])
}

fn policy(forward: bool) -> Policy {
    Policy {
        networks: vec![(Ipv4Addr::new(192, 168, 67, 0), 24)],
        forward,
    }
}

fn query(name: &str, record_type: RecordType) -> Message {
    let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(
        Name::from_ascii(format!("{name}.")).unwrap(),
        record_type,
    ));
    message
}

fn decide(bytes: &[u8]) -> Decision {
    answer(bytes, CLIENT, Transport::Udp, &zone(), &policy(true))
}

/// The reply to these bytes, which must not be forwarded or dropped.
fn reply_to(bytes: &[u8]) -> Message {
    match decide(bytes) {
        Decision::Reply(reply) => Message::from_vec(&reply).expect("our replies decode"),
        other => panic!("{other:?}"),
    }
}

fn ask(name: &str, record_type: RecordType) -> Message {
    reply_to(&query(name, record_type).to_vec().unwrap())
}

/// What a reply says, in a line: code, answers, and the owner of the SOA of a negative one.
fn said(reply: &Message) -> String {
    let code = match reply.metadata.response_code {
        ResponseCode::NoError => "ok",
        ResponseCode::NXDomain => "nxdomain",
        ResponseCode::Refused => "refused",
        ResponseCode::FormErr => "formerr",
        ResponseCode::NotImp => "notimp",
        // The number 16 has two names; BADSIG is for signed messages.
        ResponseCode::BADSIG => "badvers",
        ResponseCode::ServFail => "servfail",
        other => panic!("{other}"),
    };
    let mut line = code.to_owned();
    for record in &reply.answers {
        line += &format!(" {} {}", record.record_type(), record.data);
    }
    for record in &reply.authorities {
        assert!(matches!(record.data, RData::SOA(_)));
        line += &format!(" soa:{}", record.name);
    }
    line
}

fn says(name: &str, record_type: RecordType) -> String {
    said(&ask(name, record_type))
}

fn is_forwarded(name: &str, record_type: RecordType) -> bool {
    matches!(
        decide(&query(name, record_type).to_vec().unwrap()),
        Decision::Forward(_)
    )
}
