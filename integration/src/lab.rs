//! The lab network: one link, the server on it, and whoever a test brings.

use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::namespace::Namespace;
use crate::place;
use crate::process::Process;

/// A link with the server's namespace on it, a folder for what is written, and a capture.
#[derive(Debug)]
pub struct Lab {
    // Dropped in this order: programs before the namespace they run in.
    capture: Mutex<Option<Process>>,
    server: Namespace,
    folder: PathBuf,
    members: AtomicU8,
}

impl Lab {
    /// The server's address on the link, a /24.
    pub const SERVER: Ipv4Addr = Ipv4Addr::new(192, 168, 67, 1);
    /// The server's interface, a bridge that all taps and clients are ports of.
    pub const BRIDGE: &'static str = "br0";

    /// A fresh lab. `name` is for people: its folder is called so.
    pub fn new(name: &str) -> Result<Self> {
        let safe = name.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        let folder = place::lab()
            .join("run")
            .join(format!("{safe}-{}", std::process::id()));
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make folder {}", folder.display()))?;
        let server = Namespace::new()?;
        link(&server, Self::BRIDGE)?;
        let bridge = Self::BRIDGE;
        server.ip(&format!("address add {}/24 dev {bridge}", Self::SERVER))?;
        let lab = Self {
            capture: Mutex::new(None),
            server,
            folder,
            members: AtomicU8::new(0),
        };
        lab.start_capture()?;
        Ok(lab)
    }

    /// The folder for logs, state and captures of this lab.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The namespace that the server under test runs in.
    pub fn server(&self) -> &Namespace {
        &self.server
    }

    /// A command that runs in the server's namespace.
    pub fn command(&self, program: &str) -> Result<Command> {
        self.server.command(program)
    }

    /// Everything that was on the link: a packet capture, complete once the lab is closed.
    pub fn capture(&self) -> PathBuf {
        self.folder.join("link.pcap")
    }

    /// A machine on the link that runs tools: its own namespace, with interface `eth0` up and no
    /// address.
    pub fn client(&self) -> Result<Client> {
        self.client_at(Self::BRIDGE)
    }

    /// Another link, which the server has no address on. Returns its bridge.
    pub fn other_link(&self) -> Result<&'static str> {
        let bridge = "br1";
        link(&self.server, bridge)?;
        Ok(bridge)
    }

    /// The same as [`Lab::client`], on the link of this bridge.
    pub fn client_at(&self, bridge: &str) -> Result<Client> {
        let member = self.next_member();
        let namespace = Namespace::new()?;
        let port = format!("veth{member}");
        let mac = mac(member);
        self.server.ip(&format!(
            "link add {port} type veth peer name eth0 netns {} address {mac}",
            namespace.holder()
        ))?;
        self.server
            .ip(&format!("link set {port} master {bridge} up"))?;
        namespace.ip("link set eth0 up")?;
        Ok(Client { namespace, mac })
    }

    /// A machine on a link of its own behind `router`, which has `address` (a /24) there.
    pub fn client_behind(&self, router: &Client, address: Ipv4Addr) -> Result<Client> {
        let member = self.next_member();
        let namespace = Namespace::new()?;
        let port = format!("far{member}");
        let mac = mac(member);
        let inside = &router.namespace;
        inside.ip(&format!(
            "link add {port} type veth peer name eth0 netns {} address {mac}",
            namespace.holder()
        ))?;
        inside.ip(&format!("address add {address}/24 dev {port}"))?;
        inside.ip(&format!("link set {port} up"))?;
        namespace.ip("link set eth0 up")?;
        Ok(Client { namespace, mac })
    }

    /// A tap on the link for a virtual machine: its name, and the MAC address of the machine.
    pub fn tap(&self) -> Result<(String, String)> {
        self.tap_at(Self::BRIDGE)
    }

    /// The same as [`Lab::tap`], on the link of this bridge.
    pub fn tap_at(&self, bridge: &str) -> Result<(String, String)> {
        let member = self.next_member();
        let tap = format!("tap{member}");
        self.server.ip(&format!("tuntap add {tap} mode tap"))?;
        self.server
            .ip(&format!("link set {tap} master {bridge} up"))?;
        Ok((tap, mac(member)))
    }

    /// Ends the capture, so that its file is whole.
    pub fn close_capture(&self) {
        self.captured(None);
    }

    fn next_member(&self) -> u8 {
        self.members.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Who captures from now on; who did so before has ended.
    fn captured(&self, by: Option<Process>) {
        *self.capture.lock().unwrap_or_else(PoisonError::into_inner) = by;
    }

    fn start_capture(&self) -> Result<()> {
        // Enough of each packet for every header and a DHCP message, not the gigabytes of roots.
        let mut tcpdump = self.server.command("tcpdump")?;
        tcpdump
            .args([
                "-i",
                Self::BRIDGE,
                "-n",
                "-U",
                "-Z",
                "root",
                "-s",
                "600",
                "-w",
            ])
            .arg(self.capture());
        let mut tcpdump = Process::start(&mut tcpdump, &self.folder.join("tcpdump.log"))?;
        tcpdump.until_printed("listening on", Duration::from_secs(10))?;
        self.captured(Some(tcpdump));
        Ok(())
    }
}

/// A client on the link that is a namespace: real tools run in it.
#[derive(Debug)]
pub struct Client {
    namespace: Namespace,
    mac: String,
}

impl Client {
    /// A command that runs on this client.
    pub fn command(&self, program: &str) -> Result<Command> {
        self.namespace.command(program)
    }

    /// Its MAC address, with colons.
    pub fn mac(&self) -> &str {
        &self.mac
    }

    /// Runs `work` on a thread that is on this client: the sockets that it opens are the client's.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let namespace = File::open(format!("/proc/{}/ns/net", self.namespace.holder()))?;
        let inside = move || {
            // The namespace is this thread's alone, and a socket stays in the one that it was made in.
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
            work()
        };
        std::thread::scope(|scope| scope.spawn(inside).join())
            .map_err(|_| anyhow!("a thread on a client has panicked"))?
    }

    /// Sends what goes to this network out of its interface.
    pub fn route(&self, network: &str) -> Result<()> {
        self.namespace.ip(&format!("route add {network} dev eth0"))
    }

    /// Gives it an address by hand, a /24, for tests that are not about DHCP.
    pub fn set_address(&self, address: Ipv4Addr) -> Result<()> {
        self.namespace
            .ip(&format!("address add {address}/24 dev eth0"))
    }
}

fn link(server: &Namespace, bridge: &str) -> Result<()> {
    server.ip(&format!(
        "link add {bridge} type bridge forward_delay 0 stp_state 0"
    ))?;
    server.ip(&format!("link set {bridge} up"))
}

fn mac(member: u8) -> String {
    format!("52:54:00:67:00:{member:02x}")
}
