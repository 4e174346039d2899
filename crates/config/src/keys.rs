//! Every key that a configuration may hold, declared once.
//!
//! Defaults, the check for unknown keys, the conversion of environment variables, the shipped
//! `config/netbootd.toml` and the tables of `config/README.md` all come from [`KEYS`].

mod clients;
mod people;

use self::clients::{CLIENT, GROUP, OF_CLIENTS, OF_GROUPS};
use self::people::PEOPLE;
use crate::key::{Initial, Key, Kind};

const fn key(path: &'static str, kind: Kind, initial: Initial, prose: &'static str) -> Key {
    Key {
        path,
        kind,
        initial,
        prose,
    }
}

use Initial::{Unset, Value};
use Kind::{Flag, List, Number, Text, Word};

const ROOTS: Kind = Word(&["image", "tree", "ram"]);
const WAYS: Kind = Word(&model::Way::NAMES);
const HOST_KEYS: Kind = Word(&model::SshHostKey::NAMES);
const HOMES: Kind = Word(&model::Home::NAMES);

/// The keys, in the order of the file; those of one table stand together.
pub const KEYS: &[Key] = &all::<{ count() }>();

const TABLES: [&[Key]; 7] = [SITE, CLIENT, OF_CLIENTS, GROUP, OF_GROUPS, PEOPLE, SERVICES];

const fn count() -> usize {
    let (mut table, mut count) = (0, 0);
    while table < TABLES.len() {
        count += TABLES[table].len();
        table += 1;
    }
    count
}

const fn all<const N: usize>() -> [Key; N] {
    let mut keys = [SITE[0]; N];
    let (mut table, mut taken, mut count) = (0, 0, 0);
    while table < TABLES.len() {
        if taken < TABLES[table].len() {
            keys[count] = TABLES[table][taken];
            (taken, count) = (taken + 1, count + 1);
        } else {
            (table, taken) = (table + 1, 0);
        }
    }
    keys
}

const SITE: &[Key] = &[
    key(
        "state_dir",
        Text,
        Value("\"/var/lib/netbootd\""),
        "Folder of images, leases and keys.",
    ),
    key(
        "control_socket",
        Text,
        Value("\"/run/netbootd/control.sock\""),
        "Where the netbootd commands reach the running daemon.",
    ),
    key(
        "overlay_dir",
        Text,
        Value("\"/etc/netbootd/overlay\""),
        "Folder of files that clients get over their image: those below `all` all of them, those below \
         `groups/NAME` the group's, those below `clients/NAME` one client; the last wins. A file whose name \
         ends with .j2 is a template. Nothing in it may be secret.",
    ),
    key(
        "interfaces.*.mode",
        Word(&["auto", "full", "proxy", "off"]),
        Value("\"auto\""),
        "full: be the DHCP server. proxy: add the boot to another DHCP server's answers. \
         auto: proxy if another DHCP server answers on this network, else full. off: serve nothing here.",
    ),
    key(
        "interfaces.*.authoritative",
        Flag,
        Value("false"),
        "true: lease addresses in mode full although another DHCP server answers on this network. Otherwise none are \
         leased until it is gone, and the log and `netbootd status` name it.",
    ),
    key(
        "interfaces.*.address",
        Text,
        Unset("\"192.168.67.1\""),
        "Our address on this card. Unset: the card's first IPv4 address.",
    ),
    key(
        "interfaces.*.pool",
        List,
        Unset("[\"192.168.67.20-192.168.67.250\"]"),
        "Addresses to lease in full mode, as first-last. Unset: chosen from the card's own subnet.",
    ),
    key(
        "interfaces.*.router",
        Text,
        Unset("\"192.168.67.1\""),
        "Default router of the clients. Unset: this server where `nat` is set, else none.",
    ),
    key(
        "interfaces.*.nat",
        Text,
        Unset("\"enp3s0\""),
        "The card behind which the rest of the world is: the clients of this network reach it with that card's address \
         (masquerading by nft). Unset: nothing is translated. The unit needs its drop-in nat.conf.",
    ),
    key(
        "interfaces.*.dns",
        List,
        Unset("[\"192.168.67.1\"]"),
        "DNS servers of the clients. Unset: this server when its DNS is on, else the system's own servers.",
    ),
    key(
        "interfaces.*.lease_time",
        Text,
        Value("\"12h\""),
        "How long a lease lasts: 2m to 30d.",
    ),
    key(
        "interfaces.*.router_advertisements",
        Flag,
        Value("true"),
        "Whether to answer machines that look for an IPv6 router, and say that this is none: iPXE waits 13 s for \
         some answer. A network's own router is not disturbed.",
    ),
    key(
        "interfaces.*.options.*",
        Text,
        Unset("ntp-servers = \"192.168.67.1\""),
        "Further DHCP options by name or number, for those who ask for them: ntp-servers, domain-search, routes, mtu, \
         tzdb-timezone and more; any other by its number, like 224 = \"text:hello\", with ip:, text:, u8:, u16:, u32: or hex: in \
         front of the value.",
    ),
    key(
        "subnets.*.pool",
        List,
        Unset("[\"10.1.0.20-10.1.0.250\"]"),
        "Addresses to lease, as first-last. Unset: only reserved addresses are given.",
    ),
    key(
        "subnets.*.router",
        Text,
        Unset("\"10.1.0.1\""),
        "Default router of the clients. Unset: none is given.",
    ),
    key(
        "subnets.*.dns",
        List,
        Unset("[\"10.1.0.1\"]"),
        "DNS servers of the clients. Unset: as for interfaces.",
    ),
    key(
        "subnets.*.lease_time",
        Text,
        Value("\"12h\""),
        "How long a lease lasts: 2m to 30d.",
    ),
    key(
        "subnets.*.options.*",
        Text,
        Unset("ntp-servers = \"192.168.67.1\""),
        "As for interfaces.",
    ),
    key(
        "dns.enabled",
        Flag,
        Unset("true"),
        "Whether to answer DNS. Unset: on where we are the full DHCP server, off where we are a proxy.",
    ),
    key(
        "dns.domain",
        Text,
        Value("\"lab.internal\""),
        "Domain of the clients' names.",
    ),
    key(
        "dns.upstreams",
        List,
        Unset("[\"9.9.9.9\"]"),
        "Servers for all other names. Unset: those in /etc/resolv.conf.",
    ),
    key(
        "dns.tell_resolved",
        Flag,
        Value("false"),
        "Whether this server's own systemd-resolved learns that we answer for the clients' names, so that its programs \
         find them too. The unit netbootd-resolved.service does it, which has to be enabled.",
    ),
    key(
        "dns.hosts.*",
        Text,
        Unset("nas = \"192.168.67.5\""),
        "Further names and their addresses.",
    ),
    key(
        "dns.services.*",
        Text,
        Unset("\"_ntp._udp\" = \"nas:123\""),
        "Further services of the domain, each with its host and port, for who asks for SRV records. Those of \
         this server are there without it: _nfs._tcp, _tftp._udp.",
    ),
    key(
        "boot.default",
        Text,
        Unset("\"demo\""),
        "What clients boot: an image (\"demo\"), one of its generations (\"demo@0123456789ab\"), \"local-disk\": \
         their own disk unless they have a ticket, \"menu\": whoever sits there chooses, or \"none\": no answer \
         at all. Unset: the only published image.",
    ),
    key(
        "boot.root",
        ROOTS,
        Value("\"image\""),
        "How a client gets its root file system. image: one file over NFS. tree: files over NFS, \
         decompressed by the server. ram: fetched whole into the client's memory.",
    ),
    key(
        "boot.overlay",
        Text,
        Value("\"50%\""),
        "How much of a client's memory the changes to its root may take: \"25%\", \"4G\". \"zram\" or \"zram:4G\": \
         when memory is short they are compressed. All are gone when the machine is switched off.",
    ),
    key(
        "boot.kernel_arguments",
        Text,
        Value("\"\""),
        "Words to add to every kernel command line.",
    ),
    key(
        "boot.hostnames",
        Text,
        Value("\"pc-{mac6}\""),
        "Names of the clients whose table has none: {mac} stands for the address of the card, {mac6} for its last six digits.",
    ),
    key(
        "boot.read_ahead",
        Number,
        Value("128"),
        "How much of a file clients fetch ahead of who reads it in order, in KiB; more may bring bytes that nobody reads.",
    ),
    key(
        "boot.menu_default",
        Text,
        Unset("\"demo\""),
        "What a menu chooses when nobody does. Unset: the machine's own disk.",
    ),
    key(
        "boot.menu_timeout",
        Number,
        Value("10"),
        "How many seconds a menu waits for somebody; 0: for ever.",
    ),
    key(
        "power.reboot",
        List,
        Unset("[\"ssh\", \"root@{address}\", \"reboot\"]"),
        "The program, and its words, that `netbootd reboot` runs to restart a client, as the daemon's own user and \
         without a shell. {name}, {mac} and {address} are the client's. Unset: none.",
    ),
    key(
        "power.redfish_user",
        Text,
        Unset("\"netboot\""),
        "The account on the clients' management controllers.",
    ),
    key(
        "power.redfish_password_file",
        Text,
        Unset("\"/etc/netbootd/redfish.password\""),
        "File with its password; nobody but the daemon may read it.",
    ),
    key(
        "power.redfish_ca",
        Text,
        Unset("\"/etc/netbootd/redfish.pem\""),
        "Certificates that the controllers' own are held against; a controller's self-signed one will do. Unset: the \
         system's.",
    ),
    key(
        "loaders.folders",
        List,
        Unset("[\"/srv/loaders\"]"),
        "Folders searched for loaders before the places where distribution packages put them.",
    ),
    key(
        "loaders.bios",
        Text,
        Unset("\"undionly.kpxe\""),
        "Loader for machines with a BIOS. Unset: undionly.kpxe.",
    ),
    key(
        "loaders.uefi_x86",
        Text,
        Unset("\"ipxe-i386.efi\""),
        "Loader for 32-bit x86 UEFI. Unset: the package's iPXE, if it has one.",
    ),
    key(
        "loaders.uefi_x64",
        Text,
        Unset("\"snponly.efi\""),
        "Loader for 64-bit x86 UEFI. Unset: snponly.efi.",
    ),
    key(
        "loaders.uefi_arm64",
        Text,
        Unset("\"ipxe-arm64.efi\""),
        "Loader for 64-bit ARM UEFI. Unset: the package's iPXE, if it has one.",
    ),
    key(
        "images.*.root",
        ROOTS,
        Unset("\"tree\""),
        "As boot.root, for this image. Unset: boot.root.",
    ),
    key(
        "images.*.kernel_arguments",
        Text,
        Unset("\"console=ttyS0\""),
        "Words to add for this image.",
    ),
    key(
        "images.*.networks",
        List,
        Unset("[\"192.168.67.0/24\"]"),
        "Who may have this image, over NFS and HTTP; checked at every call. Unset: nfs.networks for NFS, \
         everybody for HTTP.",
    ),
    key(
        "images.*.keep",
        Number,
        Unset("3"),
        "How many generations stay after a build or `image prune`: the newest, besides the current, the previous \
         and pinned ones and those that a client runs. Unset: 3.",
    ),
    key(
        "images.*.verity",
        Flag,
        Unset("true"),
        "Clients check every block that they read of the image (roots image and ram) by a hash tree that the build \
         makes: a changed byte is a read error there and an alarm here. false: neither the next build nor the next \
         boots. Unset: if the image's kernel can (dm-verity); true: a build whose kernel cannot fails.",
    ),
    key(
        "scrub.exclude",
        List,
        Value("[]"),
        "Left out as well: paths below the root, or patterns with * and **.",
    ),
    key(
        "scrub.keep",
        List,
        Value("[]"),
        "Not left out: names of rules, which do not hold then, or paths and patterns.",
    ),
    key(
        "scrub.allow_secrets",
        List,
        Value("[]"),
        "Files that an image may have although they hold a secret: paths or patterns.",
    ),
];

const SERVICES: &[Key] = &[
    key(
        "http.port",
        Number,
        Unset("80"),
        "TCP port. Unset: 80, or 8067 when another program has 80.",
    ),
    key(
        "tftp.enabled",
        Flag,
        Value("true"),
        "Whether to answer TFTP.",
    ),
    key(
        "tftp.port",
        Number,
        Value("69"),
        "UDP port. Firmware only knows 69.",
    ),
    key(
        "nfs.port",
        Number,
        Value("2049"),
        "TCP port of NFS, MOUNT and portmap.",
    ),
    key(
        "nfs.portmap",
        Flag,
        Value("true"),
        "Whether to answer on port 111 too. Our own clients do not need it.",
    ),
    key(
        "nfs.networks",
        List,
        Unset("[\"192.168.67.0/24\"]"),
        "Who may mount and read; checked at every call. Unset: whoever reaches the served address.",
    ),
    key(
        "exports.*.folder",
        Text,
        Unset("\"/srv/data\""),
        "Its path on this server. It must be set.",
    ),
    key(
        "exports.*.networks",
        List,
        Unset("[\"192.168.67.0/24\"]"),
        "Who may mount and read this folder; checked at every call. Unset: nfs.networks.",
    ),
    key(
        "log.level",
        Word(&["error", "warn", "info", "debug", "trace"]),
        Value("\"info\""),
        "How much to say: error, warn, info, debug or trace.",
    ),
    key(
        "log.format",
        Word(&["text", "json"]),
        Value("\"text\""),
        "text for people, json for machines.",
    ),
];
