//! Machines that speak BOOTP (RFC 951, 1534, 1542).

use std::net::{Ipv4Addr, SocketAddrV4};

use dhcp::{Destination, Discard};

use crate::lab::*;

fn lab() -> Lab {
    Lab::with_reservations(20, 250, vec![reservation(1, Some(ip(11)), Some("plotter"))])
}

/// What the server says to this packet, sent with the 64 bytes that BOOTP has behind its header.
fn said(lab: &mut Lab, packet: &Packet) -> Result<Option<Seen>, Discard> {
    let mut bytes = packet.bytes();
    bytes.resize(300, 0);
    let from = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68);
    lab.send_from(from, 67, &bytes)
}

#[test]
fn one_with_a_reservation_is_told_its_address_and_network_in_300_bytes() {
    let mut lab = lab();
    let seen = said(&mut lab, &Packet::new(mac(1))).unwrap().unwrap();
    assert_eq!((seen.yiaddr, seen.siaddr, seen.len), (ip(11), SERVER, 300));
    assert_eq!(seen.destination, Destination::Broadcast(68));
    assert_eq!(seen.option(1), Some(&[255, 255, 255, 0][..]));
    assert_eq!(seen.option(12), Some(&b"plotter"[..]));
    // Nothing that only DHCP has: type, server, times.
    for code in [51, 53, 54, 58, 59] {
        assert_eq!(seen.option(code), None, "option {code}");
    }
    assert!(lab.disk.is_empty(), "there is no lease");
}

#[test]
fn a_header_alone_is_a_question_too() {
    let from = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68);
    let bytes = &Packet::new(mac(1)).bytes()[..236];
    let seen = lab().send_from(from, 67, bytes).unwrap().unwrap();
    assert_eq!(seen.yiaddr, ip(11));
}

#[test]
fn one_behind_a_relay_is_answered_there() {
    let relayed = Packet::new(mac(1)).through(ip(9));
    let seen = said(&mut lab(), &relayed).unwrap().unwrap();
    let relay = SocketAddrV4::new(ip(9), 67);
    assert_eq!(seen.destination, Destination::Relay(relay));
}

#[test]
fn nobody_gets_an_address_of_the_pool_for_ever() {
    let other = said(&mut lab(), &Packet::new(mac(2)));
    assert_eq!(other, Err(Discard::NothingReserved));
}

#[test]
fn it_is_told_what_the_operator_wants_it_told_too() {
    let mut lab = lab();
    lab.policy.options = vec![(mac(1), 42, ip(7).octets().to_vec())];
    let seen = said(&mut lab, &Packet::new(mac(1))).unwrap().unwrap();
    assert_eq!(seen.option(42), Some(&ip(7).octets()[..]));
}
