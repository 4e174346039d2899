//! Clients that are known by their mainboard's UUID or by a client identifier.

use dhcp::{Lease, Mode};

use crate::lab::*;

/// As `dmidecode` prints it; firmware sends the first three fields the other way round.
const UUID: &str = "4c4c4544-0042-3510-8052-b4c04f384431";
const AS_WRITTEN: [u8; 16] = [
    0x4c, 0x4c, 0x45, 0x44, 0, 0x42, 0x35, 0x10, 0x80, 0x52, 0xb4, 0xc0, 0x4f, 0x38, 0x44, 0x31,
];
const IN_MEMORY: [u8; 16] = [
    0x44, 0x45, 0x4c, 0x4c, 0x42, 0, 0x10, 0x35, 0x80, 0x52, 0xb4, 0xc0, 0x4f, 0x38, 0x44, 0x31,
];

fn by_uuid() -> Lab {
    Lab::with_reservations(20, 250, vec![reservation_by(UUID, 11, "pc1")])
}

fn by_id(text: &str) -> Lab {
    Lab::with_reservations(20, 250, vec![reservation_by(text, 12, "pc2")])
}

fn with_uuid(packet: Packet, uuid: [u8; 16]) -> Packet {
    let mut packet = packet;
    packet.options.retain(|(code, _)| *code != 97);
    packet.option(97, &[&[0][..], &uuid].concat())
}

#[test]
fn a_mainboard_has_its_address_in_every_stage_of_its_boot() {
    let mut lab = by_uuid();
    assert_eq!(lab.dora(&with_uuid(ovmf(1), IN_MEMORY)), ip(11));
    assert_eq!(lab.dora(&with_uuid(ipxe(1), AS_WRITTEN)), ip(11));
    assert_eq!(lab.dora(&linux(1, 1)), ip(11), "which shows no UUID");
    assert_eq!(lab.names(), [("pc1".to_owned(), ip(11))]);
    let renewed = lab.ask(&linux(1, 1).kind(3).holding(ip(11)));
    assert_eq!(renewed.kind(), 5);
    assert_eq!(renewed.option(12), Some(&b"pc1"[..]));
}

#[test]
fn nobody_else_gets_the_address_of_a_machine_that_was_never_seen() {
    let mut lab = Lab::with_reservations(11, 12, vec![reservation_by(UUID, 11, "pc1")]);
    assert_eq!(lab.dora(&linux(1, 1)), ip(12));
    let wanted = lab.ask(&linux(2, 2).kind(3).server(SERVER).requested(ip(11)));
    assert_eq!(wanted.kind(), 6);
}

#[test]
fn who_was_recognised_is_so_after_a_restart() {
    let mut lab = by_uuid();
    lab.dora(&with_uuid(ovmf(1), IN_MEMORY));
    lab.restart();
    assert_eq!(lab.ask(&linux(1, 1).kind(3).holding(ip(11))).kind(), 5);
}

#[test]
fn another_card_of_the_machine_takes_the_address_over_unless_the_machine_runs() {
    let mut lab = by_uuid();
    assert_eq!(lab.dora(&with_uuid(ovmf(1), IN_MEMORY)), ip(11));
    assert_eq!(lab.dora(&with_uuid(ovmf(2), IN_MEMORY)), ip(11));
    assert_eq!(lab.disk[&ip(11)].mac, mac(2));
    assert_ne!(lab.dora(&linux(1, 1)), ip(11), "the second has it now");
    lab.server.heard_of(dhcp::Now { unix: lab.now }, ip(11));
    assert_ne!(lab.dora(&with_uuid(ovmf(1), IN_MEMORY)), ip(11));
}

#[test]
fn a_card_that_moved_to_another_mainboard_is_another_machine() {
    let mut lab = by_uuid();
    lab.dora(&with_uuid(ovmf(1), IN_MEMORY));
    assert_ne!(lab.dora(&ovmf(1)), ip(11));
    assert!(lab.policy.recognised.borrow().is_empty());
}

#[test]
fn the_card_counts_before_the_mainboard_and_that_before_the_identifier() {
    let mut lab = Lab::with_reservations(
        20,
        250,
        vec![
            reservation_by("id:pc3", 13, "pc3"),
            reservation_by(UUID, 11, "pc1"),
            reservation(5, Some(ip(15)), None),
        ],
    );
    let all = |number| with_uuid(ovmf(number), IN_MEMORY).option(61, b"pc3");
    assert_eq!(lab.dora(&all(5)), ip(15));
    assert_eq!(lab.dora(&all(1)), ip(11));
    assert_eq!(lab.dora(&ovmf(2).option(61, b"pc3")), ip(13));
}

#[test]
fn an_identifier_is_the_same_with_and_without_its_type() {
    for (id, sent) in [
        ("id:pc2", &b"pc2"[..]),
        ("id:pc2", b"\0pc2"),
        ("id:ff:00:01", &[0xff, 0, 1]),
    ] {
        let mut lab = by_id(id);
        assert_eq!(lab.dora(&Packet::new(mac(1)).option(61, sent)), ip(12));
        assert_eq!(lab.dora(&bios_rom(1)), ip(12), "its firmware, next time");
    }
}

#[test]
fn another_identifier_behind_the_card_is_another_client() {
    let mut lab = by_id("id:pc2");
    assert_eq!(lab.dora(&Packet::new(mac(1)).option(61, b"pc2")), ip(12));
    assert_ne!(lab.dora(&Packet::new(mac(1)).option(61, b"box")), ip(12));
}

#[test]
fn behind_a_relay_and_beside_another_server_it_is_known_too() {
    let mut lab = by_uuid();
    let relayed = with_uuid(ovmf(1), IN_MEMORY).kind(1).through(ip(9));
    assert_eq!(lab.ask(&relayed).yiaddr, ip(11));
    let reservations = vec![reservation_by(UUID, 11, "pc1")];
    let mut lab = Lab::new(dhcp::Config {
        reservations,
        ..config(Mode::Proxy, 20, 250)
    });
    lab.ask(&with_uuid(ovmf(1), IN_MEMORY).kind(1));
    let recognised = lab.policy.recognised.borrow().clone();
    assert_eq!(recognised, [(mac(1), UUID.parse().unwrap())]);
}

#[test]
fn cards_that_claim_to_be_one_machine_are_bounded() {
    let mut lab = by_uuid();
    for number in 1..100 {
        let _ = lab.send(&with_uuid(ovmf(number), IN_MEMORY).kind(1));
    }
    assert_eq!(lab.policy.recognised.borrow().len(), 8);
}

#[test]
fn a_lease_of_another_server_cannot_take_a_reserved_address() {
    let mut lab = by_uuid();
    let lease = Lease {
        address: ip(11),
        mac: mac(9),
        client_id: None,
        hostname: None,
        expires_unix: lab.now + HOUR,
        state: dhcp::BindingState::Bound,
    };
    let (_, left_out) = lab.server.take_over(dhcp::Now { unix: lab.now }, [lease]);
    assert_eq!(
        left_out[0].1.to_string(),
        format!("the address is reserved for {UUID}")
    );
}
