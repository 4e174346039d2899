//! Clients and the full server, message by message (RFC 2131 sections 3 and 4.3).

use std::net::{Ipv4Addr, SocketAddrV4};

use dhcp::{BindingState, Destination, Discard, EventKind};

use crate::lab::*;

#[test]
fn a_client_gets_an_address_in_four_messages() {
    let mut lab = Lab::full(20, 250);
    let address = lab.dora(&linux(1, 1));
    assert!((20..=250).contains(&address.octets()[3]));
    assert_eq!(lab.disk[&address].expires_unix, START + 12 * HOUR);
    assert_eq!(lab.kinds(), ["discover", "offer", "ack"]);
}

#[test]
fn a_client_without_an_address_is_answered_at_its_card() {
    let mut lab = Lab::full(20, 250);
    let offer = lab.ask(&linux(1, 1).kind(1));
    let to = Destination::Card(mac(1), SocketAddrV4::new(offer.yiaddr, 68));
    assert_eq!((offer.destination, offer.from_port), (to, 67));
    let request = linux(1, 1).kind(3).requested(offer.yiaddr).server(SERVER);
    assert_eq!(lab.ask(&request).destination, to);
}

#[test]
fn who_asks_for_a_broadcast_or_is_firmware_hears_a_broadcast() {
    let mut lab = Lab::full(20, 250);
    let mut flagged = linux(1, 1);
    flagged.flags = 0x8000;
    for packet in [flagged, ovmf(3), ipxe(4)] {
        let offer = lab.ask(&packet.kind(1));
        assert_eq!(offer.destination, Destination::Broadcast(68));
    }
}

#[test]
fn an_offer_describes_the_network_and_nothing_to_boot() {
    let mut lab = Lab::full(20, 250);
    let offer = lab.ask(&linux(1, 1).kind(1));
    assert_eq!(offer.codes(), [53, 54, 61, 51, 58, 59, 1, 3, 6, 15, 28]);
    assert_eq!(
        (offer.option(1), offer.option(28)),
        (
            Some(&[255, 255, 255, 0][..]),
            Some(&[192, 168, 67, 255][..])
        )
    );
    assert_eq!(
        (offer.seconds(51), offer.seconds(58), offer.seconds(59)),
        (43200, 21600, 37800)
    );
    assert_eq!((offer.file.as_str(), offer.sname.as_str()), ("", ""));
}

#[test]
fn an_offer_is_not_a_lease() {
    let mut lab = Lab::full(20, 250);
    lab.ask(&linux(1, 1).kind(1));
    assert_eq!((lab.disk.len(), lab.server.stats().leases), (0, 0));
    assert_eq!(lab.server.stats().offers, 1);
}

#[test]
fn renewing_extends_the_lease_and_is_answered_at_the_clients_address() {
    let mut lab = Lab::full(20, 250);
    let address = lab.dora(&linux(1, 1));
    lab.now += 6 * HOUR;
    let ack = lab.ask(&linux(1, 1).kind(3).holding(address));
    assert_eq!(
        ack.destination,
        Destination::Unicast(SocketAddrV4::new(address, 68))
    );
    assert_eq!((ack.kind(), ack.yiaddr, ack.ciaddr), (5, address, address));
    assert_eq!(lab.disk[&address].expires_unix, lab.now + 12 * HOUR);
}

#[test]
fn a_rebooting_client_keeps_its_address() {
    let mut lab = Lab::full(20, 250);
    let address = lab.dora(&linux(1, 1));
    let ack = lab.ask(&linux(1, 1).kind(3).requested(address));
    assert_eq!(
        (ack.kind(), ack.yiaddr, ack.destination.address()),
        (5, address, SocketAddrV4::new(address, 68))
    );
}

#[test]
fn a_client_from_another_network_is_told_so_at_once() {
    let mut lab = Lab::full(20, 250);
    let nak = lab.ask(&linux(1, 1).kind(3).requested(Ipv4Addr::new(10, 9, 8, 7)));
    assert_eq!((nak.kind(), nak.yiaddr), (6, Ipv4Addr::UNSPECIFIED));
    assert_eq!(nak.destination, Destination::Broadcast(68));
    assert_eq!(nak.codes(), [53, 54, 61, 56]);
}

#[test]
fn a_lost_lease_file_is_rebuilt_from_clients_that_renew() {
    let mut lab = Lab::full(20, 250);
    let address = lab.dora(&linux(1, 1));
    lab.disk.clear();
    lab.restart();
    assert_eq!(lab.ask(&linux(1, 1).kind(3).holding(address)).kind(), 5);
    assert_eq!(lab.disk[&address].mac, mac(1));
}

#[test]
fn an_address_of_somebody_else_is_refused_in_every_state() {
    let mut lab = Lab::full(20, 250);
    let address = lab.dora(&linux(1, 1));
    let thief = linux(2, 2).kind(3);
    assert_eq!(
        lab.ask(&thief.clone().server(SERVER).requested(address))
            .kind(),
        6
    );
    assert_eq!(lab.ask(&thief.clone().requested(address)).kind(), 6);
    assert_eq!(lab.ask(&thief.holding(address)).kind(), 6);
    assert_eq!(lab.disk[&address].mac, mac(1));
}

#[test]
fn addresses_outside_the_pool_are_nobodys() {
    let mut lab = Lab::full(20, 250);
    for last in [0, 1, 19, 251, 255] {
        let ask = linux(1, 1).kind(3).server(SERVER).requested(ip(last));
        assert_eq!(lab.ask(&ask).kind(), 6, "{last}");
    }
}

#[test]
fn the_server_itself_is_never_given_away_though_the_pool_holds_it() {
    let mut lab = Lab::full(1, 2);
    assert_eq!(lab.dora(&linux(1, 1)), ip(2));
    assert_eq!(lab.send(&linux(2, 2).kind(1)), Ok(None));
}

#[test]
fn a_client_that_chooses_another_server_gives_its_offer_back_and_the_other_is_told() {
    let mut lab = Lab::full(20, 250);
    lab.ask(&linux(1, 1).kind(1));
    let chooses = linux(1, 1).kind(3).server(ip(9)).requested(ip(77));
    assert_eq!(lab.send(&chooses), Ok(None));
    assert_eq!(
        lab.told(|kind| *kind == EventKind::ForeignServer { server: ip(9) }),
        1
    );
    assert_eq!(lab.server.stats().offers, 0);
}

#[test]
fn two_clients_that_ask_at_once_are_offered_two_addresses() {
    let mut lab = Lab::full(20, 21);
    let first = lab.ask(&linux(1, 1).kind(1)).yiaddr;
    let second = lab.ask(&linux(2, 2).kind(1)).yiaddr;
    assert_ne!(first, second);
    assert_eq!(
        lab.ask(&linux(1, 1).kind(1)).yiaddr,
        first,
        "asking again changes nothing"
    );
}

#[test]
fn a_full_pool_says_so_and_sends_nothing() {
    let mut lab = Lab::full(20, 20);
    lab.dora(&linux(1, 1));
    assert_eq!(lab.send(&linux(2, 2).kind(1)), Ok(None));
    assert_eq!(lab.told(|kind| *kind == EventKind::PoolExhausted), 1);
}

#[test]
fn an_ended_lease_is_given_away_only_when_nothing_else_is_left() {
    let mut lab = Lab::full(20, 22);
    let old = lab.dora(&linux(1, 1));
    lab.now += 13 * HOUR;
    let others = [lab.dora(&linux(2, 2)), lab.dora(&linux(3, 3))];
    assert!(!others.contains(&old));
    assert_eq!(lab.dora(&linux(4, 4)), old);
}

#[test]
fn a_client_that_returns_after_its_lease_ended_gets_its_old_address() {
    let mut lab = Lab::full(20, 250);
    let old = lab.dora(&linux(1, 1));
    lab.now += 1000 * HOUR;
    lab.restart();
    assert_eq!(lab.dora(&linux(1, 1).requested(ip(99))), old);
}

#[test]
fn a_client_gets_the_free_address_it_asks_for() {
    let mut lab = Lab::full(20, 250);
    assert_eq!(
        lab.ask(&linux(1, 1).kind(1).requested(ip(99))).yiaddr,
        ip(99)
    );
}

#[test]
fn without_any_memory_a_client_gets_the_same_address_again() {
    let first = Lab::full(20, 250).dora(&linux(1, 1));
    assert_eq!(Lab::full(20, 250).dora(&linux(1, 2)), first);
}

#[test]
fn a_reservation_is_kept_for_its_client_and_wins_over_everything() {
    let mut lab = Lab::with_reservations(20, 21, vec![reservation(7, Some(ip(20)), Some("pc7"))]);
    assert_eq!(lab.dora(&linux(1, 1).requested(ip(20))), ip(21));
    assert_eq!(
        lab.send(&linux(2, 2).kind(1)),
        Ok(None),
        "the reserved one is not for others"
    );
    let offer = lab.ask(&linux(7, 7).kind(1).requested(ip(21)));
    assert_eq!(
        (offer.yiaddr, offer.option(12)),
        (ip(20), Some(&b"pc7"[..]))
    );
}

#[test]
fn a_reservation_may_lie_outside_the_pool() {
    let mut lab = Lab::with_reservations(20, 21, vec![reservation(7, Some(ip(5)), None)]);
    assert_eq!(lab.dora(&linux(7, 7)), ip(5));
    assert_eq!(lab.ask(&linux(7, 7).kind(3).holding(ip(5))).kind(), 5);
}

#[test]
fn a_new_reservation_moves_a_client_that_has_a_lease() {
    let mut lab = Lab::full(20, 250);
    let old = lab.dora(&linux(7, 7));
    lab.config.reservations = vec![reservation(7, Some(ip(5)), None)];
    lab.server.reconfigure(&lab.config);
    assert_eq!(lab.ask(&linux(7, 7).kind(3).holding(old)).kind(), 6);
    assert_eq!(lab.dora(&linux(7, 7)), ip(5));
    assert!(!lab.disk.contains_key(&old));
}

#[test]
fn a_reserved_address_that_is_still_leased_waits_for_its_end() {
    let mut lab = Lab::full(20, 250);
    let old = lab.dora(&linux(1, 1));
    lab.config.reservations = vec![reservation(7, Some(old), None)];
    lab.server.reconfigure(&lab.config);
    assert_ne!(lab.dora(&linux(7, 7)), old);
    assert_eq!(
        lab.ask(&linux(1, 1).kind(3).holding(old)).kind(),
        6,
        "its holder must move"
    );
    lab.now += 13 * HOUR;
    assert_eq!(lab.dora(&linux(7, 7)), old);
}

#[test]
fn a_lease_of_a_pool_that_is_gone_is_not_renewed() {
    let mut lab = Lab::full(20, 250);
    let old = lab.dora(&linux(1, 1).requested(ip(200)));
    lab.config.subnets[0].pool = vec![(ip(20), ip(100))];
    lab.server.reconfigure(&lab.config);
    assert_eq!(lab.server.lease(old).map(|lease| lease.mac), Some(mac(1)));
    assert_eq!(lab.ask(&linux(1, 1).kind(3).holding(old)).kind(), 6);
}

#[test]
fn a_released_address_is_kept_for_its_client_while_there_are_others() {
    let mut lab = Lab::full(20, 21);
    let old = lab.dora(&linux(1, 1));
    assert_eq!(
        lab.send(&linux(1, 1).kind(7).holding(old).server(SERVER)),
        Ok(None)
    );
    assert_eq!(lab.disk[&old].state, BindingState::Released);
    assert_ne!(lab.dora(&linux(2, 2)), old);
    assert_eq!(lab.dora(&linux(1, 1)), old);
}

#[test]
fn a_declined_address_goes_to_nobody_for_an_hour() {
    let mut lab = Lab::full(20, 27);
    let bad = lab.dora(&linux(1, 1));
    assert_eq!(
        lab.send(&linux(1, 1).kind(4).requested(bad).server(SERVER)),
        Ok(None)
    );
    assert_eq!(
        lab.told(|kind| *kind == EventKind::Declined { address: bad }),
        1
    );
    lab.restart();
    let given: Vec<_> = (1..8).map(|number| lab.dora(&linux(number, 1))).collect();
    assert!(!given.contains(&bad), "{given:?}");
    assert_eq!(lab.send(&linux(9, 9).kind(1)), Ok(None));
    lab.now += HOUR;
    assert_eq!(lab.dora(&linux(9, 9)), bad);
}

#[test]
fn declining_cannot_empty_the_pool() {
    let mut lab = Lab::full(20, 59);
    for number in 0..200 {
        let address = lab.dora(&linux(number, 1));
        let declined = linux(number, 1).kind(4).requested(address).server(SERVER);
        assert_eq!(lab.send(&declined), Ok(None));
    }
    let declined = lab
        .disk
        .values()
        .filter(|lease| lease.state == BindingState::Declined);
    assert_eq!(declined.count(), 10, "a quarter of the pool");
}

#[test]
fn an_informing_client_hears_the_options_at_its_address() {
    let mut lab = Lab::full(20, 250);
    let ack = lab.ask(&linux(1, 1).kind(8).holding(ip(9)));
    assert_eq!(
        ack.destination,
        Destination::Unicast(SocketAddrV4::new(ip(9), 68))
    );
    assert_eq!(
        (ack.kind(), ack.yiaddr, ack.ciaddr),
        (5, Ipv4Addr::UNSPECIFIED, ip(9))
    );
    assert_eq!(ack.codes(), [53, 54, 61, 1, 3, 6, 15, 28], "no lease times");
    assert!(lab.disk.is_empty());
}

#[test]
fn an_informing_client_outside_our_networks_is_not_answered() {
    let mut lab = Lab::full(20, 250);
    let stray = linux(1, 1).kind(8).holding(Ipv4Addr::new(8, 8, 8, 8));
    assert_eq!(lab.send(&stray), Err(Discard::NoReplyAddress));
}

#[test]
fn a_client_may_ask_for_a_shorter_lease_within_reason() {
    let mut lab = Lab::full(20, 250);
    for (asked, granted) in [(3600_u32, 3600), (1, 120), (0, 120), (u32::MAX, 43200)] {
        let offer = lab.ask(&linux(1, 1).kind(1).option(51, &asked.to_be_bytes()));
        assert_eq!(offer.seconds(51), granted, "{asked}");
    }
}

#[test]
fn a_client_that_was_heard_of_keeps_its_address_after_its_lease() {
    let mut lab = Lab::full(20, 20);
    let address = lab.dora(&linux(1, 1));
    lab.now += 11 * HOUR;
    lab.server.heard_of(dhcp::Now { unix: lab.now }, address);
    lab.now += 11 * HOUR;
    assert_eq!(
        lab.send(&linux(2, 2).kind(1)),
        Ok(None),
        "the client still runs from there"
    );
    lab.now += 2 * HOUR;
    assert_eq!(lab.dora(&linux(2, 2)), address);
}

#[test]
fn whom_the_policy_refuses_hears_nothing() {
    struct Nobody;
    impl dhcp::BootPolicy for Nobody {
        fn boot_file(&self, _: &dhcp::ClientInfo, _: Ipv4Addr) -> Option<dhcp::BootFile> {
            None
        }
        fn may_answer(&self, _: model::MacAddr) -> bool {
            false
        }
    }
    let mut lab = Lab::full(20, 250);
    let bytes = linux(1, 1).kind(1).bytes();
    let source = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68);
    let received = dhcp::Received {
        link: LINK,
        source,
        to_port: 67,
        bytes: &bytes,
    };
    let answer = lab
        .server
        .handle(dhcp::Now { unix: START }, &received, &Nobody);
    assert_eq!(answer.err(), Some(Discard::Refused));
}
