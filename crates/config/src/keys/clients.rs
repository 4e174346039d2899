//! What can be said of clients, and of groups of them.

use super::{HOMES, ROOTS, key};
use crate::key::Initial::Unset;
use crate::key::Key;
use crate::key::Kind::{List, Text};

pub(super) const CLIENTS: &[Key] = &[
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
    key(
        "clients.*.image",
        Text,
        Unset("\"demo\""),
        "As boot.default, for this client. Unset: what its groups say, else boot.default.",
    ),
    key(
        "clients.*.root",
        ROOTS,
        Unset("\"ram\""),
        "As boot.root, for this client. Unset: what its groups say, else the image's setting.",
    ),
    key(
        "clients.*.overlay",
        Text,
        Unset("\"zram\""),
        "As boot.overlay, for this client. Unset: what its groups say, else boot.overlay.",
    ),
    key(
        "clients.*.kernel_arguments",
        Text,
        Unset("\"nomodeset\""),
        "Words to add for this client.",
    ),
    key(
        "clients.*.mask",
        List,
        Unset("[\"cups.service\"]"),
        "Units of systemd that never start. Unset: none but those that fetch packages or look after the \
         machine's own disks.",
    ),
    key(
        "clients.*.unmask",
        List,
        Unset("[\"fstrim.timer\"]"),
        "Units that start although netbootd or a setting of lower rank masks them.",
    ),
    key(
        "clients.*.reboot",
        List,
        Unset("[\"ssh\", \"root@{name}\", \"reboot\"]"),
        "As power.reboot, for this client.",
    ),
    key(
        "clients.*.redfish",
        Text,
        Unset("\"https://{name}-bmc.example.net\""),
        "Where the management controller of this client answers Redfish: `netbootd reboot` asks it for one start over the \
         network and a restart, and runs no command. {name} and {mac} are the client's.",
    ),
    key(
        "clients.*.fstab",
        List,
        Unset("[\"nas:/data /data nfs ro,nofail 0 0\"]"),
        "Lines of /etc/fstab. Unset: the image's own file stays as it is.",
    ),
    key(
        "clients.*.commands",
        List,
        Unset("[\"modprobe nvidia-uvm\"]"),
        "Shell commands that root runs at the end of the boot, in order.",
    ),
    key(
        "clients.*.autologin",
        Text,
        Unset("\"alice\""),
        "The account that the screen and the serial console are logged in as. Unset: they ask.",
    ),
    key(
        "clients.*.users",
        List,
        Unset("[\"alice\"]"),
        "Which of the users, and of those of login.users, this client has. Unset: all.",
    ),
    key(
        "clients.*.home",
        HOMES,
        Unset("\"machine\""),
        "As login.home, for this client. Unset: what its groups say, else login.home.",
    ),
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
    key(
        "groups.*.image",
        Text,
        Unset("\"demo\""),
        "As boot.default, for these clients. Unset: boot.default.",
    ),
    key(
        "groups.*.root",
        ROOTS,
        Unset("\"ram\""),
        "As boot.root, for these clients. Unset: the image's setting.",
    ),
    key(
        "groups.*.overlay",
        Text,
        Unset("\"zram\""),
        "As boot.overlay, for these clients. Unset: boot.overlay.",
    ),
    key(
        "groups.*.kernel_arguments",
        Text,
        Unset("\"nomodeset\""),
        "Words to add for these clients.",
    ),
    key(
        "groups.*.mask",
        List,
        Unset("[\"cups.service\"]"),
        "Units of systemd that never start. Unset: none but those that fetch packages or look after the \
         machine's own disks.",
    ),
    key(
        "groups.*.unmask",
        List,
        Unset("[\"fstrim.timer\"]"),
        "Units that start although netbootd or a setting of lower rank masks them.",
    ),
    key(
        "groups.*.reboot",
        List,
        Unset("[\"ssh\", \"root@{name}\", \"reboot\"]"),
        "As power.reboot, for these clients.",
    ),
    key(
        "groups.*.redfish",
        Text,
        Unset("\"https://{name}-bmc.example.net\""),
        "Where the management controller of these clients answers Redfish: `netbootd reboot` asks it for one start over the \
         network and a restart, and runs no command. {name} and {mac} are the client's.",
    ),
    key(
        "groups.*.fstab",
        List,
        Unset("[\"nas:/data /data nfs ro,nofail 0 0\"]"),
        "Lines of /etc/fstab. Unset: the image's own file stays as it is.",
    ),
    key(
        "groups.*.commands",
        List,
        Unset("[\"modprobe nvidia-uvm\"]"),
        "Shell commands that root runs at the end of the boot, in order.",
    ),
    key(
        "groups.*.autologin",
        Text,
        Unset("\"alice\""),
        "The account that the screen and the serial console are logged in as. Unset: they ask.",
    ),
    key(
        "groups.*.users",
        List,
        Unset("[\"alice\"]"),
        "Which of the users, and of those of login.users, these clients have. Unset: all.",
    ),
    key(
        "groups.*.home",
        HOMES,
        Unset("\"machine\""),
        "As login.home, for these clients. Unset: login.home.",
    ),
];
