//! The rules of EDK2 and iPXE that a server has to know, and what holds us to each.
//!
//! | rule of the client | test |
//! |---|---|
//! | EDK2: an offer without an address is a proxy's, and needs option 60 `PXEClient` | `firmware::ovmf_hears_a_proxy_offer_…` |
//! | EDK2: discovery tags in option 43 make an offer whole; bit 3 and a file: no menu, no prompt | the same, `sim/tests/oracle.rs` |
//! | EDK2: `PXEClient` without them is asked on port 4011 | `a_machine_that_is_to_ask_hears_no_file` |
//! | EDK2: neither: the file of plain DHCP | `the_header_alone_has_no_options_of_pxe` |
//! | EDK2: `PXEClient` with an address beats every proxy | `sim/tests/oracle.rs` |
//! | EDK2: the server is `siaddr`, else option 54 | `every_answer_with_a_file_names_the_server_in_its_header` |
//! | EDK2: option 67 beats the header, and a NUL is written behind it | `firmware::ovmf_hears_…`, `…_in_every_place_it_may_look` |
//! | EDK2: an answer on port 4011 has a file and at most 1472 bytes, and comes to port 4011 | `firmware::ovmf_hears_the_boot_server_…`; every answer in these tests |
//! | EDK2: without option 13 the size is asked by TFTP | `nobody_is_told_a_size`, `tftp` |
//! | EDK2 HTTP Boot: `HTTPClient` and a URL, with an address in it | `firmware::http_boot_hears_…`, `urls_need_no_name_server` |
//! | iPXE: known by option 175 or 77 | `firmware::ipxe_is_known_by_…` |
//! | iPXE: takes a proxy's file as it is, else asks port 4011 | `sim/tests/oracle.rs` |
//! | iPXE: waits for proxies unless 175.176 says that none comes | `firmware::ipxe_hears_…`, `firmware::ipxe_beside_…` |
//! | iPXE: keeps what the firmware's proxy said unless its own round brings other (ipxe#908) | `an_ipxe_that_firmware_loaded_hears_of_one_file_anew` |
//! | iPXE: without HTTP it is sent ours by a whole URL, and not for ever | `sim/tests/oracle.rs`, `boot::ladder` |
//! | iPXE, signed: asks for `autoexec.ipxe` first | `boot::script`, `integration/tests/boot_secure.rs` |
//! | shim: takes the server from `siaddr` of the acknowledgement, the path from the header | `every_answer_…`, `firmware::the_full_server_tells_…` |
//! | ROMs: 97 may be missing or zero; some hear broadcasts only; 4011 with architecture 0 | `firmware::a_machine_without_a_uuid_…`, `firmware::a_bios_rom_…` |

use std::net::{Ipv4Addr, SocketAddrV4};

use dhcp::{Mode, Telling};

use crate::lab::*;

fn told(telling: Telling, mode: Mode) -> Lab {
    let mut lab = match mode {
        Mode::Full => Lab::full(20, 250),
        Mode::Proxy => Lab::proxy(),
    };
    lab.policy.telling = telling;
    lab
}

const MODES: [Mode; 2] = [Mode::Full, Mode::Proxy];
const TELLINGS: [Telling; 3] = [Telling::Whole, Telling::AtBootServer, Telling::Header];

#[test]
fn a_machine_that_is_to_ask_hears_no_file() {
    for mode in MODES {
        for client in [ovmf(1), bios_rom(1)] {
            let mut lab = told(Telling::AtBootServer, mode);
            let offer = lab.ask(&client.clone().kind(1));
            assert_eq!(offer.option(60), Some(&b"PXEClient"[..]));
            assert_eq!((offer.siaddr, offer.file.as_str()), (SERVER, ""));
            assert_eq!([43, 66, 67].map(|code| offer.option(code)), [None; 3]);
            let source = SocketAddrV4::new(ip(30), 4011);
            let ack = lab.send_from(source, 4011, &client.kind(3).holding(ip(30)).bytes());
            let ack = ack.expect("an answer").expect("a message");
            assert_eq!((ack.siaddr, ack.option(43)), (SERVER, None));
            assert!(!ack.file.is_empty() && ack.option(67).is_some());
        }
    }
}

#[test]
fn the_header_alone_has_no_options_of_pxe() {
    let offer = told(Telling::Header, Mode::Full).ask(&ovmf(1).kind(1));
    assert_eq!((offer.siaddr, offer.file.as_str()), (SERVER, "snponly.efi"));
    assert_eq!(
        [43, 60, 66, 67, 97].map(|code| offer.option(code)),
        [None; 5]
    );
    // Nobody listens to a proxy that does not say so.
    let offer = told(Telling::Header, Mode::Proxy).ask(&ovmf(1).kind(1));
    assert_eq!(offer.option(60), Some(&b"PXEClient"[..]));
    assert_eq!([43, 66, 67].map(|code| offer.option(code)), [None; 3]);
}

#[test]
fn only_pxe_firmware_is_told_in_several_ways() {
    for client in [http_boot(1), ipxe(1)] {
        let offers = TELLINGS.map(|telling| told(telling, Mode::Full).ask(&client.clone().kind(1)));
        assert!(offers.iter().all(|offer| *offer == offers[0]));
    }
}

#[test]
fn every_answer_with_a_file_names_the_server_in_its_header() {
    for mode in MODES {
        for telling in TELLINGS {
            for client in [bios_rom(1), ovmf(1), http_boot(1), ipxe(1)] {
                let mut lab = told(telling, mode);
                let offer = lab.ask(&client.clone().kind(1));
                assert_eq!(offer.siaddr, SERVER, "{mode:?} {telling:?}");
                if mode == Mode::Full {
                    let request = client.kind(3).server(SERVER).requested(offer.yiaddr);
                    assert_eq!(lab.ask(&request).siaddr, SERVER, "{telling:?}");
                }
            }
        }
    }
}

#[test]
fn nobody_is_told_a_size() {
    for client in [bios_rom(1), ovmf(1), http_boot(1), ipxe(1)] {
        assert_eq!(Lab::full(20, 250).ask(&client.kind(1)).option(13), None);
    }
}

#[test]
fn urls_need_no_name_server() {
    for client in [http_boot(1), ipxe(1)] {
        let offer = Lab::proxy().ask(&client.kind(1));
        let url = offer.option(67).expect("a URL");
        let url = std::str::from_utf8(url).expect("text");
        let host = url
            .strip_prefix("http://")
            .and_then(|rest| rest.split('/').next());
        assert!(
            host.is_some_and(|host| host.parse::<Ipv4Addr>().is_ok()),
            "{url}"
        );
    }
}

#[test]
fn an_ipxe_that_firmware_loaded_hears_of_one_file_anew() {
    let mut lab = Lab::proxy();
    let firmware = lab.ask(&ovmf(1).kind(1));
    let ipxe = lab.ask(&ipxe(1).kind(1));
    assert_ne!(firmware.option(67), ipxe.option(67));
    assert!(
        ipxe.option(67)
            .is_some_and(|file| file.starts_with(b"http://"))
    );
    assert_eq!(ipxe.option(43), None, "a menu would be kept");
}
