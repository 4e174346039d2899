//! What an operator may do to the lease book.

use dhcp::{BindingState, Lease, Now, Refusal};

use crate::lab::*;

fn foreign(number: u32, last: u8, expires_unix: u64) -> Lease {
    Lease {
        address: ip(last),
        mac: mac(number),
        client_id: None,
        hostname: Some("Old PC.example.org".to_owned()),
        expires_unix,
        state: BindingState::Bound,
    }
}

/// Takes leases over, the disk willing; what was left out and why.
fn take_over(lab: &mut Lab, leases: Vec<Lease>) -> Vec<Refusal> {
    let (pending, left_out) = lab.server.take_over(Now { unix: lab.now }, leases);
    if let Some(pending) = pending {
        write(&mut lab.disk, pending.changes());
        let _ = lab.server.commit(pending);
    }
    left_out.into_iter().map(|(_, refusal)| refusal).collect()
}

#[test]
fn a_lease_of_another_server_is_the_clients_here() {
    let mut lab = Lab::full(20, 250);
    let left_out = take_over(&mut lab, vec![foreign(1, 77, START + HOUR)]);
    assert_eq!(left_out, []);
    assert_eq!(lab.disk[&ip(77)].hostname.as_deref(), Some("old-pc"));
    assert_eq!(lab.dora(&linux(1, 1)), ip(77));
}

#[test]
fn what_does_not_fit_is_left_out_with_the_reason() {
    let mut lab = Lab::full(20, 250);
    lab.config.reservations = vec![reservation(9, Some(ip(30)), None)];
    lab.server.reconfigure(&lab.config);
    let held = lab.dora(&linux(1, 1));
    let last = held.octets()[3];
    let mut elsewhere = foreign(4, 1, START + HOUR);
    elsewhere.address = [10, 9, 8, 7].into();
    let leases = vec![
        elsewhere,
        foreign(2, 10, START + HOUR),
        foreign(2, 1, START + HOUR),
        foreign(2, 30, START + HOUR),
        foreign(2, last, START + HOUR),
        foreign(1, if last == 99 { 98 } else { 99 }, START + HOUR),
        foreign(2, 50, START),
    ];
    let before = lab.disk.clone();
    let expected = [
        Refusal::NoSubnet,
        Refusal::NotInPool,
        Refusal::Taken,
        Refusal::Reserved(mac(9).into()),
        Refusal::Leased(mac(1)),
        Refusal::HasOther(held),
        Refusal::Ended,
    ];
    assert_eq!(take_over(&mut lab, leases), expected);
    assert_eq!(lab.disk, before);
}

#[test]
fn an_import_that_cannot_be_stored_did_not_happen() {
    let mut lab = Lab::full(20, 250);
    let leases = (20..30).map(|last| foreign(last.into(), last, START + HOUR));
    let (pending, _) = lab.server.take_over(Now { unix: START }, leases);
    let _ = lab.server.abort(pending.expect("ten leases"));
    assert_eq!(lab.server.leases().count(), 0);
}

#[test]
fn a_lease_that_never_ends_is_taken_for_a_year() {
    let mut lab = Lab::full(20, 250);
    take_over(&mut lab, vec![foreign(1, 77, u64::MAX)]);
    assert_eq!(lab.disk[&ip(77)].expires_unix, START + 366 * 24 * HOUR);
}

#[test]
fn an_ended_lease_leaves_its_address_to_anybody() {
    let mut lab = Lab::full(20, 20);
    let address = lab.dora(&linux(1, 1));
    let ended = lab
        .server
        .end_leases(Now { unix: lab.now }, &[address, ip(99)]);
    let pending = ended.unwrap().expect("one lease");
    write(&mut lab.disk, pending.changes());
    let _ = lab.server.commit(pending);
    assert_eq!((lab.server.leases().count(), lab.disk.len()), (0, 0));
    assert_eq!(lab.dora(&linux(2, 1)), address);
}

#[test]
fn the_lease_of_a_running_client_is_not_ended() {
    let mut lab = Lab::full(20, 20);
    let address = lab.dora(&linux(1, 1));
    let now = Now { unix: lab.now };
    lab.server.heard_of(now, address);
    let ended = lab.server.end_leases(now, &[address]);
    assert_eq!(ended.unwrap_err(), (address, Refusal::InUse));
    assert_eq!(lab.server.leases().count(), 1);
}
