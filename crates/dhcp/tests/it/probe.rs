//! Looking for other servers.

use std::net::{Ipv4Addr, SocketAddrV4};

use dhcp::probe::{ServerReply, ServerReplyKind, discover};

use crate::lab::*;

fn ask(lab: &mut Lab, bytes: &[u8]) -> Option<Vec<u8>> {
    let nobody = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68);
    let sent = lab.transmit_from(nobody, 67, bytes).ok()??;
    Some(sent.bytes)
}

#[test]
fn the_probe_makes_a_server_give_itself_away() {
    let offer = ask(&mut Lab::full(20, 250), &discover(0xdead_beef, mac(9)));
    let seen = ServerReply::decode(&offer.expect("an offer")).expect("a server's reply");
    assert_eq!(
        (seen.kind, seen.transaction),
        (ServerReplyKind::Offer, 0xdead_beef)
    );
    assert_eq!((seen.server, seen.client), (Some(SERVER), Some(mac(9))));
    assert!(seen.gives_addresses());
}

#[test]
fn the_probe_does_not_wake_a_proxy_server() {
    assert_eq!(ask(&mut Lab::proxy(), &discover(1, mac(9))), None);
}

#[test]
fn a_proxy_offer_is_told_from_one_with_an_address() {
    let offer = ask(&mut Lab::proxy(), &ovmf(1).kind(1).bytes()).expect("an offer");
    let seen = ServerReply::decode(&offer).expect("a server's reply");
    assert_eq!((seen.address, seen.gives_addresses()), (None, false));
}

#[test]
fn the_probe_is_a_whole_packet_that_asks_for_a_broadcast() {
    let bytes = discover(1, mac(9));
    assert_eq!((bytes.len(), bytes[0], bytes[10]), (300, 1, 0x80));
}

#[test]
fn clients_messages_and_noise_are_no_servers() {
    let mut reply = ask(&mut Lab::full(20, 250), &discover(1, mac(9))).expect("an offer");
    assert_eq!(ServerReply::decode(&discover(1, mac(9))), None);
    assert_eq!(ServerReply::decode(&reply[..239]), None);
    assert_eq!(ServerReply::decode(&[]), None);
    reply[236] = 0;
    assert_eq!(ServerReply::decode(&reply), None, "another cookie");
}

#[test]
fn dh18_what_another_server_offers_is_read_without_trusting_it() {
    let offered = |packet: &[u8]| ServerReply::decode(packet).expect("a reply").boot_file;
    let mut lab = Lab::full(20, 250);
    let with_file = ask(&mut lab, &ovmf(1).kind(1).bytes()).expect("an offer");
    assert_eq!(offered(&with_file).as_deref(), Some("snponly.efi"));
    let without = ask(&mut lab, &linux(2, 2).kind(1).bytes()).expect("an offer");
    assert_eq!(offered(&without), None);
    let mut rude = without.clone();
    rude[108..236].fill(b'\n');
    rude[110] = b'x';
    assert_eq!(offered(&rude).as_deref(), Some("x"));
    for length in 0..with_file.len() {
        let _ = ServerReply::decode(&with_file[..length]);
    }
}
