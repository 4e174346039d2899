//! What is said with the system at hand.

use super::loaded;
use crate::{Diagnostic, Network};

const LAB: Network<'static> = Network {
    interface: "enp1s0",
    address: std::net::Ipv4Addr::new(192, 168, 67, 1),
    prefix_len: 24,
};

fn lines(found: &[Diagnostic]) -> Vec<String> {
    let line = |d: &Diagnostic| format!("{}:{}:{} {}", d.code, d.line, d.column, d.what);
    found.iter().map(line).collect()
}

#[test]
fn what_fits_the_card_is_not_mentioned() {
    let text = "[interfaces.enp1s0]\npool = [\"192.168.67.20-192.168.67.254\"]\nrouter = \"192.168.67.1\"\n\
                [subnets.\"10.1.0.0/24\"]\n\
                [clients.\"52:54:00:12:34:56\"]\naddress = \"192.168.67.11\"\n\
                [clients.\"52:54:00:12:34:57\"]\naddress = \"10.1.0.7\"\n";
    assert_eq!(loaded(text).check_networks(&[LAB]), []);
}

#[test]
fn what_does_not_fit_the_card_is_pointed_at() {
    let text = "[interfaces.enp1s0]\n\
                pool = [\"192.168.67.1-192.168.67.9\", \"192.168.76.20-192.168.76.250\"]\n\
                router = \"192.168.76.1\"\n\
                [clients.\"52-54-00-12-34-56\"]\n\
                address = \"192.168.76.11\"\n";
    assert_eq!(
        lines(&loaded(text).check_networks(&[LAB])),
        [
            "C026:2:9 the pool 192.168.67.1-192.168.67.9 holds 192.168.67.1, our own address",
            "C103:2:38 the pool 192.168.76.20-192.168.76.250 is not inside the network of 192.168.67.1/24",
            "C103:3:10 the router 192.168.76.1 is not inside the network of 192.168.67.1/24",
            "C103:5:11 192.168.76.11 is in no network that is served",
        ]
    );
}

#[test]
fn a_card_that_is_not_up_may_hold_a_reserved_address() {
    let text = "[interfaces.enp1s0]\n[interfaces.enp2s0]\n\
                [clients.\"52:54:00:12:34:56\"]\naddress = \"10.9.0.11\"\n";
    assert_eq!(loaded(text).check_networks(&[LAB]), []);
}

#[test]
fn an_image_that_nobody_published_is_pointed_at() {
    let text = "[boot]\ndefault = \"demo\"\n[images.bench]\n\
                [clients.\"52-54-00-12-34-56\"]\nimage = \"other\"\n\
                [clients.\"52:54:00:12:34:57\"]\nimage = \"local-disk\"\n";
    let loaded = loaded(text);
    assert_eq!(
        lines(&loaded.check_images(|name| name.as_str() == "nothing")),
        [
            "C104:2:11 there is no image `demo`",
            "C104:5:9 there is no image `other`",
            "C104:3:9 there is no image `bench`",
        ]
    );
    assert_eq!(loaded.check_images(|_| true), []);
}
