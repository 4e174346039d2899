//! Somebody has an address of the pool without a lease.

use std::net::Ipv4Addr;

use crate::lab::*;

/// Asks for what is to be asked for; only these answer.
fn probe(lab: &mut Lab, answer: &[(Ipv4Addr, u32)]) -> Vec<Ipv4Addr> {
    let asked = lab.server.to_probe(LINK, 1000);
    for address in &asked {
        match answer.iter().find(|(held, _)| held == address) {
            Some((_, number)) => lab.server.has_holder(*address, mac(*number)),
            None => lab.server.has_no_holder(*address),
        };
    }
    asked
}

#[test]
fn an_address_that_answers_is_given_to_nobody_until_it_is_silent() {
    let mut lab = Lab::full(20, 25);
    probe(&mut lab, &[(ip(20), 99)]);
    assert_eq!(lab.server.set_aside(), [(ip(20), mac(99))]);
    let given: Vec<_> = (1..6).map(|number| lab.dora(&linux(number, 1))).collect();
    assert!(!given.contains(&ip(20)), "{given:?}");
    let wanted = linux(7, 7).kind(3).server(SERVER).requested(ip(20));
    assert_eq!(lab.ask(&wanted).kind(), 6);
    assert!(lab.server.has_no_holder(ip(20)));
    assert_eq!(lab.dora(&linux(8, 8)), ip(20));
}

#[test]
fn what_was_asked_for_is_given_before_what_was_not() {
    let mut lab = Lab::full(20, 250);
    let first = lab.server.to_probe(LINK, 3);
    assert_eq!(first, [ip(20), ip(21), ip(22)], "the first ones first");
    first.iter().for_each(|address| {
        lab.server.has_no_holder(*address);
    });
    let mut given: Vec<_> = (1..4).map(|number| lab.dora(&linux(number, 1))).collect();
    given.sort();
    assert_eq!(given, first);
    lab.dora(&linux(4, 1));
}

#[test]
fn each_address_is_asked_for_once_and_none_that_is_in_use() {
    let mut lab = Lab::with_reservations(20, 29, vec![reservation(7, Some(ip(25)), None)]);
    let leased = lab.dora(&linux(1, 1));
    let asked = probe(&mut lab, &[]);
    assert_eq!(asked.len(), 8, "{asked:?}");
    assert!(!asked.contains(&leased) && !asked.contains(&ip(25)));
    lab.ask(&linux(2, 2).kind(1));
    lab.now += 60;
    lab.ask(&linux(3, 3).kind(1));
    let again = probe(&mut lab, &[]);
    assert!(again.is_empty(), "an offer that ran out: {again:?}");
}

#[test]
fn an_answer_that_comes_after_the_address_was_leased_changes_nothing() {
    let mut lab = Lab::full(20, 21);
    let leased = lab.dora(&linux(1, 1));
    assert!(!lab.server.has_holder(leased, mac(1)));
    assert_eq!(lab.server.set_aside(), []);
}

#[test]
fn a_client_whose_lease_was_lost_keeps_the_address_that_it_answers_for() {
    let mut lab = Lab::full(20, 250);
    probe(&mut lab, &[(ip(30), 1)]);
    assert_eq!(lab.ask(&linux(1, 1).kind(3).holding(ip(30))).kind(), 5);
    assert_eq!(lab.server.set_aside(), []);
}

#[test]
fn one_who_answers_for_everything_leaves_three_quarters() {
    let mut lab = Lab::full(20, 39);
    let all: Vec<_> = (20..40).map(|last| (ip(last), 99)).collect();
    probe(&mut lab, &all);
    assert_eq!(lab.server.set_aside().len(), 5);
    assert!(probe(&mut lab, &all).is_empty(), "and is not asked again");
    (1..16).for_each(|number| {
        lab.dora(&linux(number, 1));
    });
}

#[test]
fn what_is_set_aside_stays_so_when_the_configuration_changes() {
    let mut lab = Lab::full(20, 25);
    probe(&mut lab, &[(ip(20), 99)]);
    let config = lab.config.clone();
    lab.server.reconfigure(&config);
    assert_eq!(lab.server.set_aside(), [(ip(20), mac(99))]);
}
