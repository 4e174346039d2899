//! EDNS, sizes and truncation.

use std::net::Ipv4Addr;

use hickory_proto::op::{Edns, Message};
use hickory_proto::rr::RecordType;

use super::{CLIENT, policy, query, reply_to, said};
use crate::{Decision, MAX_UDP, Transport, Zone, answer};

/// An OPT record: version, flags, size and raw options.
fn opt(version: u8, flags: u16, size: u16, options: &[u8]) -> Vec<u8> {
    let mut record = vec![0, 0, 41];
    record.extend(size.to_be_bytes());
    record.extend([0, version]);
    record.extend(flags.to_be_bytes());
    record.extend((options.len() as u16).to_be_bytes());
    record.extend(options);
    record
}

fn with_additional(records: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = query("pc1.lab.internal", RecordType::A).to_vec().unwrap();
    bytes[11] = records.len() as u8;
    bytes.extend(records.concat());
    bytes
}

fn crowd(size: u32) -> Zone {
    Zone::build(
        "lab.internal",
        (0..size).map(|n| ("crowd", Ipv4Addr::from(0x0a00_0000 + n))),
    )
}

fn length_and_cut(edns_size: Option<u16>, transport: Transport) -> (usize, bool) {
    let mut message = query("crowd.lab.internal", RecordType::A);
    if let Some(size) = edns_size {
        let mut edns = Edns::new();
        edns.set_max_payload(size);
        message.set_edns(edns);
    }
    let bytes = message.to_vec().unwrap();
    let Decision::Reply(reply) = answer(&bytes, CLIENT, transport, &crowd(200), &policy(true))
    else {
        panic!("no reply")
    };
    (
        reply.len(),
        Message::from_vec(&reply).unwrap().metadata.truncation,
    )
}

#[test]
fn an_unknown_version_is_badvers() {
    let reply = reply_to(&with_additional(&[opt(1, 0, 1232, &[])]));
    assert_eq!(said(&reply), "badvers");
    let edns = reply.edns.expect("BADVERS needs an OPT record");
    assert_eq!((edns.version(), edns.max_payload()), (0, MAX_UDP));
}

#[test]
fn unknown_options_are_ignored_and_flags_cleared() {
    let reply = reply_to(&with_additional(&[opt(
        0,
        0xffff,
        1232,
        &[0xfd, 0xe9, 0, 2, 1, 2],
    )]));
    assert_eq!(said(&reply), "ok A 192.168.67.20");
    let edns = reply.edns.expect("an OPT record is answered with one");
    assert!(edns.flags().dnssec_ok && edns.options().as_ref().is_empty());
    assert_eq!(edns.flags().z, 0);
    // Whatever subnet is claimed there.
    let subnet = [0, 8, 0, 7, 0, 1, 24, 0, 8, 8, 8];
    assert_eq!(
        said(&reply_to(&with_additional(&[opt(0, 0, 1232, &subnet)]))),
        "ok A 192.168.67.20"
    );
}

#[test]
fn two_or_broken_opt_records_are_malformed() {
    let plain = opt(0, 0, 1232, &[]);
    for records in [
        vec![plain.clone(), plain.clone()],
        vec![opt(0, 0, 1232, &[0, 10, 0, 9, 1])],
        vec![opt(0, 0, 1232, &[0, 10, 0])],
        vec![plain[..8].to_vec()],
        vec![[&[1, b'x', 0][..], &plain[1..]].concat()],
    ] {
        assert_eq!(
            said(&reply_to(&with_additional(&records))),
            "formerr",
            "{records:?}"
        );
    }
}

#[test]
fn a_size_below_512_is_512() {
    assert_eq!(
        said(&reply_to(&with_additional(&[opt(0, 0, 0, &[])]))),
        "ok A 192.168.67.20"
    );
}

#[test]
fn no_opt_record_unless_asked() {
    assert!(reply_to(&with_additional(&[])).edns.is_none());
}

#[test]
fn a_reply_is_never_longer_than_the_asker_takes() {
    for size in [
        None,
        Some(0),
        Some(512),
        Some(1231),
        Some(4096),
        Some(65535),
    ] {
        let (length, cut) = length_and_cut(size, Transport::Udp);
        assert!(length <= size.map_or(512, |size| usize::from(size.clamp(512, MAX_UDP))));
        assert!(cut, "{size:?}");
    }
    let (length, cut) = length_and_cut(None, Transport::Tcp);
    assert!(length > 3200 && !cut, "{length}");
}
