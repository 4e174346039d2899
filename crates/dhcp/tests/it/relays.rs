//! Clients behind relay agents (RFC 1542, RFC 3046, RFC 3527, RFC 5107).

use std::net::{Ipv4Addr, SocketAddrV4};

use dhcp::{Config, Destination, Discard, Mode};

use crate::lab::*;

const RELAY: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 1);
const CIRCUIT: &[u8] = &[1, 4, b'e', b't', b'h', b'7'];

fn lab() -> Lab {
    let mut config = config(Mode::Full, 20, 250);
    config
        .subnets
        .push(subnet([10, 1, 0, 0], 24, [10, 1, 0, 50], [10, 1, 0, 99]));
    config
        .subnets
        .push(subnet([10, 2, 0, 0], 24, [10, 2, 0, 50], [10, 2, 0, 99]));
    Lab::new(Config {
        reservations: Vec::new(),
        ..config
    })
}

#[test]
fn a_relayed_client_gets_an_address_of_the_relays_network() {
    let mut lab = lab();
    let offer = lab.ask(&linux(1, 1).kind(1).through(RELAY));
    assert_eq!(offer.yiaddr.octets()[..3], [10, 1, 0]);
    assert_eq!(
        offer.destination,
        Destination::Relay(SocketAddrV4::new(RELAY, 67))
    );
    assert_eq!(
        (offer.giaddr, offer.option(3)),
        (RELAY, Some(&RELAY.octets()[..]))
    );
    assert_eq!(offer.option(54), Some(&SERVER.octets()[..]));
}

#[test]
fn a_relayed_boot_client_gets_its_boot_file() {
    let offer = lab().ask(&ovmf(1).kind(1).through(RELAY));
    assert_eq!((offer.file.as_str(), offer.siaddr), ("snponly.efi", SERVER));
}

#[test]
fn the_relays_option_comes_back_unchanged_and_last() {
    let offer = lab().ask(&linux(1, 1).option(82, CIRCUIT).kind(1).through(RELAY));
    assert_eq!(offer.options.last(), Some(&(82, CIRCUIT.to_vec())));
}

#[test]
fn a_malformed_relay_option_is_not_echoed() {
    for bad in [
        &[][..],
        &[1],
        &[1, 9, 1],
        &[1, 1, 7, 5],
        &[0, 1, 7],
        &[1, 255],
    ] {
        let offer = lab().ask(&linux(1, 1).option(82, bad).kind(1).through(RELAY));
        assert_eq!(offer.option(82), None, "{bad:?}");
    }
}

#[test]
fn a_switch_that_is_no_relay_gets_its_option_back() {
    let offer = lab().ask(&linux(1, 1).option(82, CIRCUIT).kind(1));
    assert_eq!(offer.options.last(), Some(&(82, CIRCUIT.to_vec())));
}

#[test]
fn without_a_relay_the_option_decides_nothing() {
    let plain = lab().ask(&linux(1, 1).kind(1));
    for wish in [[5, 4, 10, 2, 0, 0], [11, 4, 10, 1, 0, 1]] {
        let offer = lab().ask(&linux(1, 1).option(82, &wish).kind(1));
        assert_eq!(
            (offer.yiaddr, offer.option(54)),
            (plain.yiaddr, plain.option(54))
        );
    }
}

#[test]
fn a_relay_can_name_another_network_for_the_client() {
    let link_selection = [5, 4, 10, 2, 0, 0];
    let offer = lab().ask(
        &linux(1, 1)
            .option(82, &link_selection)
            .kind(1)
            .through(RELAY),
    );
    assert_eq!(offer.yiaddr.octets()[..3], [10, 2, 0]);
    assert_eq!(
        offer.destination,
        Destination::Relay(SocketAddrV4::new(RELAY, 67))
    );
}

#[test]
fn a_relay_can_take_our_place_in_option_54() {
    let mut lab = lab();
    let client = linux(1, 1).option(82, &[11, 4, 10, 1, 0, 1]).through(RELAY);
    let offer = lab.ask(&client.clone().kind(1));
    assert_eq!(offer.option(54), Some(&RELAY.octets()[..]));
    let ack = lab.ask(&client.kind(3).server(RELAY).requested(offer.yiaddr));
    assert_eq!((ack.kind(), ack.option(54)), (5, Some(&RELAY.octets()[..])));
}

#[test]
fn we_send_to_relays_of_our_own_networks_only() {
    let strangers = [
        [10, 3, 0, 1],
        [255, 255, 255, 255],
        [127, 0, 0, 1],
        [10, 1, 0, 255],
        [10, 1, 0, 0],
        [224, 0, 0, 1],
        SERVER.octets(),
    ];
    for relay in strangers {
        let discover = linux(1, 1).kind(1).through(relay.into());
        assert_eq!(
            lab().send(&discover),
            Err(Discard::UnknownRelay),
            "{relay:?}"
        );
    }
}

#[test]
fn a_refusal_through_a_relay_tells_it_to_broadcast() {
    let nak = lab().ask(&linux(1, 1).kind(3).requested(ip(30)).through(RELAY));
    assert_eq!((nak.kind(), nak.flags), (6, 0x8000));
    assert_eq!(
        nak.destination,
        Destination::Relay(SocketAddrV4::new(RELAY, 67))
    );
}

#[test]
fn a_client_behind_a_relay_renews_by_itself() {
    let mut lab = lab();
    let offer = lab.ask(&linux(1, 1).kind(1).through(RELAY));
    let address = offer.yiaddr;
    lab.ask(
        &linux(1, 1)
            .kind(3)
            .server(SERVER)
            .requested(address)
            .through(RELAY),
    );
    let ack = lab.ask(&linux(1, 1).kind(3).holding(address));
    assert_eq!((ack.kind(), ack.option(3)), (5, Some(&RELAY.octets()[..])));
    assert_eq!(
        ack.destination,
        Destination::Unicast(SocketAddrV4::new(address, 68))
    );
}

#[test]
fn a_refusal_to_a_client_behind_a_router_can_only_go_to_its_address() {
    let far = Ipv4Addr::new(10, 1, 0, 200);
    let nak = lab().ask(&linux(1, 1).kind(3).holding(far));
    assert_eq!(nak.kind(), 6);
    assert_eq!(
        nak.destination,
        Destination::Unicast(SocketAddrV4::new(far, 68))
    );
}

#[test]
fn a_machine_has_one_address_in_each_network_it_visits() {
    let mut lab = lab();
    let here = lab.dora(&linux(1, 1));
    let there = lab.dora(&linux(1, 1).through(RELAY));
    assert_eq!(there.octets()[..3], [10, 1, 0]);
    assert_eq!(lab.dora(&linux(1, 1)), here);
}

#[test]
fn a_proxy_answers_through_relays_too() {
    let mut lab = Lab::new(Config {
        links: config(Mode::Proxy, 20, 250).links,
        ..lab().config
    });
    let offer = lab.ask(&ovmf(1).kind(1).through(RELAY));
    assert_eq!(
        offer.destination,
        Destination::Relay(SocketAddrV4::new(RELAY, 67))
    );
}
