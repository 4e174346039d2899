//! Clients and the full server, message by message (RFC 2131 sections 3 and 4.3).

use crate::lab::*;
use dhcp::Discard;

#[test]
fn a_client_gets_an_address_in_four_messages() {
    let mut lab = Lab::full(20, 250);
    let address = lab.dora(&linux(1, 1));
    assert!((20..=250).contains(&address.octets()[3]));
    assert_eq!(lab.disk[&address].expires_unix, START + 12 * HOUR);
    assert_eq!(lab.kinds(), ["discover", "offer", "ack"]);
}

#[test]
fn a_proxy_server_gives_a_boot_file_and_no_address() {
    let mut lab = Lab::proxy();
    let offer = lab.ask(&ovmf(1).kind(1));
    assert_eq!(
        (offer.yiaddr, offer.siaddr),
        (std::net::Ipv4Addr::UNSPECIFIED, SERVER)
    );
    assert_eq!(offer.file, "snponly.efi");
    assert_eq!(lab.send(&linux(1, 1).kind(1)), Err(Discard::NotABootClient));
}
