//! What a configuration means: values that the daemon can use without another check.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

pub use model::DhcpOption;
use model::{
    BootChoice, Changes, Group, Home, ImageName, KnownBy, NamePattern, RootMode, Settings,
};

/// A whole configuration. [`Config::default`] is what an empty file means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Folder of images, leases and keys; absolute.
    pub state_dir: PathBuf,
    /// Path of the control socket; absolute.
    pub control_socket: PathBuf,
    /// Folder of the clients' overlay files; absolute.
    pub overlay_dir: PathBuf,
    /// `[log]`
    pub log: Log,
    /// `[interfaces.*]`, in the order of the file.
    pub interfaces: Vec<Interface>,
    /// `[subnets.*]`, in the order of the file; they do not overlap.
    pub subnets: Vec<Subnet>,
    /// `[dns]`
    pub dns: Dns,
    /// `[boot]`
    pub boot: Boot,
    /// `[power]`
    pub power: Power,
    /// `[loaders]`
    pub loaders: Loaders,
    /// `[images.*]`
    pub images: BTreeMap<ImageName, ImageSettings>,
    /// `[scrub]`
    pub scrub: Scrub,
    /// `[clients.*]`; no two have the same address or hostname.
    pub clients: BTreeMap<KnownBy, ClientSettings>,
    /// `[groups.*]`, in the order of the file: a later one wins over an earlier one. What they
    /// include is there, and not in a circle.
    pub groups: Vec<Group>,
    /// `[users.*]`; no two have the same uid.
    pub users: BTreeMap<String, User>,
    /// `[login]`
    pub login: Login,
    /// `[http]`
    pub http: Http,
    /// `[tftp]`
    pub tftp: Tftp,
    /// `[nfs]`
    pub nfs: Nfs,
    /// `[exports.*]`, by the name below `/exports`.
    pub exports: BTreeMap<String, ExportedFolder>,
}

impl Config {
    /// Everything that the configuration has somebody boot, in any of its places.
    pub fn choices(&self) -> impl Iterator<Item = &BootChoice> {
        let site = self.boot.default.iter().chain(&self.boot.menu_default);
        let groups = self.groups.iter().map(|group| &group.settings);
        let clients = self.clients.values().map(|client| &client.settings);
        let settings = groups.chain(clients);
        site.chain(settings.filter_map(|settings| settings.boot.as_ref()))
    }
}

/// What the daemon says about its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
    /// For people or for machines.
    pub format: LogFormat,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// One line of text for each event.
    #[default]
    Text,
    /// One JSON object for each event.
    Json,
}

/// The part that we play in DHCP on one network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Proxy if another DHCP server answers, else full.
    #[default]
    Auto,
    /// The network's DHCP server.
    Full,
    /// Boot information beside another DHCP server (PXE 2.1, proxyDHCP).
    Proxy,
    /// Nothing is served.
    Off,
}

/// A network card that is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The kernel's name of the card.
    pub name: String,
    /// Our part in DHCP.
    pub mode: Mode,
    /// Whether addresses are leased although another DHCP server answers.
    pub authoritative: bool,
    /// Our address; `None`: the card's first IPv4 address.
    pub address: Option<Ipv4Addr>,
    /// First and last address of each range to lease; they do not overlap. Empty: the daemon chooses.
    pub pool: Vec<(Ipv4Addr, Ipv4Addr)>,
    /// Default router of the clients.
    pub router: Option<Ipv4Addr>,
    /// The card to the rest of the world, which the clients of this one reach by network address translation.
    pub nat: Option<String>,
    /// DNS servers of the clients; empty: the daemon chooses.
    pub dns: Vec<Ipv4Addr>,
    /// How long a lease lasts, 2 minutes to 30 days.
    pub lease_time: Duration,
    /// Whether router solicitations are answered.
    pub router_advertisements: bool,
    /// What else clients are told, each option once.
    pub options: Vec<DhcpOption>,
}

/// A network behind a DHCP relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subnet {
    /// The network's address; its host bits are zero.
    pub network: Ipv4Addr,
    /// Length of the prefix in bits, 8 to 30.
    pub prefix_len: u8,
    /// First and last address of each range to lease, inside the network.
    pub pool: Vec<(Ipv4Addr, Ipv4Addr)>,
    /// Default router of the clients, inside the network.
    pub router: Option<Ipv4Addr>,
    /// DNS servers of the clients; empty: the daemon chooses.
    pub dns: Vec<Ipv4Addr>,
    /// How long a lease lasts, 2 minutes to 30 days.
    pub lease_time: Duration,
    /// What else clients are told, each option once.
    pub options: Vec<DhcpOption>,
}

/// Names for the clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dns {
    /// Whether to answer; `None`: in full mode only.
    pub enabled: Option<bool>,
    /// The clients' domain, lower case, without a final dot.
    pub domain: String,
    /// Servers for other names; empty: those in `/etc/resolv.conf`.
    pub upstreams: Vec<IpAddr>,
    /// Whether this machine's own systemd-resolved is told of the domain.
    pub tell_resolved: bool,
    /// Further names, lower case.
    pub hosts: BTreeMap<String, Ipv4Addr>,
    /// Further services, like `_ntp._udp`, lower case: host and port.
    pub services: BTreeMap<String, (String, u16)>,
}

/// What clients boot unless their own table says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boot {
    /// `None`: the only published image.
    pub default: Option<BootChoice>,
    /// How the root file system travels.
    pub root: RootMode,
    /// What changes to the root may take of a client's memory.
    pub changes: Changes,
    /// Words for the kernel command line; may be empty.
    pub kernel_arguments: String,
    /// What clients are called that nobody named.
    pub hostnames: NamePattern,
    /// What clients read ahead, in KiB.
    pub read_ahead: u32,
    /// What a menu chooses by itself; `None`: the machine's own disk.
    pub menu_default: Option<BootChoice>,
    /// How long a menu waits, in seconds; 0: for ever.
    pub menu_timeout: u32,
}

/// How clients are restarted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Power {
    /// The program and its words; empty: none.
    pub reboot: Vec<String>,
    /// The account on the management controllers.
    pub redfish_user: Option<String>,
    /// Absolute path of the file with its password.
    pub redfish_password_file: Option<PathBuf>,
    /// Absolute path of the certificates that the controllers' are held against.
    pub redfish_ca: Option<PathBuf>,
}

/// The programs that firmware loads first; `None`: the daemon's own choice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaders {
    /// Absolute paths, searched in this order before the packages' places.
    pub folders: Vec<PathBuf>,
    /// File name for machines with a BIOS.
    pub bios: Option<String>,
    /// File name for 32-bit x86 UEFI.
    pub uefi_x86: Option<String>,
    /// File name for 64-bit x86 UEFI.
    pub uefi_x64: Option<String>,
    /// File name for 64-bit ARM UEFI.
    pub uefi_arm64: Option<String>,
}

/// Settings of one image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageSettings {
    /// Instead of [`Boot::root`].
    pub root: Option<RootMode>,
    /// Added to [`Boot::kernel_arguments`].
    pub kernel_arguments: Option<String>,
    /// Networks that may have it, with the lengths of their prefixes; empty: [`Nfs::networks`].
    pub networks: Vec<(Ipv4Addr, u8)>,
    /// Generations that stay, at least 1; [`KEEP`] without it.
    pub keep: Option<u32>,
    /// Whether clients check what they read of its root; without it, if they can.
    pub verity: Option<bool>,
}

/// Generations of an image that stay, the newest ones, where nothing else is said.
pub const KEEP: u32 = 3;

/// What builds of images leave out, on top of their built-in rules. Paths have no leading slash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scrub {
    /// Paths and patterns that are left out.
    pub exclude: Vec<String>,
    /// Rules that do not hold, paths and patterns that are not left out.
    pub keep: Vec<String>,
    /// Paths and patterns of files that may hold secrets.
    pub allow_secrets: Vec<String>,
}

/// Settings of one client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientSettings {
    /// Its name, lower case, one label.
    pub hostname: Option<String>,
    /// The address kept for it.
    pub address: Option<Ipv4Addr>,
    /// What it boots, and how.
    pub settings: Settings,
}

/// An account that every client has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// OpenSSH public keys, one line each.
    pub ssh_keys: Vec<String>,
    /// Numeric user id, 1000 to 60000 or above 65535.
    pub uid: Option<u32>,
    /// Further groups.
    pub groups: Vec<String>,
    /// Absolute path of the login shell.
    pub shell: Option<String>,
    /// Whether whoever sits at the machine logs in without a password.
    pub passwordless: bool,
}

/// The server's own people on its clients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Login {
    /// Names of accounts; of groups with `@` in front.
    pub users: Vec<String>,
    /// Where their homes are, unless a group or a client says otherwise.
    pub home: Home,
    /// Whose ssh server checks passwords and has the homes; `None`: this machine.
    pub server: Option<Ipv4Addr>,
    /// Its public host keys; empty: those of this machine.
    pub host_keys: Vec<String>,
    /// `HOST:FOLDER` that the homes are in, for [`Home::Nfs`].
    pub nfs: Option<String>,
}

/// HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    /// TCP port; `None`: 80, or 8067 when 80 is taken.
    pub port: Option<u16>,
}

/// TFTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tftp {
    /// Whether to answer.
    pub enabled: bool,
    /// UDP port.
    pub port: u16,
}

/// NFS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nfs {
    /// TCP port of NFS, MOUNT and portmap.
    pub port: u16,
    /// Whether to serve portmap on port 111 too.
    pub portmap: bool,
    /// Networks that may mount and read, with the lengths of their prefixes; empty: everybody.
    pub networks: Vec<(Ipv4Addr, u8)>,
}

/// A folder of the server that clients may mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportedFolder {
    /// Absolute path.
    pub folder: PathBuf,
    /// Networks that may mount and read it; empty: [`Nfs::networks`].
    pub networks: Vec<(Ipv4Addr, u8)>,
}
