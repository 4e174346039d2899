//! `netbootd simulate`: what a machine would hear and boot, packet by packet, by the rules of its firmware.
//!
//! The server is the real one with this configuration and what is remembered on the disk, in a process of its own: no
//! socket is opened and nothing is written.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use anyhow::Context;
use boot::loader::{self, Chain};
use boot::{Authority, Plan, SiteKey};
use clap::{Args, ValueEnum};
use config::{Loaded, Mode};
use dhcp::{Answer, Received, Server};
use model::{ClientArch, MacAddr};
use sim::{Boot, Machine, Network, Rules, play};

use super::client::get;
use crate::control::LinkStatus;
use crate::daemon::Daemon;
use crate::images::Images;
use crate::leases::lease_clock;
use crate::links::{self, Link};
use crate::serve_link;
use crate::services::dhcp::Policy;

/// Plays a machine's boot against this configuration, packet by packet, without a network
#[derive(Debug, Args)]
pub struct SimulateCommand {
    /// The address of its card
    #[arg(long)]
    mac: MacAddr,
    /// Its architecture, DHCP option 93: 0 BIOS, 7 UEFI x86-64, 11 UEFI arm64, 16 UEFI x86-64 over HTTP
    #[arg(long, default_value_t = 7)]
    arch: u16,
    /// Whose rules it follows; unless said, rom for architecture 0 and edk2 for others
    #[arg(long)]
    mode: Option<Firmware>,
    /// The interface that it is heard on; unless said, the first that is served
    #[arg(long)]
    interface: Option<String>,
    /// As if another DHCP server gave the addresses
    #[arg(long)]
    proxy: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Firmware {
    /// UEFI's own, as in EDK2
    Edk2,
    /// An iPXE in the card
    Ipxe,
    /// A PXE ROM
    Rom,
}

/// Plays and prints.
pub fn run(command: &SimulateCommand, loaded: Loaded) -> anyhow::Result<()> {
    super::need_interfaces(&loaded)?;
    let config = loaded.config;
    let served = |name: &str| {
        command
            .interface
            .as_deref()
            .is_none_or(|wanted| wanted == name)
    };
    let wanted = config
        .interfaces
        .iter()
        .find(|wanted| wanted.mode != Mode::Off && served(&wanted.name))
        .context("no such interface is served")?
        .clone();
    let link = links::resolve(&wanted, &net::interfaces()?)
        .map_err(|reason| anyhow::anyhow!("{}: {reason}", wanted.name))?;
    let (images, notes) = Images::open(&config)?;
    notes.iter().for_each(|note| eprintln!("warning: {note}"));
    let running: Vec<LinkStatus> = get(&config.control_socket, "/links").unwrap_or_default();
    let running = running.iter().find(|status| status.interface == link.name);
    let mode = match (wanted.mode, running) {
        _ if command.proxy => dhcp::Mode::Proxy,
        (Mode::Proxy, _) => dhcp::Mode::Proxy,
        (Mode::Auto, Some(status)) if status.mode == "proxy" => dhcp::Mode::Proxy,
        _ => dhcp::Mode::Full,
    };
    let http_port = running
        .and_then(|status| status.http.rsplit(':').next()?.parse().ok())
        .or(config.http.port)
        .unwrap_or(80);
    let mut dhcp_config = serve_link::relayed(&config);
    let (dhcp_link, subnet) =
        serve_link::dhcp_link(&config, &wanted, &link, mode, vec![link.address]);
    dhcp_config.links.push(dhcp_link);
    dhcp_config.subnets.extend(subnet);
    let server = Server::new(&dhcp_config, [], lease_clock());
    // Nothing is signed and no token is given.
    let (key, authority) = (SiteKey([0; 16]), Authority::from_seed(&[0; 32]));
    let mut site = Site {
        daemon: Daemon::new(config, images, key, authority),
        server,
        link,
        mode,
        http_port,
    };
    let arch = ClientArch::from_code(command.arch);
    let rules = match (command.mode, arch) {
        (Some(Firmware::Edk2), _) => Rules::Edk2,
        (Some(Firmware::Rom), _) | (None, ClientArch::BiosX86) => Rules::Rom,
        (Some(Firmware::Ipxe), _) => Rules::Ipxe { http: true },
        (None, _) => Rules::Edk2,
    };
    // It is remembered by its mainboard.
    let known = site.daemon.firmware.known(command.mac);
    let uuid = known
        .iter()
        .find_map(|known| u128::from_str_radix(known.uuid.as_deref()?, 16).ok());
    let machine = Machine {
        mac: command.mac,
        uuid: uuid.map(u128::to_be_bytes),
        arch,
        rules,
    };
    site.boots(&machine)
}

/// The server, and where the machine is.
struct Site {
    daemon: Arc<Daemon>,
    server: Server,
    link: Link,
    mode: dhcp::Mode,
    http_port: u16,
}

impl Site {
    fn boots(&mut self, machine: &Machine) -> anyhow::Result<()> {
        let name = match machine.rules {
            Rules::Edk2 => "UEFI, as in EDK2",
            Rules::Rom => "a PXE ROM",
            Rules::Ipxe { .. } => "iPXE",
        };
        println!(
            "{name}, architecture {}, {}:",
            machine.arch.code(),
            machine.mac
        );
        let story = play(machine, self);
        for line in &story.packets {
            println!("  {} {}", if line.sent { "->" } else { "<-" }, line.text);
        }
        let boot = match story.end {
            Ok(boot) => boot,
            Err(reason) => {
                println!("boots nothing from here: {reason}");
                return Ok(());
            }
        };
        if boot.file.ends_with(".ipxe") {
            println!("fetches {}", boot.file);
            self.told(machine.mac);
            return Ok(());
        }
        let by = match boot.file.contains("://") {
            true => boot.file.clone(),
            false => format!("{} from {} over TFTP", boot.file, boot.server),
        };
        let loader = boot.file.rsplit('/').next().unwrap_or_default();
        if self.daemon.loaders.find(loader).is_none() {
            println!("fetches {by}, which is not there: `netbootd check` says why");
            return Ok(());
        }
        println!("fetches {by}, and starts it\n");
        self.started(machine, loader, &boot)
    }

    fn started(&mut self, machine: &Machine, loader: &str, boot: &Boot) -> anyhow::Result<()> {
        match loader::chain(loader) {
            Chain::Grub if boot.of_grub != Some(self.link.address) => {
                let asks = boot
                    .of_grub
                    .map_or("nobody".to_owned(), |server| server.to_string());
                println!(
                    "GRUB reads no proxy's offer and asks {asks}: it boots if the other DHCP server names {} as the next \
                     server",
                    self.link.address
                );
                Ok(())
            }
            Chain::Grub => {
                println!("GRUB at {} fetches grub/grub.cfg over TFTP", boot.address);
                self.told(machine.mac);
                Ok(())
            }
            Chain::Ipxe => self.boots(&Machine {
                rules: Rules::Ipxe { http: true },
                ..*machine
            }),
        }
    }

    /// What its loader is told to boot.
    fn told(&self, client: MacAddr) {
        match self.daemon.plan(client) {
            Plan::Boot(plan) => println!(
                "boots {}@{} as {}, with the kernel's words: {}",
                plan.image,
                plan.generation.short(),
                plan.root.as_str(),
                plan.kernel_arguments
            ),
            Plan::Menu => println!("shows the menu"),
            Plan::LocalDisk | Plan::Unanswered => println!("goes on to its own disk"),
            Plan::Nothing(reason) => println!("boots nothing: {reason}"),
        }
    }
}

impl Network for Site {
    fn ask(&mut self, from: SocketAddrV4, to: SocketAddrV4, packet: &[u8]) -> Vec<Vec<u8>> {
        let mut answers = Vec::new();
        if self.mode == dhcp::Mode::Proxy && to.ip().is_broadcast() {
            // Two addresses of the network that are not ours.
            let host = |last: u32| Ipv4Addr::from(u32::from(self.link.address) & !0xff | last);
            answers.extend(sim::neighbour(host(253), host(252), packet));
        }
        let policy = Policy {
            daemon: &self.daemon,
            http_port: self.http_port,
        };
        let received = Received {
            link: self.link.id,
            source: from,
            to_port: to.port(),
            bytes: packet,
        };
        let is_ours = to.ip().is_broadcast() || *to.ip() == self.link.address;
        let answer = match is_ours {
            true => self.server.handle(lease_clock(), &received, &policy),
            false => return answers,
        };
        let done = match answer {
            Ok(Answer::Done(done)) => done,
            Ok(Answer::Pending(pending)) => self.server.commit(pending),
            Err(_) => return answers,
        };
        answers.extend(done.reply.map(|reply| reply.bytes));
        answers
    }
}
