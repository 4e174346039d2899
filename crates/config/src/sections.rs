//! The tables that a configuration may have, and what each is for.

use crate::key::Section;

const fn section(path: &'static str, example: &'static str, prose: &'static str) -> Section {
    Section {
        path,
        example,
        prose,
    }
}

/// The tables, in the order of the file.
pub const SECTIONS: &[Section] = &[
    section("", "", "Where netbootd keeps its things."),
    section(
        "interfaces.*",
        "interfaces.enp1s0",
        "A network card to serve. One such line is a whole configuration.",
    ),
    section(
        "subnets.*",
        "subnets.\"10.1.0.0/24\"",
        "A network behind a DHCP relay. Cards of this machine need no such table.",
    ),
    section("dns", "dns", "Names for the clients."),
    section(
        "boot",
        "boot",
        "What clients boot unless their own table says otherwise.",
    ),
    section("power", "power", "How clients are restarted."),
    section(
        "loaders",
        "loaders",
        "The programs that firmware loads first.",
    ),
    section("images.*", "images.demo", "Settings of one image."),
    section(
        "scrub",
        "scrub",
        "What `netbootd image build` leaves out, on top of its rules (`netbootd image rules`) and before its options.",
    ),
    section(
        "clients.*",
        "clients.\"52:54:00:12:34:56\"",
        "Settings of one client. The table is named after what it is known by: the MAC address of the card it boots from, \
         the UUID of its mainboard (\"4c4c4544-0042-3510-8052-b4c04f384431\", as `dmidecode -s system-uuid` prints it) or \
         its DHCP client identifier (\"id:pc07\", \"id:ff:12:34:56\"). Of several for one machine the first in this order counts, whole.",
    ),
    section(
        "groups.*",
        "groups.gpu",
        "Settings of several clients. A client's own settings win over those of its groups, a later group over \
         an earlier one, and a group over what it includes; kernel arguments, units, lines and commands add up.",
    ),
    section(
        "users.*",
        "users.alice",
        "An account that every client has.",
    ),
    section(
        "login",
        "login",
        "This server's own people on the clients: their accounts, with the numbers they have here; their passwords, \
         which are checked here over ssh; and their homes.",
    ),
    section("http", "http", "Loaders, kernels and images over HTTP."),
    section(
        "tftp",
        "tftp",
        "The first loader, for firmware that knows nothing else.",
    ),
    section("nfs", "nfs", "The clients' root file systems, read-only."),
    section(
        "exports.*",
        "exports.data",
        "A folder of this server that clients may mount as SERVER:/exports/data, read-only over NFS. They \
         see what user netbootd may read; nothing outside of the folder, no other file system mounted in it.",
    ),
    section("log", "log", "What netbootd says about its work."),
];
