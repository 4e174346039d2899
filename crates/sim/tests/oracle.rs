//! The DHCP server, judged by the clients' own rules: whoever asks in whatever way, the right file is what it boots.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use dhcp::{
    Answer, BootFile, BootPolicy, ClientInfo, Config, Link, LinkId, Mode, Now, Received, Server,
    Subnet, Telling,
};
use model::{ClientArch, Firmware, MacAddr};
use proptest::prelude::*;
use sim::{Machine, Network, Rules, Story, neighbour, play};

const SERVER: Ipv4Addr = Ipv4Addr::new(192, 168, 67, 1);
const OTHER: Ipv4Addr = Ipv4Addr::new(192, 168, 67, 2);
const LEASED: Ipv4Addr = Ipv4Addr::new(192, 168, 67, 99);

/// Every firmware gets its file, told in one way.
struct Files(Telling);

impl BootPolicy for Files {
    fn boot_file(&self, client: &ClientInfo, server: Ipv4Addr) -> Option<BootFile> {
        let file = match client.firmware {
            Firmware::BiosPxe | Firmware::UefiPxe => "loader".to_owned(),
            Firmware::HttpBoot => format!("http://{server}/loader"),
            Firmware::Ipxe if client.ipxe.http => format!("http://{server}/script"),
            Firmware::Ipxe => format!("tftp://{server}/loader"),
        };
        Some(BootFile {
            next_server: server,
            file,
            telling: self.0,
        })
    }
}

struct Site {
    server: Server,
    policy: Files,
    mode: Mode,
    /// What others on the network say to everything that is broadcast, before us.
    others: Vec<Vec<u8>>,
}

impl Site {
    fn new(mode: Mode, telling: Telling) -> Self {
        let config = Config {
            links: vec![Link {
                id: LinkId(1),
                address: SERVER,
                prefix_len: 24,
                mode,
            }],
            subnets: vec![Subnet {
                network: SERVER,
                prefix_len: 24,
                pool: vec![(LEASED, LEASED)],
                router: None,
                dns: Vec::new(),
                domain: None,
                lease_time: Duration::from_secs(3600),
                options: Vec::new(),
            }],
            reservations: Vec::new(),
        };
        Self {
            server: Server::new(&config, [], Now { unix: 0 }),
            policy: Files(telling),
            mode,
            others: Vec::new(),
        }
    }
}

impl Network for Site {
    fn ask(&mut self, from: SocketAddrV4, to: SocketAddrV4, packet: &[u8]) -> Vec<Vec<u8>> {
        let mut answers = Vec::new();
        if to.ip().is_broadcast() {
            answers.extend(self.others.clone());
            if self.mode == Mode::Proxy {
                answers.extend(neighbour(OTHER, LEASED, packet));
            }
        }
        let received = Received {
            link: LinkId(1),
            source: from,
            to_port: to.port(),
            bytes: packet,
        };
        let answer = self.server.handle(Now { unix: 0 }, &received, &self.policy);
        let done = match answer {
            Ok(Answer::Done(done)) => done,
            Ok(Answer::Pending(pending)) => self.server.commit(pending),
            Err(_) => return answers,
        };
        answers.extend(done.reply.map(|reply| reply.bytes));
        answers
    }
}

fn machine(rules: Rules, arch: u16) -> Machine {
    Machine {
        mac: MacAddr([2, 0, 0, 0, 0, 1]),
        uuid: Some([7; 16]),
        arch: ClientArch::from_code(arch),
        rules,
    }
}

/// What is booted.
fn booted(story: &Story) -> Result<(Ipv4Addr, &str), &str> {
    let end = story.end.as_ref().map_err(String::as_str)?;
    Ok((end.server, &end.file))
}

#[test]
fn grub_goes_on_to_us_where_the_addresses_are_ours_only() {
    for (mode, server) in [(Mode::Full, Some(SERVER)), (Mode::Proxy, None)] {
        let mut site = Site::new(mode, Telling::Whole);
        let story = play(&machine(Rules::Edk2, 7), &mut site);
        assert_eq!(story.end.map(|boot| boot.of_grub), Ok(server), "{mode:?}");
    }
}

/// How often port 4011 was asked.
fn asked_boot_server(story: &Story) -> usize {
    let sent = story.packets.iter().filter(|line| line.sent);
    sent.filter(|line| line.text.ends_with("port 4011")).count()
}

#[test]
fn an_offer_that_says_it_all_needs_no_second_question() {
    for (rules, arch) in [(Rules::Edk2, 7), (Rules::Edk2, 11), (Rules::Rom, 0)] {
        for mode in [Mode::Full, Mode::Proxy] {
            let story = play(&machine(rules, arch), &mut Site::new(mode, Telling::Whole));
            assert_eq!(booted(&story), Ok((SERVER, "loader")), "{story:?}");
            assert_eq!(asked_boot_server(&story), 0, "{story:?}");
        }
    }
}

#[test]
fn without_option_43_the_boot_server_is_asked() {
    for (rules, arch) in [(Rules::Edk2, 7), (Rules::Rom, 0)] {
        for mode in [Mode::Full, Mode::Proxy] {
            let mut site = Site::new(mode, Telling::AtBootServer);
            let story = play(&machine(rules, arch), &mut site);
            assert_eq!(booted(&story), Ok((SERVER, "loader")), "{story:?}");
            assert_eq!(asked_boot_server(&story), 1, "{story:?}");
        }
    }
}

#[test]
fn the_header_alone_is_plain_dhcp_with_a_file() {
    for (rules, arch) in [(Rules::Edk2, 7), (Rules::Rom, 0)] {
        let story = play(
            &machine(rules, arch),
            &mut Site::new(Mode::Full, Telling::Header),
        );
        assert_eq!(booted(&story), Ok((SERVER, "loader")), "{story:?}");
        let offer = story.packets.iter().find(|line| !line.sent).unwrap();
        assert!(!offer.text.contains("PXEClient"), "{}", offer.text);
    }
}

#[test]
fn an_ipxe_without_http_is_sent_ours_by_a_whole_url() {
    for mode in [Mode::Full, Mode::Proxy] {
        let rom = machine(Rules::Ipxe { http: false }, 0);
        let story = play(&rom, &mut Site::new(mode, Telling::Whole));
        assert_eq!(booted(&story), Ok((SERVER, "tftp://192.168.67.1/loader")));
    }
}

/// EDK2 prefers an address that comes with `PXEClient` to every proxy, so that such a router has to be told.
#[test]
fn a_router_that_says_pxeclient_beats_a_proxy_that_does_it_right() {
    let mut site = Site::new(Mode::Proxy, Telling::Whole);
    let router = site_of_a_router();
    site.others.push(router);
    let story = play(&machine(Rules::Edk2, 7), &mut site);
    assert!(booted(&story) != Ok((SERVER, "loader")), "{story:?}");
}

/// An offer with PXEClient and discovery control, of an address.
fn site_of_a_router() -> Vec<u8> {
    let mut site = Site::new(Mode::Full, Telling::Whole);
    let discover = std::cell::RefCell::new(Vec::new());
    struct Tap<'a>(&'a mut Site, &'a std::cell::RefCell<Vec<u8>>);
    impl Network for Tap<'_> {
        fn ask(&mut self, from: SocketAddrV4, to: SocketAddrV4, packet: &[u8]) -> Vec<Vec<u8>> {
            let answers = self.0.ask(from, to, packet);
            if self.1.borrow().is_empty() {
                self.1.borrow_mut().extend(answers.iter().flatten());
            }
            answers
        }
    }
    play(&machine(Rules::Edk2, 7), &mut Tap(&mut site, &discover));
    let mut offer = discover.into_inner();
    // Its own idea of a file.
    for at in 0..offer.len().saturating_sub(6) {
        if &offer[at..at + 6] == b"loader" {
            offer[at..at + 6].copy_from_slice(b"absent");
        }
    }
    offer
}

fn rules() -> impl Strategy<Value = (Rules, u16)> {
    let uefi = prop::sample::select(vec![6u16, 7, 9, 10, 11, 15, 16, 19]);
    prop_oneof![
        uefi.prop_map(|arch| (Rules::Edk2, arch)),
        Just((Rules::Rom, 0)),
        prop::sample::select(vec![0u16, 7, 11]).prop_map(|arch| (Rules::Ipxe { http: true }, arch)),
        prop::sample::select(vec![0u16, 7]).prop_map(|arch| (Rules::Ipxe { http: false }, arch)),
    ]
}

proptest! {
    /// Whoever asks, however it is told, beside whatever noise: it boots what the policy says, and from us.
    #[test]
    fn everybody_boots_the_file_that_is_meant(
        (rules, arch) in rules(),
        proxy in any::<bool>(),
        telling in prop::sample::select(vec![Telling::Whole, Telling::AtBootServer, Telling::Header]),
        mac in any::<[u8; 5]>(),
        uuid in prop::option::of(any::<[u8; 16]>()),
        noise in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..400), 0..3),
    ) {
        let mode = if proxy { Mode::Proxy } else { Mode::Full };
        let [a, b, c, d, e] = mac;
        let machine = Machine { mac: MacAddr([2, a, b, c, d, e]), uuid, ..machine(rules, arch) };
        let mut site = Site::new(mode, telling);
        site.others = noise;
        let story = play(&machine, &mut site);
        let file = match rules {
            Rules::Ipxe { http: true } => "http://192.168.67.1/script",
            Rules::Ipxe { http: false } => "tftp://192.168.67.1/loader",
            _ if machine.arch.is_http() => "http://192.168.67.1/loader",
            _ => "loader",
        };
        prop_assert_eq!(booted(&story), Ok((SERVER, file)), "{:?}", story);
    }

    /// No answer, however damaged, makes the rules stumble.
    #[test]
    fn noise_does_the_clients_no_harm(
        (rules, arch) in rules(),
        options in prop::collection::vec(any::<u8>(), 0..300),
        yiaddr in any::<u32>(),
    ) {
        struct Noise(Vec<u8>);
        impl Network for Noise {
            fn ask(&mut self, _: SocketAddrV4, _: SocketAddrV4, _: &[u8]) -> Vec<Vec<u8>> {
                vec![self.0.clone()]
            }
        }
        let mut bytes = vec![2; 240];
        bytes[16..20].copy_from_slice(&yiaddr.to_be_bytes());
        bytes[236..].copy_from_slice(&[99, 130, 83, 99]);
        for kind in [2, 5] {
            let mut bytes = bytes.clone();
            bytes.extend([53, 1, kind, 54, 4, 192, 168, 67, 1]);
            bytes.extend(&options);
            let _ = play(&machine(rules, arch), &mut Noise(bytes));
        }
    }
}
