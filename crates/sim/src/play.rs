//! The whole conversation of one machine.

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::machine::{ACK, DISCOVER, Machine, OFFER, REQUEST, Rules};
use crate::reply::Reply;
use crate::{edk2, ipxe, rom};

/// Carries a machine's packets.
pub trait Network {
    /// All answers to a packet, in the order in which they come.
    fn ask(&mut self, from: SocketAddrV4, to: SocketAddrV4, packet: &[u8]) -> Vec<Vec<u8>>;
}

/// A packet, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Whether the machine sent it.
    pub sent: bool,
    /// What it was.
    pub text: String,
}

/// What a machine would boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boot {
    /// Its address.
    pub address: Ipv4Addr,
    /// The server that it would ask by TFTP; a URL says it by itself.
    pub server: Ipv4Addr,
    /// The server that a GRUB which starts from there would ask: it reads the header of the acknowledgement, and no
    /// proxy's offer (GRUB's `efinet.c`, 2.06). `None`: it asks nobody.
    pub of_grub: Option<Ipv4Addr>,
    /// The file, or a URL.
    pub file: String,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Story {
    /// Every packet.
    pub packets: Vec<Line>,
    /// What it boots; else why nothing.
    pub end: Result<Boot, String>,
}

/// What a machine does once it has an address from `offers[lease]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) lease: usize,
    pub(crate) then: Then,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// It boots what the acknowledgement says.
    Acknowledged,
    /// It boots what this proxy's offer says.
    Offered(usize),
    /// It asks these servers on port 4011, one after the other.
    Ask(Vec<Ipv4Addr>),
}

/// The port of a client, and of a boot server.
const CLIENT: u16 = 68;
const BOOT_SERVER: u16 = 4011;

/// Lets a machine boot.
pub fn play(machine: &Machine, network: &mut dyn Network) -> Story {
    let mut session = Session {
        machine,
        network,
        packets: Vec::new(),
    };
    let end = session.run();
    Story {
        packets: session.packets,
        end,
    }
}

struct Session<'a> {
    machine: &'a Machine,
    network: &'a mut dyn Network,
    packets: Vec<Line>,
}

impl Session<'_> {
    fn run(&mut self) -> Result<Boot, String> {
        let everybody = SocketAddrV4::new(Ipv4Addr::BROADCAST, 67);
        let nobody = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, CLIENT);
        let machine = self.machine;
        let discover = machine.message(DISCOVER, None, None);
        self.sent(format!("DISCOVER to everybody: {}", machine.class()));
        let offers = self.ask(nobody, everybody, &discover, OFFER);
        if offers.is_empty() {
            return Err("nobody made an offer".to_owned());
        }
        let choice = match machine.rules {
            Rules::Edk2 => edk2::choose(machine, &offers),
            Rules::Rom => rom::choose(&offers),
            Rules::Ipxe { .. } => ipxe::choose(&offers),
        }?;
        let lease = &offers[choice.lease];
        let (address, server) = (lease.yiaddr, lease.server());
        let server = server.ok_or("the offer names no server (option 54)")?;
        self.sent(format!("REQUEST of {address} from {server}, to everybody"));
        let request = machine.message(REQUEST, Some((address, server)), None);
        let acks = self.ask(nobody, everybody, &request, ACK);
        let ack = acks.into_iter().find(|ack| ack.yiaddr == address);
        let ack = ack.ok_or("the address was not acknowledged")?;
        match choice.then {
            Then::Acknowledged => self.boot(address, &ack, &ack),
            Then::Offered(index) => self.boot(address, &offers[index], &ack),
            Then::Ask(servers) => {
                for server in servers {
                    if let Some(answer) = self.boot_server(address, server) {
                        return self.boot(address, &answer, &ack);
                    }
                }
                Err("no boot server answered on port 4011 with a file".to_owned())
            }
        }
    }

    fn boot_server(&mut self, address: Ipv4Addr, server: Ipv4Addr) -> Option<Reply> {
        let port = match self.machine.rules {
            Rules::Edk2 => BOOT_SERVER,
            Rules::Rom | Rules::Ipxe { .. } => CLIENT,
        };
        self.sent(format!("REQUEST to {server} port {BOOT_SERVER}"));
        let request = self.machine.message(REQUEST, None, Some(address));
        let from = SocketAddrV4::new(address, port);
        let to = SocketAddrV4::new(server, BOOT_SERVER);
        let has_file = |answer: &Reply| answer.named_file().or(answer.header_file()).is_some();
        let answers = self.ask(from, to, &request, ACK);
        answers.into_iter().find(has_file)
    }

    fn boot(&self, address: Ipv4Addr, told: &Reply, ack: &Reply) -> Result<Boot, String> {
        let (server, file) = match self.machine.rules {
            Rules::Edk2 => edk2::file(self.machine, told),
            Rules::Rom => rom::file(told),
            Rules::Ipxe { http } => ipxe::file(told, ack, http),
        }?;
        Ok(Boot {
            address,
            server,
            of_grub: match file.contains("://") || ack.siaddr.is_unspecified() {
                true => None,
                false => Some(ack.siaddr),
            },
            file,
        })
    }

    fn sent(&mut self, text: String) {
        self.packets.push(Line { sent: true, text });
    }

    /// The answers of this kind; all are written down.
    fn ask(&mut self, from: SocketAddrV4, to: SocketAddrV4, packet: &[u8], kind: u8) -> Vec<Reply> {
        let answers = self.network.ask(from, to, packet);
        let read: Vec<Reply> = answers
            .iter()
            .filter_map(|bytes| Reply::read(bytes))
            .collect();
        for answer in &read {
            self.packets.push(Line {
                sent: false,
                text: answer.to_string(),
            });
        }
        read.into_iter().filter(|reply| reply.is_a(kind)).collect()
    }
}
