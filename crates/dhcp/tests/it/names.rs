//! Names for the local DNS zone.

use crate::lab::*;

#[test]
fn a_lease_is_known_by_the_name_its_client_gives() {
    let mut lab = Lab::full(20, 250);
    let address = lab.dora(&linux(1, 1).named("Lab PC.example.org"));
    assert_eq!(lab.names(), [("lab-pc".to_owned(), address)]);
}

#[test]
fn a_name_ends_with_its_lease() {
    let mut lab = Lab::full(20, 250);
    lab.dora(&linux(1, 1).named("pc1"));
    lab.now += 12 * HOUR;
    assert_eq!(lab.names(), []);
}

#[test]
fn the_operators_name_wins_over_the_clients() {
    let mut lab = Lab::with_reservations(20, 250, vec![reservation(1, None, Some("gpu1"))]);
    let address = lab.dora(&linux(1, 1).named("kubuntu"));
    assert_eq!(lab.names(), [("gpu1".to_owned(), address)]);
    assert_eq!(lab.disk[&address].hostname.as_deref(), Some("gpu1"));
}

#[test]
fn nobody_gets_a_name_that_the_operator_gave_to_another() {
    let mut lab = Lab::with_reservations(20, 250, vec![reservation(1, None, Some("GPU1"))]);
    lab.dora(&linux(2, 2).named("gpu1"));
    assert_eq!(lab.names(), []);
}

#[test]
fn a_name_belongs_to_the_first_that_has_it() {
    let mut lab = Lab::full(20, 250);
    let first = lab.dora(&linux(1, 1).named("nas"));
    lab.dora(&linux(2, 2).named("nas"));
    assert_eq!(lab.names(), [("nas".to_owned(), first)]);
    lab.now += 13 * HOUR;
    let second = lab.dora(&linux(2, 2).named("nas"));
    assert_eq!(
        lab.names(),
        [("nas".to_owned(), second)],
        "until the first is gone"
    );
}

#[test]
fn a_renewal_without_a_name_keeps_it_and_so_does_a_restart() {
    let mut lab = Lab::full(20, 250);
    let address = lab.dora(&linux(1, 1).named("pc1"));
    lab.ask(&linux(1, 1).kind(3).holding(address));
    lab.restart();
    assert_eq!(lab.names(), [("pc1".to_owned(), address)]);
}

#[test]
fn a_new_reservation_renames_at_once() {
    let mut lab = Lab::full(20, 250);
    let address = lab.dora(&linux(1, 1).named("pc1"));
    lab.config.reservations = vec![reservation(1, None, Some("gpu1"))];
    lab.server.reconfigure(&lab.config);
    assert_eq!(lab.names(), [("gpu1".to_owned(), address)]);
}
