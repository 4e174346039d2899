//! What can be said of clients, and of groups of them.

use super::{HOMES, HOST_KEYS, ROOTS, WAYS, key};
use crate::key::Initial::Unset;
use crate::key::Key;
use crate::key::Kind::{Flag, List, Text};

/// What can be said of one client and of a group alike: the table, whom it is about, whose settings come after it.
macro_rules! shared {
    ($table:literal, $these:literal, $groups:literal) => {
        &[
    key(
        concat!($table, ".image"),
        Text,
        Unset("\"demo\""),
        concat!("As boot.default, for ", $these, ". Unset: ", $groups, "boot.default."),
    ),
    key(
        concat!($table, ".root"),
        ROOTS,
        Unset("\"ram\""),
        concat!("As boot.root, for ", $these, ". Unset: ", $groups, "the image's setting."),
    ),
    key(
        concat!($table, ".overlay"),
        Text,
        Unset("\"zram\""),
        concat!("As boot.overlay, for ", $these, ". Unset: ", $groups, "boot.overlay."),
    ),
    key(
        concat!($table, ".kernel_arguments"),
        Text,
        Unset("\"nomodeset\""),
        concat!("Words to add for ", $these, "."),
    ),
    key(
        concat!($table, ".mask"),
        List,
        Unset("[\"cups.service\"]"),
        "Units of systemd that never start. Unset: none but those that fetch packages or look after the \
         machine's own disks.",
    ),
    key(
        concat!($table, ".unmask"),
        List,
        Unset("[\"fstrim.timer\"]"),
        "Units that start although netbootd or a setting of lower rank masks them.",
    ),
    key(
        concat!($table, ".reboot"),
        List,
        Unset("[\"ssh\", \"root@{name}\", \"reboot\"]"),
        concat!("As power.reboot, for ", $these, "."),
    ),
    key(
        concat!($table, ".redfish"),
        Text,
        Unset("\"https://{name}-bmc.example.net\""),
        concat!("Where the management controller of ", $these, " answers Redfish: `netbootd reboot` asks it for one start over the \
         network and a restart, and runs no command. {name} and {mac} are the client's."),
    ),
    key(
        concat!($table, ".fstab"),
        List,
        Unset("[\"nas:/data /data nfs ro,nofail 0 0\"]"),
        "Lines of /etc/fstab. Unset: the image's own file stays as it is.",
    ),
    key(
        concat!($table, ".commands"),
        List,
        Unset("[\"modprobe nvidia-uvm\"]"),
        "Shell commands that root runs at the end of the boot, in order.",
    ),
    key(
        concat!($table, ".autologin"),
        Text,
        Unset("\"alice\""),
        "The account that the screen and the serial console are logged in as. Unset: they ask.",
    ),
    key(
        concat!($table, ".users"),
        List,
        Unset("[\"alice\"]"),
        concat!("Which of the users, and of those of login.users, are on ", $these, ". Unset: all."),
    ),
    key(
        concat!($table, ".home"),
        HOMES,
        Unset("\"machine\""),
        concat!("As login.home, for ", $these, ". Unset: ", $groups, "login.home."),
    ),
    key(
        concat!($table, ".ssh_host_key"),
        HOST_KEYS,
        Unset("\"firmware\""),
        concat!(
            "boot: a new ssh host key at each boot. firmware: one that is made once and kept in a variable of the \
             machine's UEFI, where whoever is root on it, or administrator of its own system, can read it; BIOS machines \
             have a new one all the same. Unset: ",
            $groups,
            "boot."
        ),
    ),
    key(
        concat!($table, ".secure_boot"),
        Flag,
        Unset("true"),
        concat!(
            "true: the loaders that Secure Boot lets start, shim and GRUB; false: never those. Unset: ",
            $groups,
            "it is found out and remembered."
        ),
    ),
    key(
        concat!($table, ".firmware"),
        WAYS,
        Unset("\"boot-server\""),
        concat!(
            "How the firmware is brought to its loader. direct: the offer says it all. boot-server: it asks on port \
             4011. header: header fields only. other-ipxe: with an iPXE that has drivers of its own. shim: with shim and \
             GRUB. Unset: ",
            $groups,
            "each is tried until one works, which is remembered."
        ),
    ),
    key(
        concat!($table, ".options.*"),
        Text,
        Unset("log-servers = \"192.168.67.9\""),
        concat!("As interfaces.*.options, for ", $these, ", where netbootd leases the addresses. Unset: ", $groups,
            "what the card or the subnet says."),
    ),
        ]
    };
}

pub(super) const CLIENT: &[Key] = &[
    key(
        "clients.*.hostname",
        Text,
        Unset("\"pc1\""),
        "The client's name. Unset: made from its address.",
    ),
    key(
        "clients.*.address",
        Text,
        Unset("\"192.168.67.11\""),
        "An address kept for this client. Unset: one from the pool.",
    ),
];
pub(super) const OF_CLIENTS: &[Key] =
    shared!("clients.*", "this client", "what its groups say, else ");
pub(super) const GROUP: &[Key] = &[
    key(
        "groups.*.members",
        List,
        Unset("[\"pc-gpu*\", \"52:54:*\"]"),
        "Who belongs to it: host names or MAC addresses, with `*` for any text and `?` for one character. \
         Unset: nobody; other groups may include it.",
    ),
    key(
        "groups.*.include",
        List,
        Unset("[]"),
        "Groups whose settings these clients have too.",
    ),
];
pub(super) const OF_GROUPS: &[Key] = shared!("groups.*", "these clients", "");
