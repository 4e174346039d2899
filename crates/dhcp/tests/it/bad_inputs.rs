//! The rows DH-01 to DH-13 of the list of inputs that must never hurt us.

use std::net::{Ipv4Addr, SocketAddrV4};

use dhcp::{BindingState, Discard};

use crate::lab::*;

const NOBODY: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68);

#[track_caller]
fn discarded(bytes: &[u8], expected: Discard) {
    for (mut lab, port) in [
        (Lab::full(20, 250), 67),
        (Lab::proxy(), 67),
        (Lab::full(20, 250), 4011),
    ] {
        assert_eq!(lab.send_from(NOBODY, port, bytes), Err(expected));
    }
}

#[test]
fn dh01_short_packets_and_wrong_cookies_are_not_answered() {
    let whole = linux(1, 1).kind(1).bytes();
    for len in [0, 1, 43, 235, 237, 239] {
        discarded(&whole[..len], Discard::TooShort);
    }
    let mut other_cookie = whole.clone();
    other_cookie[239] ^= 1;
    discarded(&other_cookie, Discard::BadCookie);
    discarded(&whole[..240], Discard::NoMessageType);
    // BOOTP, from a machine that nothing is reserved for.
    for bootp in [
        whole[..236].to_vec(),
        [&whole[..240], &[0; 300][..]].concat(),
    ] {
        let mut full = Lab::full(20, 250);
        let mut said = |port| full.send_from(NOBODY, port, &bootp);
        assert_eq!(said(67), Err(Discard::NothingReserved));
        assert_eq!(said(4011), Err(Discard::NoMessageType));
        let beside = Lab::proxy().send_from(NOBODY, 67, &bootp);
        assert_eq!(beside, Err(Discard::NoMessageType));
    }
}

#[test]
fn dh02_a_servers_message_is_not_answered() {
    let mut reply = linux(1, 1).kind(1);
    reply.op = 2;
    discarded(&reply.bytes(), Discard::NotARequest);
    for kind in [2, 5, 6, 9, 10, 13, 0, 200] {
        let said = Lab::full(20, 250).send(&ovmf(1).kind(kind));
        assert_eq!(said, Err(Discard::UnexpectedMessage), "{kind}");
    }
}

#[test]
fn dh03_lying_hardware_lengths_and_types_are_not_answered() {
    for (htype, hlen) in [
        (1, 0),
        (1, 17),
        (1, 255),
        (1, 16),
        (255, 6),
        (0, 6),
        (32, 6),
    ] {
        let mut packet = linux(1, 1).kind(1);
        (packet.htype, packet.hlen) = (htype, hlen);
        discarded(&packet.bytes(), Discard::BadHardwareAddress);
    }
}

#[test]
fn dh03_group_addresses_are_no_clients() {
    for address in [[0xff; 6], [0; 6], [1, 0, 0x5e, 0, 0, 1]] {
        discarded(
            &Packet::new(model::MacAddr(address)).kind(1).bytes(),
            Discard::BadHardwareAddress,
        );
    }
}

#[test]
fn dh04_an_option_that_points_past_the_end_ends_the_options() {
    let whole = ovmf(1).kind(1).bytes();
    let unended = &whole[..whole.len() - 1];
    for tail in [&[][..], &[12], &[12, 200, b'x'], &[54, 4, 1], &[0, 0, 0]] {
        let mut lab = Lab::proxy();
        let offer = lab.send_from(NOBODY, 67, &[unended, tail].concat());
        let offer = offer.expect("an answer").expect("a message");
        assert_eq!(offer.file, "snponly.efi", "what came before counts");
    }
}

#[test]
fn dh07_a_malformed_name_is_ignored() {
    let mut lab = Lab::full(20, 250);
    let odd = linux(1, 1)
        .option(81, &[1])
        .option(81, &[5, 0, 0, 63, b'x', 0xc0, 0x0c])
        .option(12, &[0xe9, 0, 0xff]);
    let address = lab.dora(&odd);
    assert_eq!(lab.disk[&address].hostname, None);
}

#[test]
fn dh09_nothing_is_sent_to_addresses_that_are_not_ours_to_send_to() {
    let mut lab = Lab::full(20, 250);
    for stray in [
        [255, 255, 255, 255],
        [127, 0, 0, 1],
        [8, 8, 8, 8],
        [224, 0, 0, 1],
    ] {
        let stray = Ipv4Addr::from(stray);
        assert_eq!(
            lab.send(&linux(1, 1).kind(1).through(stray)),
            Err(Discard::UnknownRelay)
        );
        assert_eq!(
            lab.send(&linux(1, 1).kind(8).holding(stray)),
            Err(Discard::NoReplyAddress)
        );
        let nak = lab.ask(&linux(1, 1).kind(3).holding(stray));
        assert_eq!(
            (nak.kind(), nak.destination),
            (6, dhcp::Destination::Broadcast(68))
        );
    }
}

#[test]
fn dh10_odd_boot_options_get_an_address_and_no_boot_file() {
    let odd_archs: [&[u8]; 4] = [&[], &[7], &[0, 7, 0], &[0xff, 0xff]];
    for arch in odd_archs {
        let packet = Packet::new(mac(1))
            .option(60, b"PXEClient:Arch:00007")
            .option(93, arch);
        assert_eq!(Lab::full(20, 250).ask(&packet.kind(1)).file, "", "{arch:?}");
    }
    for class in [
        &b"PXEClient"[..],
        b"PXEClient:Arch:99999",
        b"PXEClient:Arch:7",
        b"PXEClient:Arch:\xff",
    ] {
        let packet = Packet::new(mac(1)).option(60, class).kind(1);
        assert_eq!(Lab::full(20, 250).ask(&packet).file, "", "{class:?}");
        assert_eq!(Lab::proxy().send(&packet), Err(Discard::NothingToBoot));
    }
}

#[test]
fn dh10_odd_options_beside_a_good_architecture_do_no_harm() {
    let odd: [(u8, &[u8]); 9] = [
        (94, &[]),
        (94, &[1]),
        (97, &[]),
        (97, &[0; 16]),
        (97, &[0; 255]),
        (43, &[43, 43, 43]),
        (43, &[71, 9, 1]),
        (43, b"Raspberry Pi Boot   "),
        (175, &[1, 255, 1]),
    ];
    for (code, bytes) in odd {
        let packet = Packet::new(mac(1))
            .option(60, b"PXEClient")
            .option(93, &[0, 7]);
        let offer = Lab::proxy().ask(&packet.option(code, bytes).kind(1));
        assert_eq!(offer.option(97), None);
        assert!(!offer.file.is_empty(), "{code} {bytes:?}");
    }
}

#[test]
fn dh11_whatever_size_a_client_claims_the_reply_fits_a_packet() {
    let mut lab = Lab::full(20, 250);
    lab.config.subnets[0].domain = Some("d".repeat(255));
    lab.server.reconfigure(&lab.config);
    for (claimed, longest) in [
        (0_u16, 548),
        (576, 548),
        (700, 672),
        (1472, 1444),
        (65535, 1472),
    ] {
        let packet = ipxe(1).option(57, &claimed.to_be_bytes()).kind(1);
        let offer = lab.ask(&packet);
        assert!(
            (300..=longest).contains(&offer.len),
            "{claimed}: {}",
            offer.len
        );
        assert!(
            offer.option(67).is_some(),
            "the boot file is not what is left out"
        );
    }
}

#[test]
fn dh11_a_long_identifier_and_a_long_relay_option_leave_a_whole_packet() {
    let mut config = config(dhcp::Mode::Full, 20, 250);
    config
        .subnets
        .push(subnet([10, 1, 0, 0], 24, [10, 1, 0, 50], [10, 1, 0, 99]));
    let long_info = [&[1, 253][..], &[7; 253]].concat();
    let packet = linux(1, 1).option(61, &[9; 246]).option(82, &long_info);
    let offer = Lab::new(config).ask(&packet.kind(1).through([10, 1, 0, 1].into()));
    assert_eq!(offer.options.last(), Some(&(82, long_info)));
    assert!(offer.len <= 548, "{}", offer.len);
}

#[test]
fn dh11_overload_is_read_once_and_never_again() {
    let mut packet = Packet::new(mac(1)).option(52, &[3]).option(93, &[0]);
    packet.file[..3].copy_from_slice(&[93, 1, 7]);
    packet.file[3..6].copy_from_slice(&[52, 1, 3]);
    packet.sname[..11].copy_from_slice(b"\x3c\x09PXEClient");
    let offer = Lab::proxy().ask(&packet.clone().kind(1));
    assert_eq!(offer.file, "snponly.efi", "joined over three fields");
    packet.file = [1; 128];
    packet.sname = [0xfe; 64];
    assert_eq!(Lab::full(20, 250).ask(&packet.kind(1)).kind(), 2);
}

#[test]
fn dh11_fields_are_not_options_unless_the_client_says_so() {
    let mut packet = Packet::new(mac(1)).option(93, &[0, 7]);
    packet.file[..11].copy_from_slice(b"\x3c\x09PXEClient");
    assert_eq!(
        Lab::proxy().send(&packet.kind(1)),
        Err(Discard::NotABootClient)
    );
}

#[test]
fn split_options_are_joined_though_others_lie_between() {
    let packet = Packet::new(mac(1))
        .option(60, b"PXECl")
        .option(93, &[0, 7])
        .option(60, b"ient:Arch:00007");
    assert_eq!(Lab::proxy().ask(&packet.kind(1)).file, "snponly.efi");
}

#[test]
fn dh12_the_owner_keeps_the_lease_whoever_releases_or_declines_it() {
    let mut lab = Lab::full(20, 250);
    let address = lab.dora(&linux(1, 1));
    for kind in [4, 7] {
        let attack = linux(2, 2).kind(kind).holding(address).requested(address);
        assert_eq!(lab.send(&attack), Err(Discard::NotTheOwner));
    }
    assert_eq!(lab.disk[&address].state, BindingState::Bound);
    assert_eq!(lab.ask(&linux(1, 1).kind(3).holding(address)).kind(), 5);
}

#[test]
fn dh13_a_flood_of_strangers_harms_no_client_that_we_know() {
    let reservations = vec![reservation(7, Some(ip(20)), None)];
    let mut lab = Lab::with_reservations(20, 250, reservations);
    let known = lab.dora(&linux(1, 1));
    let strangers = (1000..6000).map(|number| lab.send(&linux(number, 1).kind(1)));
    let refused = strangers
        .filter(|said| *said == Err(Discard::OfferFlood))
        .count();
    assert_eq!(refused, 4000);
    assert!(lab.server.stats().offers <= 231, "{:?}", lab.server.stats());
    assert_eq!(
        lab.ask(&linux(1, 1).kind(3).holding(known)).kind(),
        5,
        "renews"
    );
    assert_eq!(lab.dora(&linux(1, 1)), known, "starts over");
    assert_eq!(lab.dora(&linux(7, 7)), ip(20), "comes to its reservation");
    assert_eq!(lab.disk.len(), 2, "offers are not leases");
}

#[test]
fn dh13_a_stranger_gets_an_address_right_after_a_flood_of_others() {
    let mut lab = Lab::full(20, 29);
    for number in 1000..1500 {
        lab.ask(&linux(number, 1).kind(1));
    }
    let honest = lab.dora(&linux(1, 1));
    assert_eq!(lab.disk[&honest].mac, mac(1));
}
