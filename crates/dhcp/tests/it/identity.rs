//! One machine keeps one address through its boot; two machines never share one.

use crate::lab::*;

#[test]
fn firmware_ipxe_and_the_system_have_one_address() {
    let mut lab = Lab::full(20, 250);
    let rom = lab.dora(&bios_rom(1));
    assert_eq!(lab.dora(&ipxe(1)), rom);
    assert_eq!(lab.dora(&linux(1, 1)), rom);
    assert_eq!(
        lab.ask(&linux(1, 1).kind(3).holding(rom)).kind(),
        5,
        "and it can be renewed"
    );
    assert_eq!(lab.disk.len(), 1);
}

#[test]
fn the_next_boot_has_the_same_address_whatever_identifier_the_system_makes_up() {
    let mut lab = Lab::full(20, 250);
    let first = lab.dora(&linux(1, 1));
    for duid in 2..20 {
        assert_eq!(lab.dora(&ovmf(1)), first);
        assert_eq!(lab.dora(&ipxe(1)), first);
        assert_eq!(lab.dora(&linux(1, duid)), first);
    }
    assert_eq!(lab.disk.len(), 1);
}

#[test]
fn firmware_that_sends_its_uuid_as_identifier_is_the_same_machine() {
    let mut lab = Lab::full(20, 250);
    let uuid = [0, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9];
    let rom = lab.dora(&ovmf(1).option(61, &uuid));
    assert_eq!(lab.dora(&ipxe(1)), rom);
}

#[test]
fn cloned_disks_with_one_identifier_get_two_addresses() {
    let mut lab = Lab::full(20, 250);
    let (one, two) = (lab.dora(&linux(1, 1)), lab.dora(&linux(2, 1)));
    assert_ne!(one, two);
    assert_eq!(lab.ask(&linux(1, 1).kind(3).holding(one)).kind(), 5);
    assert_eq!(lab.ask(&linux(2, 1).kind(3).holding(two)).kind(), 5);
}

#[test]
fn two_identifiers_behind_one_interface_get_two_addresses() {
    let mut lab = Lab::full(20, 250);
    let (host, container) = (lab.dora(&linux(1, 1)), lab.dora(&linux(1, 2)));
    assert_ne!(host, container);
    assert_eq!(lab.ask(&linux(1, 1).kind(3).holding(host)).kind(), 5);
    assert_eq!(lab.ask(&linux(1, 2).kind(3).holding(container)).kind(), 5);
    assert_eq!(
        lab.ask(&linux(1, 2).kind(3).holding(host)).kind(),
        6,
        "not each other's"
    );
}

#[test]
fn one_interface_cannot_hoard_addresses_by_changing_its_identifier() {
    let mut lab = Lab::full(20, 250);
    for duid in 0..100 {
        lab.dora(&linux(1, duid));
    }
    assert_eq!(
        (lab.disk.len(), lab.server.leases_of(mac(1)).count()),
        (8, 8)
    );
}

#[test]
fn a_reserved_address_goes_to_every_system_of_its_machine() {
    let mut lab = Lab::with_reservations(20, 250, vec![reservation(1, Some(ip(5)), None)]);
    for client in [bios_rom(1), ipxe(1), linux(1, 1), linux(1, 2), linux(1, 1)] {
        assert_eq!(lab.dora(&client), ip(5));
    }
}

#[test]
fn the_identifier_is_echoed_as_it_came() {
    let mut lab = Lab::full(20, 250);
    let id = [&[1][..], &mac(2).0].concat();
    assert_eq!(lab.ask(&ipxe(2).kind(1)).option(61), Some(&id[..]));
    assert_eq!(lab.ask(&ovmf(1).kind(1)).option(61), None);
}

#[test]
fn only_the_holder_can_release_or_decline() {
    let mut lab = Lab::full(20, 250);
    let address = lab.dora(&linux(1, 1));
    let before = lab.disk.clone();
    for thief in [linux(2, 1), linux(1, 2)] {
        let release = thief.clone().kind(7).holding(address).server(SERVER);
        assert_eq!(lab.send(&release), Err(dhcp::Discard::NotTheOwner));
        let decline = thief.kind(4).requested(address).server(SERVER);
        assert_eq!(lab.send(&decline), Err(dhcp::Discard::NotTheOwner));
    }
    assert_eq!(lab.disk, before);
}

#[test]
fn a_release_that_does_not_come_from_the_address_is_a_forgery() {
    let mut lab = Lab::full(20, 250);
    let address = lab.dora(&linux(1, 1));
    let bytes = linux(1, 1).kind(7).holding(address).bytes();
    let elsewhere = std::net::SocketAddrV4::new(ip(66), 68);
    assert_eq!(
        lab.send_from(elsewhere, 67, &bytes),
        Err(dhcp::Discard::NotTheOwner)
    );
}
