//! What firmware hears, to the byte (PXE 2.1, UEFI 2.10 chapter 24, EDK2's and iPXE's sources).

use std::net::{Ipv4Addr, SocketAddrV4};

use dhcp::{Destination, Discard};

use crate::lab::*;

const NOBODY: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68);

#[track_caller]
fn sent(lab: &mut Lab, source: SocketAddrV4, to_port: u16, packet: &Packet) -> Vec<u8> {
    let sent = lab.transmit_from(source, to_port, &packet.bytes());
    sent.expect("an answer").expect("a message").bytes
}

/// Compares from the end of `chaddr` as well as from the start, so that a difference is found fast.
#[track_caller]
fn same(bytes: &[u8], dump: &str) {
    let expected = wire(dump);
    assert_eq!(bytes.len(), expected.len(), "{bytes:02x?}");
    let differs = bytes
        .iter()
        .zip(&expected)
        .position(|(left, right)| left != right);
    assert_eq!(
        differs, None,
        "at that offset:\n{bytes:02x?}\n{expected:02x?}"
    );
}

#[test]
fn ovmf_hears_a_proxy_offer_that_needs_no_second_question() {
    let bytes = sent(&mut Lab::proxy(), NOBODY, 67, &ovmf(1).kind(1));
    same(
        &bytes,
        "
        02 01 06 00  12345678  0000 0000           # BOOTREPLY, xid, secs, flags
        00000000  00000000  c0a84301  00000000     # yiaddr none, siaddr 192.168.67.1
        525400000001 00x10                         # chaddr
        '192.168.67.1' 00x52                       # sname
        'snponly.efi' 00x117                       # file
        63825363
        35 01 02                                   # DHCPOFFER
        36 04 c0a84301                             # server
        3c 09 'PXEClient'
        61 11 00 22x16                             # the client's UUID
        2b 04 06 01 08 ff                          # discovery control: just boot the file
        43 0c 'snponly.efi' 00                     # with a NUL that EDK2 may write over
        42 0c '192.168.67.1'                       # asked for in option 55
        ff
    ",
    );
}

#[test]
fn ipxe_hears_its_script_and_that_no_proxy_will_come() {
    let reservations = vec![reservation(2, Some(ip(50)), None)];
    let mut lab = Lab::with_reservations(20, 250, reservations);
    let request = ipxe(2).kind(3).server(SERVER).requested(ip(50));
    same(
        &sent(&mut lab, NOBODY, 67, &request),
        "
        02 01 06 00  12345678  0000 0000
        00000000  c0a84332  c0a84301  00000000     # yiaddr 192.168.67.50
        525400000002 00x10
        00x64
        'http://192.168.67.1/boot/52-54-00-00-00-02.ipxe' 00x81
        63825363
        35 01 05                                   # DHCPACK
        36 04 c0a84301
        3d 07 01 525400000002                      # its client id echoed
        33 04 0000a8c0  3a 04 00005460  3b 04 000093a8
        01 04 ffffff00  03 04 c0a84301  06 04 c0a84301
        3c 09 'PXEClient'
        43 2f 'http://192.168.67.1/boot/52-54-00-00-00-02.ipxe'
        af 03 b0 01 01                             # no-pxedhcp
        0f 0c 'lab.internal'  1c 04 c0a843ff
        ff
    ",
    );
}

#[test]
fn ovmf_hears_the_boot_server_at_its_own_port() {
    let mut lab = Lab::proxy();
    let source = SocketAddrV4::new(ip(30), 4011);
    let request = ovmf(1).kind(3).holding(ip(30));
    let transmit = lab.transmit_from(source, 4011, &request.bytes());
    let transmit = transmit.expect("an answer").expect("a message");
    assert_eq!(
        (transmit.destination, transmit.from_port),
        (Destination::Unicast(source), 4011)
    );
    same(
        &transmit.bytes,
        "
        02 01 06 00  12345678  0000 0000
        c0a8431e  00000000  c0a84301  00000000     # ciaddr copied
        525400000001 00x10
        '192.168.67.1' 00x52
        'snponly.efi' 00x117
        63825363
        35 01 05  36 04 c0a84301                   # DHCPACK
        3c 09 'PXEClient'
        61 11 00 22x16
        43 0c 'snponly.efi' 00
        42 0c '192.168.67.1'
        ff
    ",
    );
}

#[test]
fn http_boot_hears_a_url_and_that_it_is_meant() {
    let mut lab = Lab::proxy();
    same(
        &sent(&mut lab, NOBODY, 67, &http_boot(1).kind(1)),
        "
        02 01 06 00  12345678  0000 0000
        00000000  00000000  c0a84301  00000000
        525400000001 00x10
        00x64
        00x128
        63825363
        35 01 02  36 04 c0a84301
        3c 0a 'HTTPClient'
        43 24 'http://192.168.67.1/loader/ipxe.efi' 00
        ff 00x0
    ",
    );
}

#[test]
fn a_bios_rom_hears_the_boot_server_at_port_68_for_architecture_0() {
    let mut lab = Lab::proxy();
    let source = SocketAddrV4::new(ip(30), 68);
    let ack = lab.send_from(source, 4011, &bios_rom(1).kind(3).holding(ip(30)).bytes());
    let ack = ack.expect("an answer").expect("a message");
    assert_eq!(ack.destination, Destination::Unicast(source));
    assert_eq!(
        (ack.kind(), ack.ciaddr, ack.file.as_str()),
        (5, ip(30), "undionly.kpxe")
    );
}

#[test]
fn a_bios_rom_gets_its_file_in_every_place_it_may_look() {
    let offer = Lab::full(20, 250).ask(&bios_rom(1).kind(1));
    assert_eq!(
        (offer.file.as_str(), offer.sname.as_str()),
        ("undionly.kpxe", "192.168.67.1")
    );
    assert_eq!(
        (offer.siaddr, offer.option(67)),
        (SERVER, Some(&b"undionly.kpxe\0"[..]))
    );
    assert_eq!(offer.option(43), Some(&[6, 1, 8, 255][..]));
    assert_eq!(offer.option(97).map(<[u8]>::len), Some(17));
}

#[test]
fn the_full_server_tells_in_the_acknowledgement_what_it_told_in_the_offer() {
    let mut lab = Lab::full(20, 250);
    let offer = lab.ask(&ovmf(1).kind(1));
    let ack = lab.ask(&ovmf(1).kind(3).server(SERVER).requested(offer.yiaddr));
    assert_eq!((&ack.file, ack.siaddr), (&offer.file, offer.siaddr));
    assert_eq!(ack.options[1..], offer.options[1..]);
}

#[test]
fn the_boot_server_answers_beside_the_full_server_too() {
    let mut lab = Lab::full(20, 250);
    let source = SocketAddrV4::new(ip(30), 4011);
    let ack = lab.send_from(source, 4011, &ovmf(1).kind(3).holding(ip(30)).bytes());
    assert_eq!(
        ack.expect("an answer").map(|ack| ack.file),
        Some("snponly.efi".to_owned())
    );
}

#[test]
fn the_boot_server_echoes_the_boot_item_that_was_asked_for() {
    let mut lab = Lab::proxy();
    let request = bios_rom(1).option(43, &[71, 4, 0x80, 0, 0, 0, 255]).kind(3);
    let ack = lab.send_from(SocketAddrV4::new(ip(30), 68), 4011, &request.bytes());
    let ack = ack.expect("an answer").expect("a message");
    assert_eq!(ack.option(43), Some(&[71, 4, 0x80, 0, 0, 0, 255][..]));
}

#[test]
fn the_boot_server_leaves_the_rest_alone() {
    let mut lab = Lab::proxy();
    let source = SocketAddrV4::new(ip(30), 68);
    let mut ask = |packet: Packet| lab.send_from(source, 4011, &packet.bytes());
    assert_eq!(ask(linux(1, 1).kind(3)), Err(Discard::NotABootClient));
    assert_eq!(ask(ovmf(1).kind(1)), Err(Discard::UnexpectedMessage));
    assert_eq!(
        ask(ovmf(1).kind(3).server(ip(9))),
        Err(Discard::ForAnotherServer)
    );
    let bytes = ovmf(1).kind(3).bytes();
    let loopback = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 68);
    assert_eq!(
        lab.send_from(loopback, 4011, &bytes),
        Err(Discard::NoReplyAddress)
    );
    let ourselves = SocketAddrV4::new(SERVER, 4011);
    assert_eq!(
        lab.send_from(ourselves, 4011, &bytes),
        Err(Discard::NoReplyAddress)
    );
}

#[test]
fn ipxe_is_known_by_option_175_or_either_spelling_of_its_user_class() {
    for (code, mark) in [
        (77, &b"iPXE"[..]),
        (77, b"\x04iPXE"),
        (77, b"\x03lab\x04iPXE"),
        (175, b""),
    ] {
        let offer = Lab::proxy().ask(&bios_rom(1).option(code, mark).kind(1));
        assert_eq!(offer.option(43), None, "{code} {mark:?}");
        assert!(offer.file.starts_with("http://"), "{}", offer.file);
    }
}

#[test]
fn ipxe_beside_another_server_must_not_be_told_to_ignore_proxies() {
    let offer = Lab::proxy().ask(&ipxe(1).kind(1));
    assert_eq!(
        (offer.option(175), offer.option(60)),
        (None, Some(&b"PXEClient"[..]))
    );
}

#[test]
fn the_policy_hears_what_ipxe_can_do() {
    struct Ask(std::cell::RefCell<Vec<dhcp::ClientInfo>>);
    impl dhcp::BootPolicy for Ask {
        fn boot_file(&self, client: &dhcp::ClientInfo, _: Ipv4Addr) -> Option<dhcp::BootFile> {
            self.0.borrow_mut().push(client.clone());
            None
        }
    }
    let (mut lab, policy) = (Lab::full(20, 250), Ask(Vec::new().into()));
    let packet = ipxe(1)
        .option(97, &[&[0][..], &[7; 16]].concat())
        .kind(1)
        .bytes();
    let received = dhcp::Received {
        link: LINK,
        source: NOBODY,
        to_port: 67,
        bytes: &packet,
    };
    let _ = lab
        .server
        .handle(dhcp::Now { unix: START }, &received, &policy)
        .expect("an answer");
    let heard = &policy.0.borrow()[0];
    assert_eq!(
        (heard.uuid, heard.vendor_class.as_str()),
        (Some([7; 16]), "PXEClient:Arch:00000:UNDI:002001")
    );
    assert!(heard.ipxe.http && heard.ipxe.bzimage && !heard.ipxe.https);
    assert!(heard.address.is_some());
}

#[test]
fn every_architecture_we_boot_gets_a_file_and_no_other() {
    let offered = |class: &str, arch: u16| {
        let class = format!("{class}:Arch:{arch:05}:UNDI:003000");
        let packet = Packet::new(mac(1)).option(60, class.as_bytes());
        let packet = packet.option(93, &arch.to_be_bytes()).kind(1);
        Lab::proxy().send(&packet).is_ok()
    };
    let pxe: Vec<u16> = (0..50).filter(|arch| offered("PXEClient", *arch)).collect();
    assert_eq!(pxe, [0, 6, 7, 9, 10, 11]);
    let http: Vec<u16> = (0..50)
        .filter(|arch| offered("HTTPClient", *arch))
        .collect();
    assert_eq!(http, [15, 16, 19, 20]);
}

#[test]
fn an_unknown_architecture_gets_an_address_and_nothing_to_boot() {
    let packet = Packet::new(mac(1)).option(60, b"PXEClient:Arch:00031:UNDI:003000");
    let offer = Lab::full(20, 250).ask(&packet.option(93, &[0, 31]).kind(1));
    assert_eq!(
        (offer.file.as_str(), offer.option(60), offer.option(43)),
        ("", None, None)
    );
    assert_ne!(offer.yiaddr, Ipv4Addr::UNSPECIFIED);
}

#[test]
fn of_several_architectures_the_first_we_know_counts() {
    let packet = Packet::new(mac(1))
        .option(60, b"PXEClient")
        .option(93, &[0, 31, 0, 7]);
    assert_eq!(Lab::proxy().ask(&packet.kind(1)).file, "snponly.efi");
}

#[test]
fn a_rom_without_option_93_is_known_by_its_vendor_class() {
    let packet = Packet::new(mac(1)).option(60, b"PXEClient:Arch:00000:UNDI:002001");
    assert_eq!(Lab::proxy().ask(&packet.kind(1)).file, "undionly.kpxe");
}

#[test]
fn without_a_ticket_a_machine_goes_on_to_its_disk() {
    for client in [bios_rom(1), ovmf(1), http_boot(1), ipxe(1)] {
        let (mut full, mut proxy) = (Lab::full(20, 250), Lab::proxy());
        full.policy.without_ticket.insert(mac(1));
        proxy.policy.without_ticket.insert(mac(1));
        let offer = full.ask(&client.clone().kind(1));
        let boot_options = [43, 60, 67, 66, 97, 175].map(|code| offer.option(code));
        let expected: [Option<&[u8]>; 3] = if client == ovmf(1) {
            let local = b"\x06\x01\x03\x09\x0d\0\0\x0alocal disk\x0a\x05\0disk\xff";
            [Some(local), Some(b"PXEClient"), None]
        } else if client == http_boot(1) {
            let nothing = b"http://192.168.67.1/nothing\0";
            [None, Some(b"HTTPClient"), Some(nothing)]
        } else {
            [None; 3]
        };
        assert_eq!(
            (offer.file.as_str(), &boot_options[..3]),
            ("", &expected[..])
        );
        assert_eq!(proxy.send(&client.kind(1)), Err(Discard::NothingToBoot));
    }
}

#[test]
fn a_proxy_is_silent_to_whoever_does_not_boot() {
    let mut lab = Lab::proxy();
    let windows = Packet::new(mac(1)).option(60, b"MSFT 5.0");
    for kind in [1, 3, 4, 7, 8] {
        let answer = lab.send(&windows.clone().kind(kind).holding(ip(9)));
        assert_eq!(answer, Err(Discard::NotABootClient), "{kind}");
    }
    assert_eq!(
        lab.send(&ovmf(1).kind(3).server(ip(9))),
        Err(Discard::ForAnotherServer)
    );
    assert_eq!(lab.events, []);
}

#[test]
fn a_proxy_answers_a_pxe_inform_at_the_clients_address() {
    let ack = Lab::proxy().ask(&ovmf(1).kind(8).holding(ip(30)));
    assert_eq!(
        (ack.kind(), ack.ciaddr, ack.file.as_str()),
        (5, ip(30), "snponly.efi")
    );
    assert_eq!(
        ack.destination,
        Destination::Unicast(SocketAddrV4::new(ip(30), 68))
    );
    let far = ovmf(1).kind(8).holding(Ipv4Addr::new(8, 8, 8, 8));
    assert_eq!(Lab::proxy().send(&far), Err(Discard::NoReplyAddress));
}

#[test]
fn a_machine_without_a_uuid_boots_all_the_same() {
    let rom = Packet::new(mac(1))
        .option(60, b"PXEClient:Arch:00000")
        .option(93, &[0, 0]);
    assert_eq!(Lab::proxy().ask(&rom.clone().kind(1)).option(97), None);
    let zeros = Lab::proxy().ask(&rom.clone().option(97, &[0; 17]).kind(1));
    assert_eq!(zeros.option(97), Some(&[0; 17][..]));
    let wrong_type = Lab::proxy().ask(&rom.option(97, &[1; 17]).kind(1));
    assert_eq!(wrong_type.option(97), None);
}
