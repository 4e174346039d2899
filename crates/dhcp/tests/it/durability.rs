//! No acknowledgement for what is not on disk, and none lost.

use std::net::{Ipv4Addr, SocketAddrV4};

use dhcp::{Answer, EventKind, Lease, Now, Pending, Received};

use crate::lab::*;

/// Decides about a packet and leaves the decision waiting for the disk.
#[track_caller]
fn decide(lab: &mut Lab, packet: &Packet) -> Pending {
    let bytes = packet.bytes();
    let source = SocketAddrV4::new(packet.ciaddr, 68);
    let received = Received {
        link: LINK,
        source,
        to_port: 67,
        bytes: &bytes,
    };
    let answer = lab
        .server
        .handle(Now { unix: lab.now }, &received, &lab.policy);
    match answer.expect("an answer") {
        Answer::Pending(pending) => pending,
        Answer::Done(done) => panic!("{done:?} did not wait for the disk"),
    }
}

/// A REQUEST that takes up an offer of this address.
fn selects(number: u32, address: Ipv4Addr) -> Packet {
    linux(number, 1).kind(3).server(SERVER).requested(address)
}

#[test]
fn a_full_disk_means_no_acknowledgement_and_no_lease() {
    let mut lab = Lab::full(20, 20);
    lab.disk_is_full = true;
    assert_eq!(lab.send(&selects(1, ip(20))), Ok(None));
    assert_eq!(
        lab.told(|kind| *kind == EventKind::NotStored { address: ip(20) }),
        1
    );
    lab.disk_is_full = false;
    assert_eq!(lab.dora(&linux(2, 1)), ip(20), "the address is free again");
}

#[test]
fn with_a_full_disk_a_running_lease_is_renewed_for_the_time_it_has() {
    let mut lab = Lab::full(20, 250);
    let address = lab.dora(&linux(1, 1));
    (lab.disk_is_full, lab.now) = (true, lab.now + 5 * HOUR);
    let ack = lab.ask(&linux(1, 1).kind(3).holding(address));
    assert_eq!(
        (ack.kind(), ack.yiaddr, ack.seconds(51)),
        (5, address, 7 * 3600)
    );
    assert_eq!((ack.seconds(58), ack.seconds(59)), (12600, 22050));
    assert_eq!(lab.server.lease(address), lab.disk.get(&address));
}

#[test]
fn an_address_that_waits_for_the_disk_is_given_to_nobody_else() {
    let mut lab = Lab::full(20, 20);
    let waiting = decide(&mut lab, &selects(1, ip(20)));
    assert_eq!(lab.send(&linux(2, 1).kind(1)), Ok(None));
    assert_eq!(lab.ask(&selects(2, ip(20))).kind(), 6);
    let done = lab.server.commit(waiting);
    assert_eq!(done.reply.map(|reply| Seen::decode(&reply).kind()), Some(5));
}

#[test]
fn many_decisions_wait_for_one_write() {
    let mut lab = Lab::full(20, 250);
    let waiting: Vec<_> = (1..=50)
        .map(|number| {
            let packet = selects(number, ip(20 + number as u8));
            decide(&mut lab, &packet)
        })
        .collect();
    for pending in &waiting {
        write(&mut lab.disk, pending.changes());
    }
    let replies = waiting
        .into_iter()
        .filter_map(|pending| lab.server.commit(pending).reply);
    assert_eq!((replies.count(), lab.disk.len()), (50, 50));
}

/// What the disk had in the end is what the book has.
#[track_caller]
fn repeated_request_ends_with(first_is_stored: bool, second_is_stored: bool) -> Option<Lease> {
    let mut lab = Lab::full(20, 20);
    let first = decide(&mut lab, &selects(1, ip(20)));
    lab.now += 4;
    let second = decide(&mut lab, &selects(1, ip(20)));
    for (pending, is_stored) in [(first, first_is_stored), (second, second_is_stored)] {
        if is_stored {
            write(&mut lab.disk, pending.changes());
            let _ = lab.server.commit(pending);
        } else {
            let _ = lab.server.abort(pending);
        }
    }
    assert_eq!(lab.server.lease(ip(20)), lab.disk.get(&ip(20)));
    lab.disk.get(&ip(20)).cloned()
}

#[test]
fn a_repeated_request_ends_as_the_disk_has_it() {
    assert_eq!(repeated_request_ends_with(false, false), None);
    let end = |first, second| repeated_request_ends_with(first, second).map(|l| l.expires_unix);
    assert_eq!(end(true, true), Some(START + 4 + 12 * HOUR));
    assert_eq!(end(true, false), Some(START + 12 * HOUR));
    assert_eq!(end(false, true), Some(START + 4 + 12 * HOUR));
}

#[test]
fn a_release_that_is_not_stored_did_not_happen() {
    let mut lab = Lab::full(20, 20);
    let address = lab.dora(&linux(1, 1));
    lab.disk_is_full = true;
    assert_eq!(lab.send(&linux(1, 1).kind(7).holding(address)), Ok(None));
    assert_eq!(lab.server.lease(address), lab.disk.get(&address));
    assert_eq!(
        lab.send(&linux(2, 1).kind(1)),
        Ok(None),
        "it is still the first client's"
    );
}

#[test]
fn a_move_that_is_not_stored_leaves_the_client_where_it_was() {
    let mut lab = Lab::full(20, 250);
    let old = lab.dora(&linux(1, 1));
    lab.config.reservations = vec![reservation(1, Some(ip(5)), None)];
    lab.server.reconfigure(&lab.config);
    lab.disk_is_full = true;
    assert_eq!(lab.send(&selects(1, ip(5))), Ok(None));
    assert_eq!(lab.server.lease(old), lab.disk.get(&old));
    assert_eq!(lab.server.lease(ip(5)), None);
}

#[test]
fn a_reload_while_a_decision_waits_keeps_it() {
    let mut lab = Lab::full(20, 20);
    let waiting = decide(&mut lab, &selects(1, ip(20)));
    lab.server.reconfigure(&lab.config);
    assert_eq!(lab.send(&linux(2, 1).kind(1)), Ok(None));
    let _ = lab.server.abort(waiting);
    assert_eq!(lab.dora(&linux(2, 1)), ip(20));
}

#[test]
fn a_restart_knows_every_acknowledged_lease() {
    let mut lab = Lab::full(20, 250);
    let before: Vec<_> = (1..=100)
        .map(|number| lab.dora(&linux(number, 1)))
        .collect();
    lab.restart();
    let after: Vec<_> = (1..=100)
        .map(|number| lab.dora(&linux(number, 1)))
        .collect();
    assert_eq!(before, after);
}

#[test]
fn a_clock_years_ahead_at_the_start_moves_no_client() {
    let mut lab = Lab::full(20, 250);
    let before: Vec<_> = (1..=100)
        .map(|number| lab.dora(&linux(number, 1)))
        .collect();
    lab.now += 10 * 365 * 24 * HOUR;
    lab.restart();
    let strangers: Vec<_> = (201..=300)
        .map(|number| lab.dora(&linux(number, 1)))
        .collect();
    assert!(strangers.iter().all(|address| !before.contains(address)));
    let holding = linux(1, 1).kind(3).holding(before[0]);
    assert_eq!(lab.ask(&holding).kind(), 5);
}

#[test]
fn a_lease_written_under_a_clock_years_ahead_ends_in_time() {
    let mut lab = Lab::full(20, 20);
    lab.now += 10 * 365 * 24 * HOUR;
    lab.dora(&linux(1, 1));
    lab.now = START;
    lab.restart();
    assert_eq!(
        lab.send(&linux(2, 1).kind(1)),
        Ok(None),
        "it may still be in use"
    );
    lab.now += 367 * 24 * HOUR;
    assert_eq!(lab.dora(&linux(2, 1)), ip(20));
}

#[test]
fn a_clock_set_back_keeps_nobody_from_an_address() {
    let mut lab = Lab::full(20, 20);
    lab.ask(&linux(1, 1).kind(1));
    lab.now -= 365 * 24 * HOUR;
    assert_eq!(lab.dora(&linux(2, 1)), ip(20));
}

#[test]
fn a_stored_lease_reads_as_it_was_written() {
    let mut lab = Lab::full(20, 250);
    let address = lab.dora(&linux(1, 1).named("pc1"));
    let text = serde_json::to_string(&lab.disk[&address]).expect("plain data");
    assert_eq!(
        serde_json::from_str::<Lease>(&text).expect("the same"),
        lab.disk[&address]
    );
}

#[test]
fn an_address_is_not_free_before_its_leaving_is_stored() {
    let mut lab = Lab::full(20, 20);
    let old = lab.dora(&linux(1, 1));
    lab.config.reservations = vec![reservation(1, Some(ip(5)), None)];
    lab.server.reconfigure(&lab.config);
    let moves = decide(&mut lab, &selects(1, ip(5)));
    assert_eq!(lab.send(&linux(2, 1).kind(1)), Ok(None));
    write(&mut lab.disk, moves.changes());
    let _ = lab.server.commit(moves);
    assert_eq!(lab.dora(&linux(2, 1)), old);
}

#[test]
fn with_a_full_disk_only_the_client_that_is_stored_is_renewed() {
    let mut lab = Lab::full(20, 250);
    let address = lab.dora(&bios_rom(1));
    lab.disk_is_full = true;
    assert_eq!(
        lab.send(&selects(1, address)),
        Ok(None),
        "a later stage of the boot"
    );
    let again = bios_rom(1).kind(3).server(SERVER).requested(address);
    assert_eq!(lab.ask(&again).kind(), 5);
}

#[test]
fn a_server_that_learns_its_links_after_its_leases_forgets_none() {
    let mut lab = Lab::full(20, 20);
    let address = lab.dora(&linux(1, 1));
    let leases = lab.disk.values().cloned();
    let now = Now { unix: START };
    lab.server = dhcp::Server::new(&dhcp::Config::default(), leases, now);
    lab.server.reconfigure(&lab.config);
    lab.now += 11 * HOUR;
    assert_eq!(
        lab.send(&linux(2, 1).kind(1)),
        Ok(None),
        "the first client still has it"
    );
    assert_eq!(lab.ask(&linux(1, 1).kind(3).holding(address)).kind(), 5);
}
