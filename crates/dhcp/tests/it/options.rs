//! Options of the operator's, for those who ask for them.

use crate::lab::*;

/// A lab that knows a time server (42), a search list (119) and these routes (121).
fn lab(routes: &[u8]) -> Lab {
    let mut config = config(dhcp::Mode::Full, 20, 250);
    config.subnets[0].options = vec![
        (42, vec![10, 0, 0, 9]),
        (119, b"\x03lab\0".to_vec()),
        (121, routes.to_vec()),
    ];
    Lab::new(config)
}

#[test]
fn a_client_hears_what_it_asks_for_and_nothing_else() {
    let offer = lab(&[]).ask(&linux(1, 1).kind(1).option(55, &[1, 3, 42]));
    assert_eq!(offer.option(42), Some(&[10, 0, 0, 9][..]));
    assert_eq!(offer.option(119), None);
}

#[test]
fn a_client_that_says_nothing_of_what_it_wants_hears_everything() {
    let offer = lab(&[]).ask(&linux(1, 1).kind(1));
    assert!(offer.option(42).is_some() && offer.option(119).is_some());
}

#[test]
fn the_router_is_among_the_routes_unless_they_name_another() {
    let ask = |routes: &[u8]| {
        let offer = lab(routes).ask(&linux(1, 1).kind(1).option(55, &[121]));
        offer.option(121).map(<[u8]>::to_vec)
    };
    let ten = [8, 10, 192, 168, 67, 9];
    let router = [0, 192, 168, 67, 1];
    assert_eq!(ask(&ten), Some([&ten[..], &router].concat()));
    let own = [0, 192, 168, 67, 7];
    let both = [&ten[..], &own].concat();
    assert_eq!(ask(&both), Some(both.clone()));
}

#[test]
fn what_is_for_the_client_wins_over_what_is_for_its_subnet() {
    let mut lab = lab(&[]);
    lab.policy.options = vec![
        (mac(1), 42, vec![10, 0, 0, 8]),
        (mac(1), 7, vec![10, 0, 0, 7]),
    ];
    let own = lab.ask(&linux(1, 1).kind(1).option(55, &[7, 42]));
    assert_eq!(own.option(42), Some(&[10, 0, 0, 8][..]));
    assert_eq!(own.option(7), Some(&[10, 0, 0, 7][..]));
    assert_eq!(own.codes().iter().filter(|code| **code == 42).count(), 1);
    let other = lab.ask(&linux(2, 2).kind(1).option(55, &[7, 42]));
    assert_eq!(other.option(42), Some(&[10, 0, 0, 9][..]));
    assert_eq!(other.option(7), None);
}

#[test]
fn routes_of_a_client_have_the_router_of_its_subnet() {
    let mut lab = lab(&[]);
    let ten = vec![8, 10, 192, 168, 67, 9];
    lab.policy.options = vec![(mac(1), 121, ten.clone())];
    let offer = lab.ask(&linux(1, 1).kind(1).option(55, &[121]));
    assert_eq!(
        offer.option(121),
        Some(&[&ten[..], &[0, 192, 168, 67, 1]].concat()[..])
    );
}
