//! Who may use what.

use std::net::SocketAddr;

use nfs::{ReadOnlyFs, Status};

use super::super::{Access, ExportFs, Folder, HandleKey, Network};
use super::{KEY, Lab, NEW, OLD, client};

fn network(text: &str) -> Network {
    let (address, len) = text.split_once('/').unwrap();
    Network::new(address.parse().unwrap(), len.parse().unwrap())
}

fn address(text: &str) -> SocketAddr {
    format!("{text}:700").parse().unwrap()
}

/// The lab's images and a folder, with these networks for everything, the image and the folder.
fn limited(lab: &Lab, all: &[&str], image: &[&str], folder: &[&str]) -> ExportFs {
    let networks =
        |texts: &[&str]| -> Vec<Network> { texts.iter().map(|it| network(it)).collect() };
    let mut access = Access {
        networks: networks(all),
        ..Access::default()
    };
    if !image.is_empty() {
        access
            .images
            .insert("demo".parse().unwrap(), networks(image));
    }
    let source = lab.folder.path().join("new");
    access.folders = vec![Folder::new("data".into(), source, networks(folder))];
    let fs = ExportFs::new(HandleKey::new(KEY), access);
    fs.publish(lab.snapshot(true));
    fs
}

/// Which of everything, the image and the folder an address may use: mounted by itself, and with a
/// handle that another got.
fn usable(fs: &ExportFs, lab: &Lab, address: SocketAddr) -> [bool; 3] {
    let paths = ["/", "/roots/demo", "/exports/data"];
    paths.map(|path| {
        let mounted = fs.mount(address, path.as_bytes());
        let open = limited(lab, &[], &[], &[]);
        let got_elsewhere = open.mount(client(), path.as_bytes()).unwrap();
        assert_eq!(
            mounted.is_ok(),
            fs.allowed(address, &got_elsewhere),
            "{path} {address}"
        );
        assert!(
            mounted.is_ok() || mounted == Err(Status::Access),
            "{mounted:?}"
        );
        mounted.is_ok()
    })
}

#[test]
fn mnt_06_every_export_has_its_own_networks_and_every_call_is_checked() {
    let lab = Lab::new();
    let (a, b) = (address("10.0.0.1"), address("10.0.1.1"));
    for (all, image, folder, of_a, of_b) in [
        (&[][..], &[][..], &[][..], [true; 3], [true; 3]),
        (&["10.0.0.0/24"], &[], &[], [true; 3], [false; 3]),
        (&[], &["10.0.1.0/24"], &[], [true, false, true], [true; 3]),
        (&[], &[], &["10.0.1.0/24"], [true, true, false], [true; 3]),
        (
            &["10.0.0.0/24"],
            &["10.0.1.0/24"],
            &["10.0.0.1/32", "10.0.1.0/31"],
            [true, false, true],
            [true, true, true],
        ),
    ] {
        let fs = limited(&lab, all, image, folder);
        assert_eq!(usable(&fs, &lab, a), of_a, "{all:?} {image:?} {folder:?}");
        assert_eq!(usable(&fs, &lab, b), of_b, "{all:?} {image:?} {folder:?}");
    }
}

#[test]
fn a_kept_back_image_is_kept_back_under_all_its_names() {
    let lab = Lab::new();
    let fs = limited(&lab, &[], &["10.0.1.0/24"], &[]);
    let (inside, outside) = (address("10.0.1.1"), address("10.0.0.1"));
    for path in [
        "/images/demo".to_owned(),
        format!("/images/demo/{OLD}"),
        format!("/roots/demo@{NEW}"),
        "/roots/demo/etc/deep".to_owned(),
    ] {
        let handle = fs.mount(inside, path.as_bytes()).unwrap();
        assert!(fs.allowed(inside, &handle), "{path}");
        assert!(!fs.allowed(outside, &handle), "{path}");
        assert_eq!(fs.mount(outside, path.as_bytes()), Err(Status::Access));
    }
    let paths = |address| -> Vec<String> {
        let exports = fs.exports(address).into_iter();
        exports.map(|export| export.path).collect()
    };
    assert_eq!(paths(outside), ["/", "/exports/data"]);
    let all = ["/", "/exports/data", "/images/demo", "/roots/demo"];
    assert_eq!(paths(inside), all);
    assert!(fs.may_have(&"demo".parse().unwrap(), inside.ip()));
    assert!(!fs.may_have(&"demo".parse().unwrap(), outside.ip()));
    assert!(fs.may_have(&"other".parse().unwrap(), outside.ip()));
}

#[test]
fn clients_of_other_networks_get_nothing() {
    let networks = vec![Network::new("192.168.67.0".parse().unwrap(), 24)];
    let access = Access {
        networks,
        ..Access::default()
    };
    let fs = ExportFs::new(HandleKey::new(KEY), access);
    let root = fs.mount(client(), b"/").unwrap();
    let mapped: SocketAddr = "[::ffff:192.168.67.9]:1".parse().unwrap();
    for (address, may) in [
        (client(), true),
        (mapped, true),
        ("192.168.68.1:1".parse().unwrap(), false),
        ("[::1]:1".parse().unwrap(), false),
    ] {
        assert_eq!(fs.allowed(address, &root), may, "{address}");
        assert_eq!(fs.mount(address, b"/").is_ok(), may);
        assert_eq!(fs.exports(address).is_empty(), !may);
    }
    assert_eq!(fs.exports(client())[0].networks, ["192.168.67.0/24"]);
}

#[test]
fn networks_hold_their_own_addresses() {
    for (network, len, address, inside) in [
        ("10.0.0.0", 8, "10.255.0.1", true),
        ("10.0.0.0", 8, "11.0.0.1", false),
        ("10.0.0.1", 32, "10.0.0.1", true),
        ("10.0.0.1", 99, "10.0.0.2", false),
        ("0.0.0.0", 0, "203.0.113.9", true),
        ("fd00::", 8, "fd12::1", true),
        ("fd00::", 8, "2001:db8::1", false),
    ] {
        let network = Network::new(network.parse().unwrap(), len);
        assert_eq!(
            network.contains(address.parse().unwrap()),
            inside,
            "{network} {address}"
        );
    }
}
