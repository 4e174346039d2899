//! What is said about which name.

use std::net::Ipv4Addr;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{DNSClass, RData, Record, RecordType};

use super::{CLIENT, ask, decide, is_forwarded, policy, query, said, says, zone};
use crate::{Decision, NEGATIVE_TTL, Transport, Zone, answer};

#[test]
fn a_client_is_found_by_its_name() {
    assert_eq!(
        says("pc1.lab.internal", RecordType::A),
        "ok A 192.168.67.20"
    );
    assert_eq!(
        says("netbootd.lab.internal", RecordType::A),
        "ok A 192.168.67.1"
    );
    assert_eq!(says("nas.office.example", RecordType::A), "ok A 198.18.0.5");
    assert_eq!(zone().len(), 5);
}

#[test]
fn case_does_not_matter_and_is_given_back() {
    let reply = ask("PC1.lAb.InTeRnAl", RecordType::A);
    assert_eq!(said(&reply), "ok A 192.168.67.20");
    assert_eq!(reply.answers[0].name.to_ascii(), "PC1.lAb.InTeRnAl.");
    assert_eq!(reply.queries[0].name().to_ascii(), "PC1.lAb.InTeRnAl.");
}

#[test]
fn firmware_may_leave_the_domain_away() {
    assert_eq!(says("pc1", RecordType::A), "ok A 192.168.67.20");
    assert_eq!(says("pc9", RecordType::A), "nxdomain soa:.");
    assert!(is_forwarded("com", RecordType::NS));
}

#[test]
fn the_ssh_host_key_of_a_client_is_told() {
    let record = format!("ok SSHFP 4 2 {}", "ab".repeat(32));
    assert_eq!(says("pc1.lab.internal", RecordType::SSHFP), record);
    assert_eq!(says("PC1", RecordType::SSHFP), record);
    let none = "ok soa:lab.internal.";
    assert_eq!(says("pc1-old.lab.internal", RecordType::SSHFP), none);
    assert_eq!(
        says("pc9.lab.internal", RecordType::SSHFP),
        "nxdomain soa:lab.internal."
    );
    assert!(is_forwarded("example.com", RecordType::SSHFP));
}

#[test]
fn an_address_leads_to_its_first_name() {
    assert_eq!(
        says("20.67.168.192.in-addr.arpa", RecordType::PTR),
        "ok PTR pc1.lab.internal."
    );
    assert_eq!(
        says("20.67.168.192.IN-ADDR.arpa", RecordType::PTR),
        "ok PTR pc1.lab.internal."
    );
    // Not in a private network, but named here.
    assert_eq!(
        says("5.0.18.198.in-addr.arpa", RecordType::PTR),
        "ok PTR nas.office.example."
    );
}

#[test]
fn a_service_leads_to_its_host_and_port() {
    assert_eq!(
        says("_NFS._tcp.lab.internal", RecordType::SRV),
        "ok SRV 0 0 2049 netbootd.lab.internal."
    );
    assert_eq!(
        says("_ntp._udp.lab.internal", RecordType::SRV),
        "ok SRV 0 0 123 time.office.example."
    );
    let none = "ok soa:lab.internal.";
    assert_eq!(says("_nfs._tcp.lab.internal", RecordType::A), none);
    assert_eq!(says("_tcp.lab.internal", RecordType::SRV), none);
    assert_eq!(says("pc1.lab.internal", RecordType::SRV), none);
    let nobody = "nxdomain soa:lab.internal.";
    assert_eq!(says("_ftp._tcp.lab.internal", RecordType::SRV), nobody);
    assert!(is_forwarded("_nfs._tcp.example.com", RecordType::SRV));
}

#[test]
fn a_name_without_this_type_is_no_data() {
    assert_eq!(
        says("pc1.lab.internal", RecordType::AAAA),
        "ok soa:lab.internal."
    );
    assert_eq!(
        says("pc1.lab.internal", RecordType::MX),
        "ok soa:lab.internal."
    );
    assert_eq!(
        says("pc2.lab.internal", RecordType::A),
        "ok soa:lab.internal."
    );
    assert_eq!(
        says("20.67.168.192.in-addr.arpa", RecordType::A),
        "ok soa:168.192.in-addr.arpa."
    );
    assert_eq!(
        says("67.168.192.in-addr.arpa", RecordType::PTR),
        "ok soa:168.192.in-addr.arpa."
    );
    assert_eq!(
        says("nas.office.example", RecordType::AAAA),
        "ok soa:nas.office.example."
    );
}

#[test]
fn a_name_that_nobody_has_does_not_exist() {
    assert_eq!(
        says("pc9.lab.internal", RecordType::A),
        "nxdomain soa:lab.internal."
    );
    assert_eq!(
        says("a.pc1.lab.internal", RecordType::A),
        "nxdomain soa:lab.internal."
    );
    for (name, zone) in [
        ("99.67.168.192.in-addr.arpa", "168.192.in-addr.arpa."),
        ("1.2.3.10.in-addr.arpa", "10.in-addr.arpa."),
        ("1.2.20.172.in-addr.arpa", "20.172.in-addr.arpa."),
        ("1.0.0.127.in-addr.arpa", "127.in-addr.arpa."),
        (
            "lb._dns-sd._udp.0.67.168.192.in-addr.arpa",
            "168.192.in-addr.arpa.",
        ),
        ("256.67.168.192.in-addr.arpa", "168.192.in-addr.arpa."),
    ] {
        assert_eq!(
            says(name, RecordType::PTR),
            format!("nxdomain soa:{zone}"),
            "{name}"
        );
    }
}

#[test]
fn a_negative_answer_says_how_long_it_holds() {
    let reply = ask("pc9.lab.internal", RecordType::A);
    assert!(reply.metadata.authoritative);
    let RData::SOA(soa) = &reply.authorities[0].data else {
        panic!("{reply:?}")
    };
    assert_eq!(
        (reply.authorities[0].ttl, soa.minimum),
        (NEGATIVE_TTL, NEGATIVE_TTL)
    );
}

#[test]
fn our_zones_have_a_head() {
    assert!(says("lab.internal", RecordType::SOA).starts_with("ok SOA netbootd.lab.internal."));
    assert_eq!(
        says("lab.internal", RecordType::NS),
        "ok NS netbootd.lab.internal."
    );
    assert_eq!(says("lab.internal", RecordType::A), "ok soa:lab.internal.");
    assert!(says("168.192.in-addr.arpa", RecordType::SOA).starts_with("ok SOA netbootd."));
}

#[test]
fn private_and_special_names_never_leave() {
    for name in [
        "printer.local",
        "x.invalid",
        "x.test",
        "x.onion",
        "router.home.arpa",
        "_dns.resolver.arpa",
        "10.in-addr.arpa",
        "1.1.168.192.in-addr.arpa",
        "64.100.in-addr.arpa",
        "d.f.ip6.arpa",
        "8.e.f.ip6.arpa",
        "8.b.d.0.1.0.0.2.ip6.arpa",
    ] {
        assert!(!is_forwarded(name, RecordType::PTR), "{name}");
    }
    let loopback = format!("1.{}ip6.arpa", "0.".repeat(31));
    assert!(!is_forwarded(&loopback, RecordType::PTR));
    assert_eq!(says("a.localhost", RecordType::A), "ok A 127.0.0.1");
    assert_eq!(says("localhost", RecordType::AAAA), "ok AAAA ::1");
    assert_eq!(says("localhost", RecordType::MX), "ok soa:localhost.");
    assert_eq!(
        says("_dns.resolver.arpa", RecordType::SVCB),
        "ok soa:resolver.arpa."
    );
}

#[test]
fn everything_else_goes_to_the_upstream() {
    for name in [
        "example.com",
        "internal",
        "8.8.8.8.in-addr.arpa",
        "172.in-addr.arpa",
        "32.172.in-addr.arpa",
        "0.0.2.ip6.arpa",
        "arpa",
    ] {
        assert!(is_forwarded(name, RecordType::NS), "{name}");
    }
}

#[test]
fn without_an_upstream_or_the_wish_for_recursion_it_is_refused() {
    let bytes = query("example.com", RecordType::A).to_vec().unwrap();
    let Decision::Reply(reply) = answer(&bytes, CLIENT, Transport::Udp, &zone(), &policy(false))
    else {
        panic!("not refused");
    };
    let reply = Message::from_vec(&reply).unwrap();
    assert_eq!(
        (said(&reply).as_str(), reply.metadata.recursion_available),
        ("refused", false)
    );
    let mut plain = query("example.com", RecordType::A);
    plain.metadata.recursion_desired = false;
    assert_eq!(said(&super::reply_to(&plain.to_vec().unwrap())), "refused");
}

#[test]
fn other_classes_and_transfers_are_refused() {
    let mut chaos = query("version.bind", RecordType::TXT);
    chaos.queries[0].set_query_class(DNSClass::CH);
    assert_eq!(said(&super::reply_to(&chaos.to_vec().unwrap())), "refused");
    assert_eq!(says("lab.internal", RecordType::AXFR), "refused");
    assert_eq!(says("example.com", RecordType::IXFR), "refused");
}

#[test]
fn an_upstreams_answer_becomes_ours() {
    let mut message = query("Example.com", RecordType::A);
    message.metadata.checking_disabled = true;
    let Decision::Forward(forward) = decide(&message.to_vec().unwrap()) else {
        panic!("not forwarded")
    };
    assert_eq!(forward.name().to_ascii(), "Example.com.");
    assert_eq!(forward.record_type(), RecordType::A);
    let data = RData::A(A(Ipv4Addr::new(192, 0, 2, 7)));
    let record = Record::from_rdata(forward.name().clone(), 300, data);
    let reply = Message::from_vec(&forward.answer(ResponseCode::NoError, &[record], &[])).unwrap();
    assert_eq!(said(&reply), "ok A 192.0.2.7");
    assert_eq!(
        (reply.metadata.id, reply.metadata.authoritative),
        (4711, false)
    );
    assert!(reply.metadata.recursion_available && reply.metadata.recursion_desired);
    assert!(reply.metadata.checking_disabled && !reply.metadata.authentic_data);
    let answers = [
        forward.fail(),
        forward.answer(ResponseCode::Refused, &[], &[]),
    ];
    for reply in answers {
        assert_eq!(said(&Message::from_vec(&reply).unwrap()), "servfail");
    }
}

#[test]
fn every_one_of_many_addresses_leads_back() {
    let address = |n: u32| Ipv4Addr::from(0x0a00_0000 + n);
    let zone = Zone::build(
        "lab.internal",
        (0..50_000).map(|n| (format!("PC{n}"), address(n))),
    );
    assert_eq!(zone.len(), 50_000);
    for n in (0..50_000).step_by(997) {
        assert_eq!(
            zone.name(address(n)).unwrap().to_ascii(),
            format!("pc{n}.lab.internal.")
        );
    }
    assert_eq!(zone.name(address(50_000)), None);
}
