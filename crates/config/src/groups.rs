//! Clients, groups, and what can be said of both.

use std::collections::BTreeMap;

use model::{Group, KnownBy, RootMode, Settings, SshHostKey, Way};

use crate::conflicts::Claims;
use crate::diagnostic::{Code, Fault};
use crate::login::{Names, home};
use crate::lower::options;
use crate::meaning::ClientSettings;
use crate::path::KeyPath;
use crate::reader::{Reader, Spot, bare};
use crate::text;
use crate::unknown::nearest;

pub(crate) fn clients(
    reader: &mut Reader<'_>,
    claims: &mut Claims,
    users: &Names,
) -> BTreeMap<KnownBy, ClientSettings> {
    let mut clients = BTreeMap::new();
    for (at, client) in reader.names(&KeyPath::new(["clients"]), text::client) {
        claims.client(Spot::key(&at), client.clone());
        let hostname = reader.one(&at.child("hostname"), text::hostname);
        if let Some(hostname) = &hostname {
            let spot = Spot::value(&at.child("hostname"));
            claims.hostname(spot, hostname.clone(), client.clone());
        }
        let address = reader.one(&at.child("address"), text::address);
        if let Some(address) = address {
            let spot = Spot::value(&at.child("address"));
            claims.reservation(spot, address, client.clone());
        }
        let settings = settings(reader, &at, users);
        clients.insert(
            client,
            ClientSettings {
                hostname,
                address,
                settings,
            },
        );
    }
    clients
}

/// In the order of the file, which is their order of rank.
pub(crate) fn groups(reader: &mut Reader<'_>, users: &Names) -> Vec<Group> {
    let names = reader.names(&KeyPath::new(["groups"]), text::client_group);
    let mut groups = Vec::with_capacity(names.len());
    let mut includes = Vec::new();
    for (at, name) in names {
        let include = reader.many(&at.child("include"), text::client_group);
        groups.push(Group {
            name,
            members: bare(reader.many(&at.child("members"), text::member)),
            include: include.iter().map(|(_, name)| name.clone()).collect(),
            settings: settings(reader, &at, users),
        });
        includes.push(include);
    }
    for (group, includes) in groups.iter().zip(&includes) {
        for (spot, included) in includes {
            if let Some(fault) = include_fault(&groups, group, included) {
                reader.report(spot, fault);
            }
        }
    }
    groups
}

fn include_fault(groups: &[Group], group: &Group, included: &str) -> Option<Fault> {
    let find = |name: &str| groups.iter().find(|group| group.name == name);
    if find(included).is_none() {
        let fault = Fault::new(
            Code::UnknownName,
            format!("there is no group `{included}`"),
            "a group can include only what has a table of its own",
        );
        let names = groups.iter().map(|group| group.name.as_str());
        return Some(match nearest(included, names) {
            Some(name) => fault.help(format!("did you mean \"{name}\"?")),
            None => fault.help(format!("add [groups.{included}], or leave it out")),
        });
    }
    // Everything that can be reached from the included one, each once.
    let mut reached = vec![included];
    let mut next = 0;
    while let Some(name) = reached.get(next) {
        let further = find(name).map_or(&[][..], |group| &group.include);
        for name in further {
            if !reached.contains(&name.as_str()) {
                reached.push(name);
            }
        }
        next += 1;
    }
    reached.contains(&group.name.as_str()).then(|| {
        Fault::new(
            Code::CircularInclude,
            format!("group `{}` includes itself", group.name),
            "which of the groups wins could not be said",
        )
        .help("take one of the groups out of the circle")
    })
}

fn settings(reader: &mut Reader<'_>, at: &KeyPath, users: &Names) -> Settings {
    Settings {
        boot: reader.one(&at.child("image"), text::boot_choice),
        root: reader.word(&at.child("root"), RootMode::from_name),
        changes: reader.one(&at.child("overlay"), text::changes),
        kernel_arguments: reader.one(&at.child("kernel_arguments"), text::kernel_arguments),
        mask: bare(reader.many(&at.child("mask"), text::unit)),
        unmask: bare(reader.many(&at.child("unmask"), text::unit)),
        reboot: bare(reader.many(&at.child("reboot"), text::word)),
        redfish: reader.one(&at.child("redfish"), text::redfish),
        fstab: bare(reader.many(&at.child("fstab"), text::fstab_line)),
        commands: bare(reader.many(&at.child("commands"), text::shell_command)),
        autologin: reader.one(&at.child("autologin"), text::account_name),
        users: chosen_users(reader, at, users),
        home: home(reader, at),
        ssh_host_key: reader.word(&at.child("ssh_host_key"), SshHostKey::from_name),
        secure_boot: reader.flag(&at.child("secure_boot")),
        way: reader.word(&at.child("firmware"), Way::from_name),
        options: options(reader, at),
    }
}

fn chosen_users(reader: &mut Reader<'_>, at: &KeyPath, users: &Names) -> Option<Vec<String>> {
    let path = at.child("users");
    let chosen = reader.many(&path, |name| {
        if users.has(name) {
            return Ok(name.to_owned());
        }
        let fault = Fault::new(
            Code::UnknownName,
            format!("there is no user `{name}`"),
            "accounts that have a table of their own, and those of `login.users`, can be chosen",
        );
        Err(match nearest(name, users.iter()) {
            Some(name) => fault.help(format!("did you mean \"{name}\"?")),
            None => fault.help(format!("add [users.{name}], or leave it out")),
        })
    });
    reader.is_set(&path).then(|| bare(chosen))
}
