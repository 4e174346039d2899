//! Input that nobody means well with.

use hickory_proto::op::{Edns, Message};
use hickory_proto::rr::RecordType;

use super::{decide, policy, query, reply_to, said, says, zone};
use crate::{Decision, Discard, Transport, answer};

fn good() -> Vec<u8> {
    query("pc1.lab.internal", RecordType::A).to_vec().unwrap()
}

/// DN-02: a name server that forwards such a query waits for an upstream for a local name.
#[test]
fn lying_counts_and_other_opcodes_are_never_forwarded() {
    for name in ["pc1.lab.internal", "example.com"] {
        let bytes = query(name, RecordType::A).to_vec().unwrap();
        for (section, count) in [
            (6, [0xff, 0xff]),
            (6, [0, 1]),
            (8, [0xff, 0xff]),
            (10, [0xff, 0xff]),
            (4, [0, 0]),
            (4, [0, 2]),
        ] {
            let mut lying = bytes.clone();
            lying[section..section + 2].copy_from_slice(&count);
            assert_eq!(said(&reply_to(&lying)), "formerr", "{name} {section}");
        }
        for opcode in 1..16_u8 {
            let mut other = bytes.clone();
            other[2] = opcode << 3 | 1;
            let reply = reply_to(&other);
            assert_eq!(
                (said(&reply).as_str(), reply.metadata.id),
                ("notimp", 4711),
                "{opcode}"
            );
        }
    }
    assert_eq!(said(&reply_to(&good())), "ok A 192.168.67.20");
}

/// DN-08: a small query must not become a big reply to somebody else.
#[test]
fn no_local_reply_is_a_weapon() {
    for (name, record_type) in [
        ("pc1.lab.internal", RecordType::ANY),
        ("pc1.lab.internal", RecordType::TXT),
        ("lab.internal", RecordType::ANY),
        ("lab.internal", RecordType::SOA),
        ("lab.internal", RecordType::NS),
        ("example.com", RecordType::ANY),
        ("10.in-addr.arpa", RecordType::SOA),
        ("nobody.lab.internal", RecordType::A),
        ("x.local", RecordType::A),
    ] {
        for size in [4096, 65535] {
            let mut message = query(name, record_type);
            let mut edns = Edns::new();
            edns.set_max_payload(size);
            message.set_edns(edns);
            let bytes = message.to_vec().unwrap();
            let Decision::Reply(reply) = decide(&bytes) else {
                panic!("{name} is forwarded")
            };
            assert!(
                reply.len() <= 4 * bytes.len(),
                "{name} {record_type}: {} of {}",
                reply.len(),
                bytes.len()
            );
            assert!(reply.len() <= 512);
        }
    }
    assert_eq!(
        says("pc1.lab.internal", RecordType::ANY),
        "ok HINFO RFC8482 "
    );
    assert_eq!(
        says("nobody.lab.internal", RecordType::ANY),
        "nxdomain soa:lab.internal."
    );
}

/// DN-09
#[test]
fn a_source_outside_of_the_served_networks_hears_nothing() {
    for source in ["192.168.68.20", "8.8.8.8", "fe80::1"] {
        for bytes in [good(), vec![0; 12], Vec::new()] {
            let decision = answer(
                &bytes,
                source.parse().unwrap(),
                Transport::Udp,
                &zone(),
                &policy(true),
            );
            assert!(
                matches!(decision, Decision::Drop(Discard::ForeignSource)),
                "{source}"
            );
        }
    }
}

#[test]
fn replies_and_stumps_are_dropped() {
    let mut reply = good();
    reply[2] |= 0x80;
    assert!(matches!(decide(&reply), Decision::Drop(Discard::NotAQuery)));
    for length in 0..12 {
        assert!(matches!(
            decide(&good()[..length]),
            Decision::Drop(Discard::TooShort)
        ));
    }
}

#[test]
fn a_cut_or_padded_query_is_malformed() {
    let good = good();
    for length in 12..good.len() {
        assert_eq!(said(&reply_to(&good[..length])), "formerr", "{length}");
    }
    assert_eq!(
        said(&reply_to(&[good.as_slice(), b"x"].concat())),
        "formerr"
    );
}

#[test]
fn a_name_that_points_at_itself_is_malformed() {
    let mut bytes = good()[..12].to_vec();
    bytes.extend([0xc0, 12, 0, 1, 0, 1]);
    assert_eq!(said(&reply_to(&bytes)), "formerr");
    let mut long = good()[..12].to_vec();
    for _ in 0..5 {
        long.push(63);
        long.extend([b'a'; 63]);
    }
    long.extend([0, 0, 1, 0, 1]);
    assert_eq!(said(&reply_to(&long)), "formerr");
}

/// DN-16: 10000 queries with bytes changed, cut or repeated; every decision is one of the three, every
/// reply decodes, is a reply to this query, and is no bomb.
#[test]
fn ten_thousand_mutated_queries_leave_it_alive() {
    let mut seed: u64 = 0x6e65_7462_6f6f_7464;
    let mut random = move |below: usize| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((seed >> 33) as usize) % below.max(1)
    };
    let mut with_edns = query("20.67.168.192.in-addr.arpa", RecordType::PTR);
    with_edns.set_edns(Edns::new());
    let starts = [
        good(),
        with_edns.to_vec().unwrap(),
        query("www.example.com", RecordType::AAAA).to_vec().unwrap(),
    ];
    let (mut replies, mut forwards, mut drops) = (0, 0, 0);
    for round in 0..10_000 {
        let mut bytes = starts[round % starts.len()].clone();
        for _ in 0..=random(4) {
            let at = random(bytes.len());
            match random(4) {
                0 => bytes.truncate(at),
                1 => bytes.extend_from_within(at..),
                _ => {
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte = random(256) as u8;
                    }
                }
            }
        }
        match decide(&bytes) {
            Decision::Reply(reply) => {
                replies += 1;
                assert!(reply.len() <= 512 || bytes.len() > 400, "{bytes:02x?}");
                assert_eq!(reply[..2], bytes[..2]);
                Message::from_vec(&reply).unwrap_or_else(|error| panic!("{error} {bytes:02x?}"));
            }
            Decision::Forward(forward) => {
                forwards += 1;
                assert!(Message::from_vec(&forward.fail()).is_ok());
            }
            Decision::Drop(_) => drops += 1,
        }
    }
    assert!(
        replies > 1000 && forwards > 100 && drops > 100,
        "{replies} {forwards} {drops}"
    );
    assert_eq!(said(&reply_to(&good())), "ok A 192.168.67.20");
}
