//! What GRUB is sent over TFTP: its configuration, made for the client that asks, and kernels and
//! initrds. And the first script of an iPXE that asks for one there.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use boot::{Plan, grub, script};
use model::{BootChoice, ClientNetwork, GenerationId, ImageName, MacAddr, Stage};

use crate::boots::Asked;
use crate::daemon::{Daemon, ServedLink};

/// What a path of GRUB's is.
pub enum Sent {
    /// Made for this client.
    Text(Vec<u8>),
    /// A file of a generation.
    File(Arc<File>),
}

/// The file at `path` for who asks from `peer` at our address `local`; `None`: it is none of GRUB's.
pub fn file(daemon: &Daemon, path: &str, peer: Ipv4Addr, local: Ipv4Addr) -> Option<Sent> {
    let path: Vec<&str> = path.split('/').collect();
    match path.as_slice() {
        ["images", name, generation, file] => image_file(daemon, name, generation, file, peer),
        ["boot", mac, choice] => {
            let client: MacAddr = mac.parse().ok()?;
            let choice = choice.strip_suffix(".grub")?;
            configuration(daemon, client, Some(choice), peer, local)
        }
        [.., script::AUTOEXEC] => {
            if let Some(client) = daemon.client_at(peer) {
                daemon.firmware.spoke(client);
            }
            let links = daemon.links.load();
            let link = links.iter().find(|served| served.link.address == local)?;
            let http = SocketAddrV4::new(local, link.http_port);
            Some(Sent::Text(script::autoexec(http).into_bytes()))
        }
        _ if path.join("/") == grub::CONFIGURATION => {
            configuration(daemon, daemon.client_at(peer)?, None, peer, local)
        }
        _ => None,
    }
}

fn image_file(
    daemon: &Daemon,
    name: &str,
    generation: &str,
    file: &str,
    peer: Ipv4Addr,
) -> Option<Sent> {
    let (name, id): (ImageName, GenerationId) = (name.parse().ok()?, generation.parse().ok()?);
    if !daemon.exports.may_have(&name, peer.into()) {
        return None;
    }
    let images = daemon.images.load();
    let generation = images.generation(&name, id)?;
    match file {
        "vmlinuz" => Some(Sent::File(Arc::clone(&generation.kernel))),
        "initrd.img" => Some(Sent::File(Arc::clone(&generation.initrd.file))),
        _ => None,
    }
}

/// `choice` is what was picked in the menu, or `failed` after a failure.
fn configuration(
    daemon: &Daemon,
    client: MacAddr,
    choice: Option<&str>,
    peer: Ipv4Addr,
    local: Ipv4Addr,
) -> Option<Sent> {
    let links = daemon.links.load();
    let link = links.iter().find(|served| served.link.address == local)?;
    let asked = Asked {
        daemon,
        client,
        peer,
        http: SocketAddrV4::new(local, link.http_port),
    };
    let picked: Option<BootChoice> = match choice {
        None => None,
        Some("failed") => {
            asked.loader_failed("GRUB could not load kernel or initrd");
            None
        }
        Some(text) => Some(text.parse().ok()?),
    };
    let text = match asked.plan(picked.as_ref(), true) {
        Plan::Boot(plan) => {
            let mut arguments = asked.arguments(&plan, true);
            arguments.network = network(daemon, link, peer);
            grub::boot(&arguments, &plan.kernel_arguments)
        }
        Plan::Menu => asked.menu(&grub::folder(client), "/", |menu| menu.render_for_grub()),
        Plan::LocalDisk | Plan::Unanswered => grub::local_disk(),
        Plan::Nothing(reason) => {
            daemon.failed(client, Stage::Kernel, &reason);
            grub::nothing(&reason)
        }
    };
    Some(Sent::Text(text.into_bytes()))
}

/// The network of a client whose address is ours to give; `None`: its own DHCP round tells it.
fn network(daemon: &Daemon, served: &ServedLink, peer: Ipv4Addr) -> Option<ClientNetwork> {
    if served.mode != dhcp::Mode::Full || !served.has(peer) {
        return None;
    }
    let mut interfaces = daemon.config.interfaces.iter();
    let configured = interfaces.find(|interface| interface.name == served.link.name);
    Some(ClientNetwork {
        address: peer,
        prefix_len: served.link.prefix_len,
        gateway: configured.and_then(|interface| interface.router),
        dns: served.dns.first().copied(),
    })
}
