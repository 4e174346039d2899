//! Who has an account on clients.

use super::{HOMES, key};
use crate::key::Initial::{Unset, Value};
use crate::key::Key;
use crate::key::Kind::{Flag, List, Number, Text};

pub(super) const PEOPLE: &[Key] = &[
    key(
        "users.*.ssh_keys",
        List,
        Unset(
            "[\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDw7E7rCYrSDNBtLCYePy8wDS2pBCLQXTzPRlXxLfUrz alice@desk\"]",
        ),
        "Public keys that may log in: lines of ~/.ssh/id_ed25519.pub.",
    ),
    key(
        "users.*.uid",
        Number,
        Unset("2000"),
        "The account's number, the one that its files on a file server have. Unset: the first free one from 1000 on.",
    ),
    key(
        "users.*.groups",
        List,
        Unset("[\"sudo\"]"),
        "Further groups of the account. Unset: none.",
    ),
    key(
        "users.*.shell",
        Text,
        Unset("\"/bin/bash\""),
        "Login shell. Unset: /bin/bash if the image has it, else /bin/sh.",
    ),
    key(
        "users.*.passwordless",
        Flag,
        Value("false"),
        "Whether whoever sits at the machine logs in without a password. Over ssh a key is needed all the same.",
    ),
    key(
        "login.users",
        List,
        Value("[]"),
        "Accounts of this server that clients have: names, and with @ in front a group for everybody in it.",
    ),
    key(
        "login.home",
        HOMES,
        Value("\"sshfs\""),
        "Where their homes are. sshfs: on the server, from a login with a password on to the last logout. machine: on \
         the server, whenever somebody looks into them, with a key of the machine: whoever is root there, or starts a \
         machine that passes for it, can read and write them. nfs: on an NFS server. tmpfs: in the client's memory, \
         new at each boot.",
    ),
    key(
        "login.server",
        Text,
        Unset("\"192.168.67.2\""),
        "The machine whose ssh server checks passwords and has the homes. Unset: this one.",
    ),
    key(
        "login.host_keys",
        List,
        Unset(
            "[\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDw7E7rCYrSDNBtLCYePy8wDS2pBCLQXTzPRlXxLfUrz\"]",
        ),
        "That ssh server's public host keys. Unset: those in /etc/ssh of this machine.",
    ),
    key(
        "login.nfs",
        Text,
        Unset("\"nas:/home\""),
        "Where home = \"nfs\" finds the homes, each in a folder of the person's name.",
    ),
];
