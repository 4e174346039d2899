//! The one door of the tests: a server with a disk and a clock, and clients that speak DHCP.

mod packet;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use dhcp::{
    Answer, BootFile, BootPolicy, ClientInfo, Config, Discard, Done, Event, EventKind, Lease,
    LeaseChange, Link, LinkId, Mode, Now, Received, Reservation, Server, Subnet, Telling, Transmit,
};
use model::{Firmware, KnownBy, MacAddr};

pub use packet::{Packet, Seen, wire};

pub const LINK: LinkId = LinkId(2);
pub const SERVER: Ipv4Addr = Ipv4Addr::new(192, 168, 67, 1);
pub const START: u64 = 1_700_000_000;
pub const HOUR: u64 = 3600;

/// An address of the lab's network.
pub fn ip(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 168, 67, last)
}

/// A client's hardware address.
pub fn mac(number: u32) -> MacAddr {
    let [_, a, b, c] = number.to_be_bytes();
    MacAddr([0x52, 0x54, 0, a, b, c])
}

pub fn subnet(network: [u8; 4], prefix_len: u8, low: [u8; 4], high: [u8; 4]) -> Subnet {
    let network = Ipv4Addr::from(network);
    Subnet {
        network,
        prefix_len,
        pool: vec![(low.into(), high.into())],
        router: Some(Ipv4Addr::from(u32::from(network) + 1)),
        dns: vec![SERVER],
        domain: Some("lab.internal".to_owned()),
        lease_time: Duration::from_secs(12 * HOUR),
        options: Vec::new(),
    }
}

pub fn config(mode: Mode, low: u8, high: u8) -> Config {
    Config {
        links: vec![Link {
            id: LINK,
            address: SERVER,
            prefix_len: 24,
            mode,
        }],
        subnets: vec![subnet(
            [192, 168, 67, 0],
            24,
            [192, 168, 67, low],
            [192, 168, 67, high],
        )],
        reservations: Vec::new(),
    }
}

pub fn reservation(number: u32, address: Option<Ipv4Addr>, hostname: Option<&str>) -> Reservation {
    let hostname = hostname.map(str::to_owned);
    Reservation {
        client: mac(number).into(),
        address,
        hostname,
    }
}

/// A reservation for who is known by a UUID or a client identifier, written as in the configuration.
pub fn reservation_by(known_by: &str, last: u8, hostname: &str) -> Reservation {
    Reservation {
        client: known_by.parse().expect("the text names a client"),
        address: Some(ip(last)),
        hostname: Some(hostname.to_owned()),
    }
}

/// Boots everybody but those it was told not to, each firmware with its own file.
#[derive(Default)]
pub struct Files {
    pub without_ticket: BTreeSet<MacAddr>,
    pub telling: Telling,
    /// What single clients are told besides.
    pub options: Vec<(MacAddr, u8, Vec<u8>)>,
    /// What was told last.
    pub recognised: RefCell<Vec<(MacAddr, KnownBy)>>,
}

impl BootPolicy for Files {
    fn boot_file(&self, client: &ClientInfo, server: Ipv4Addr) -> Option<BootFile> {
        let file = match client.firmware {
            Firmware::BiosPxe => "undionly.kpxe".to_owned(),
            Firmware::UefiPxe => "snponly.efi".to_owned(),
            Firmware::HttpBoot => format!("http://{server}/loader/ipxe.efi"),
            Firmware::Ipxe => format!("http://{server}/boot/{}.ipxe", client.mac.hyphenated()),
        };
        let has_ticket = !self.without_ticket.contains(&client.mac);
        has_ticket.then_some(BootFile {
            next_server: server,
            file,
            telling: self.telling,
        })
    }

    fn options(&self, client: MacAddr) -> Vec<(u8, Vec<u8>)> {
        let own = self.options.iter().filter(|(mac, ..)| *mac == client);
        own.map(|(_, code, bytes)| (*code, bytes.clone())).collect()
    }

    fn recognised(&self, cards: &[(MacAddr, KnownBy)]) {
        *self.recognised.borrow_mut() = cards.to_vec();
    }

    fn own_disk(&self, client: &ClientInfo, server: Ipv4Addr) -> Option<String> {
        let is_told = self.without_ticket.contains(&client.mac);
        is_told.then(|| format!("http://{server}/nothing"))
    }
}

/// A server, its disk, its clock, and all that it told.
pub struct Lab {
    pub server: Server,
    pub policy: Files,
    pub now: u64,
    pub disk: BTreeMap<Ipv4Addr, Lease>,
    pub disk_is_full: bool,
    pub events: Vec<Event>,
    pub config: Config,
}

impl Lab {
    /// A full server with the pool 192.168.67.`low`–`high`.
    pub fn full(low: u8, high: u8) -> Self {
        Self::new(config(Mode::Full, low, high))
    }

    /// Beside somebody else's DHCP server.
    pub fn proxy() -> Self {
        Self::new(config(Mode::Proxy, 20, 250))
    }

    pub fn new(config: Config) -> Self {
        Self {
            server: Server::new(&config, [], Now { unix: START }),
            policy: Files::default(),
            now: START,
            disk: BTreeMap::new(),
            disk_is_full: false,
            events: Vec::new(),
            config,
        }
    }

    pub fn with_reservations(low: u8, high: u8, reservations: Vec<Reservation>) -> Self {
        let config = config(Mode::Full, low, high);
        Self::new(Config {
            reservations,
            ..config
        })
    }

    /// The process dies and starts again over what is on disk.
    pub fn restart(&mut self) {
        let leases: Vec<Lease> = self.disk.values().cloned().collect();
        self.server = Server::new(&self.config, leases, Now { unix: self.now });
        self.server.recall(&self.policy.recognised.borrow());
    }

    /// Sends from 0.0.0.0, or from `ciaddr` if there is one, to port 67.
    pub fn send(&mut self, packet: &Packet) -> Result<Option<Seen>, Discard> {
        let source = SocketAddrV4::new(packet.ciaddr, 68);
        self.send_from(source, 67, &packet.bytes())
    }

    pub fn send_from(
        &mut self,
        source: SocketAddrV4,
        to_port: u16,
        bytes: &[u8],
    ) -> Result<Option<Seen>, Discard> {
        let sent = self.transmit_from(source, to_port, bytes)?;
        Ok(sent.map(|transmit| Seen::decode(&transmit)))
    }

    /// The bytes instead of what they mean.
    pub fn transmit_from(
        &mut self,
        source: SocketAddrV4,
        to_port: u16,
        bytes: &[u8],
    ) -> Result<Option<Transmit>, Discard> {
        let received = Received {
            link: LINK,
            source,
            to_port,
            bytes,
        };
        let answer = self
            .server
            .handle(Now { unix: self.now }, &received, &self.policy)?;
        let done = self.store(answer);
        self.events.extend(done.events);
        Ok(done.reply)
    }

    fn store(&mut self, answer: Answer) -> Done {
        match answer {
            Answer::Done(done) => done,
            Answer::Pending(pending) if self.disk_is_full => self.server.abort(pending),
            Answer::Pending(pending) => {
                write(&mut self.disk, pending.changes());
                self.server.commit(pending)
            }
        }
    }

    /// The reply to a packet that must have one.
    #[track_caller]
    pub fn ask(&mut self, packet: &Packet) -> Seen {
        let sent = self.send(packet).expect("the server answers");
        sent.expect("the answer is a message")
    }

    /// DISCOVER and REQUEST: the address bound.
    #[track_caller]
    pub fn dora(&mut self, client: &Packet) -> Ipv4Addr {
        let offer = self.ask(&client.clone().kind(1));
        assert_eq!(offer.kind(), 2, "an offer");
        let ack = self.ask(
            &client
                .clone()
                .kind(3)
                .server(SERVER)
                .requested(offer.yiaddr),
        );
        assert_eq!(ack.kind(), 5, "an acknowledgement");
        assert_eq!(ack.yiaddr, offer.yiaddr);
        ack.yiaddr
    }

    pub fn kinds(&self) -> Vec<&'static str> {
        self.events
            .iter()
            .map(|event| event.kind.as_str())
            .collect()
    }

    pub fn told(&self, wanted: impl Fn(&EventKind) -> bool) -> usize {
        self.events
            .iter()
            .filter(|event| wanted(&event.kind))
            .count()
    }

    pub fn names(&self) -> Vec<(String, Ipv4Addr)> {
        let names = self.server.names(Now { unix: self.now });
        let mut names: Vec<_> = names
            .map(|(name, address)| (name.to_owned(), address))
            .collect();
        names.sort();
        names
    }
}

pub fn write(disk: &mut BTreeMap<Ipv4Addr, Lease>, changes: &[LeaseChange]) {
    for change in changes {
        match change {
            LeaseChange::Put(lease) => disk.insert(lease.address, lease.clone()),
            LeaseChange::Remove(address) => disk.remove(address),
        };
    }
}

/// Vendor classes as measured.
pub fn bios_rom(number: u32) -> Packet {
    Packet::new(mac(number))
        .option(60, b"PXEClient:Arch:00000:UNDI:002001")
        .option(93, &[0, 0])
        .option(94, &[1, 2, 1])
        .option(97, &[&[0][..], &[0x11; 16]].concat())
}

/// OVMF, x86-64.
pub fn ovmf(number: u32) -> Packet {
    Packet::new(mac(number))
        .option(57, &[5, 0xc0])
        .option(
            55,
            &[
                1, 2, 3, 4, 5, 6, 12, 13, 15, 17, 18, 22, 23, 28, 40, 41, 42, 43, 50, 51, 54, 58,
                59, 60, 66, 67, 97, 128, 129, 130, 131, 132, 133, 134, 135,
            ],
        )
        .option(97, &[&[0][..], &[0x22; 16]].concat())
        .option(94, &[1, 3, 0])
        .option(93, &[0, 7])
        .option(60, b"PXEClient:Arch:00007:UNDI:003000")
}

/// UEFI HTTP Boot, x86-64.
pub fn http_boot(number: u32) -> Packet {
    Packet::new(mac(number))
        .option(60, b"HTTPClient:Arch:00016:UNDI:003000")
        .option(93, &[0, 16])
        .option(94, &[1, 3, 0])
}

/// iPXE under a BIOS: the bare user class, features, its hardware address as client id.
pub fn ipxe(number: u32) -> Packet {
    Packet::new(mac(number))
        .option(60, b"PXEClient:Arch:00000:UNDI:002001")
        .option(77, b"iPXE")
        .option(93, &[0, 0])
        .option(61, &[&[1][..], &mac(number).0].concat())
        .option(
            175,
            &[
                0x13, 1, 1, 0x15, 1, 1, 0x18, 1, 1, 0x21, 1, 1, 0xeb, 3, 1, 0, 0,
            ],
        )
}

/// dhclient with a DUID made on this machine.
pub fn linux(number: u32, duid: u8) -> Packet {
    Packet::new(mac(number)).option(61, &[255, 0, 0, 0, 1, 0, 2, duid, duid])
}
