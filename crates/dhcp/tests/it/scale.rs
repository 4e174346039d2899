//! The cost of a packet does not grow with the number of leases. Steps are counted, not time: they
//! are the same on every machine.

use dhcp::{Config, Link, Mode};

use crate::lab::*;

const CLIENTS: u32 = 50_000;

/// A network whose pool has this many times 256 addresses.
fn campus(blocks: u8) -> Lab {
    let mut subnet = subnet([10, 0, 0, 0], 15, [10, 0, 1, 0], [10, 0, blocks, 255]);
    subnet.router = None;
    let address = [10, 0, 0, 1].into();
    let link = Link {
        id: LINK,
        address,
        prefix_len: 15,
        mode: Mode::Full,
    };
    Lab::new(Config {
        links: vec![link],
        subnets: vec![subnet],
        reservations: Vec::new(),
    })
}

fn dora(lab: &mut Lab, number: u32) {
    let offer = lab.ask(&linux(number, 1).kind(1));
    let request = linux(number, 1).kind(3).requested(offer.yiaddr);
    assert_eq!(lab.ask(&request.server([10, 0, 0, 1].into())).kind(), 5);
}

#[test]
fn fifty_thousand_leases_cost_a_client_no_more_than_one() {
    let mut lab = campus(255);
    let mut costs = Vec::new();
    for number in 0..CLIENTS {
        let before = lab.server.stats().steps;
        dora(&mut lab, number);
        costs.push(lab.server.stats().steps - before);
    }
    let mean = |costs: &[u64]| costs.iter().sum::<u64>() as f64 / costs.len() as f64;
    let (first, last) = (mean(&costs[..1000]), mean(&costs[49_000..]));
    assert!(
        last <= first + 3.0,
        "first thousand {first}, last thousand {last}"
    );
    assert!(
        costs.iter().all(|cost| *cost <= 16),
        "{:?}",
        costs.iter().max()
    );
    assert_eq!(lab.server.stats().leases, CLIENTS as usize);
}

#[test]
fn a_full_pool_of_ended_leases_costs_a_stranger_no_more() {
    let mut lab = campus(16);
    for number in 0..4096 {
        dora(&mut lab, number);
    }
    lab.now += 13 * HOUR;
    let before = lab.server.stats().steps;
    dora(&mut lab, 100_000);
    assert!(lab.server.stats().steps - before <= 16);
    assert_eq!(lab.server.stats().leases, 4096, "the oldest made room");
}
