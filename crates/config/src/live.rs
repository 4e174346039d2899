//! What can only be said with the system at hand: the cards' networks and the published images are
//! arguments here, and the diagnostics point at the file like all others.

use std::net::Ipv4Addr;

use model::{BootChoice, ImageName, KnownBy};

use crate::diagnostic::{Code, Diagnostic, Fault};
use crate::loaded::Loaded;
use crate::meaning::Interface;
use crate::path::KeyPath;
use crate::source::Part;
use crate::text::{hosts_of, mask, option_code};

/// A network that one of this machine's cards is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network<'a> {
    /// The card's name.
    pub interface: &'a str,
    /// Our address there.
    pub address: Ipv4Addr,
    /// Length of the prefix in bits, 1 to 30.
    pub prefix_len: u8,
}

impl Network<'_> {
    fn holds(&self, address: Ipv4Addr) -> bool {
        let bits = mask(self.prefix_len);
        u32::from(self.address) & bits == u32::from(address) & bits
    }

    fn can_lease(&self, address: Ipv4Addr) -> bool {
        let (lowest, highest) = hosts_of(self.address, self.prefix_len);
        (lowest..=highest).contains(&address)
    }
}

impl Loaded {
    /// What does not fit the networks that the cards have: pools and routers outside of their card's
    /// network, our own address in a pool, reserved addresses in no network. Empty if all is well.
    pub fn check_networks(&self, networks: &[Network<'_>]) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        for network in networks {
            let wanted = self
                .config
                .interfaces
                .iter()
                .find(|wanted| wanted.name == network.interface);
            if let Some(wanted) = wanted {
                self.check_interface(wanted, network, &mut found);
            }
        }
        // A card that is not up yet may hold the address.
        if networks.len() >= self.config.interfaces.len() {
            self.check_reservations(networks, &mut found);
        }
        found
    }

    /// Images that the configuration names and nobody has published. Empty if all are there.
    pub fn check_images(&self, is_published: impl Fn(&ImageName) -> bool) -> Vec<Diagnostic> {
        let boot = &self.config.boot;
        let boot = [
            ("default", &boot.default),
            ("menu_default", &boot.menu_default),
        ];
        let site = boot
            .into_iter()
            .filter_map(|(key, choice)| Some((KeyPath::new(["boot", key]), choice.as_ref()?)));
        let clients = self.config.clients.iter();
        let clients = clients.map(|(known_by, client)| (self.client(known_by), &client.settings));
        let groups = self.config.groups.iter();
        let groups = groups.map(|group| (self.group(&group.name), &group.settings));
        let chosen = clients
            .chain(groups)
            .filter_map(|(table, settings)| Some((table.child("image"), settings.boot.as_ref()?)));
        let named = site
            .chain(chosen)
            .filter_map(|(path, choice)| match choice {
                BootChoice::Image { name, .. } => Some((path, Part::Value, name)),
                BootChoice::LocalDisk | BootChoice::Menu | BootChoice::Unanswered => None,
            });
        let settings = self.config.images.keys();
        let settings =
            settings.map(|name| (KeyPath::new(["images", name.as_str()]), Part::Key, name));
        named
            .chain(settings)
            .filter(|(_, _, name)| !is_published(name))
            .map(|(path, part, name)| {
                let fault = Fault::new(
                    Code::ImageMissing,
                    format!("there is no image `{name}`"),
                    match part {
                        Part::Key => "the settings apply to nothing until it is published",
                        _ => "clients that shall boot it cannot",
                    },
                );
                let fault = if part == Part::Key { fault.warning() } else { fault };
                let help = format!("run `netbootd image build --name {name} SOURCE`, or write the name of an image that `netbootd image list` shows");
                self.point(fault.help(help), &path, part)
            })
            .collect()
    }

    /// People that the configuration names and clients cannot have. `why_not` says why of an account of the server, or
    /// with `@` in front of a group; `has` whether an account is one of those that `login.users` names.
    pub fn check_people(
        &self,
        why_not: impl Fn(&str) -> Option<String>,
        has: impl Fn(&str) -> bool,
    ) -> Vec<Diagnostic> {
        let config = &self.config;
        let login = KeyPath::new(["login", "users"]);
        let people = config.login.users.iter().enumerate();
        let wanted =
            people.filter_map(|(index, name)| Some((login.clone(), index, why_not(name)?)));
        let clients = config.clients.iter();
        let clients = clients.map(|(known_by, client)| (self.client(known_by), &client.settings));
        let groups = config.groups.iter();
        let groups = groups.map(|group| (self.group(&group.name), &group.settings));
        let known =
            |name: &String| config.users.contains_key(name) || config.login.users.contains(name);
        let chosen = clients.chain(groups).flat_map(|(table, settings)| {
            let at = table.child("users");
            let names = settings.users.iter().flatten().enumerate();
            names
                .filter(|(_, name)| !known(name) && !has(name))
                .map(|(index, name)| {
                    let what = format!("nobody that clients can have is called `{name}`");
                    (at.clone(), index, what)
                })
                .collect::<Vec<_>>()
        });
        let fault = |what| {
            let why = "nobody of this name can log in to the clients";
            let help = "write names that /etc/passwd and /etc/group of this machine have";
            Fault::new(Code::UnknownName, what, why)
                .warning()
                .help(help)
        };
        wanted
            .chain(chosen)
            .map(|(path, index, what)| self.point(fault(what), &path, Part::Item(index)))
            .collect()
    }

    fn check_interface(
        &self,
        wanted: &Interface,
        network: &Network<'_>,
        found: &mut Vec<Diagnostic>,
    ) {
        let table = KeyPath::new(["interfaces", network.interface]);
        let card = format!("{}/{}", network.address, network.prefix_len);
        let (lowest, highest) = hosts_of(network.address, network.prefix_len);
        for (index, (first, last)) in wanted.pool.iter().enumerate() {
            let spot = (table.child("pool"), Part::Item(index));
            if !network.can_lease(*first) || !network.can_lease(*last) {
                let fault = Fault::new(
                    Code::OutsideNetwork,
                    format!("the pool {first}-{last} is not inside the network of {card}"),
                    format!(
                        "that is what {} has, and clients there could not use the addresses",
                        network.interface
                    ),
                );
                let help = format!("write addresses from {lowest} to {highest} instead");
                found.push(self.point(fault.help(help), &spot.0, spot.1));
            } else if (*first..=*last).contains(&network.address) && wanted.address.is_none() {
                let fault = Fault::new(
                    Code::AddressConflict,
                    format!(
                        "the pool {first}-{last} holds {}, our own address",
                        network.address
                    ),
                    "a client that leased it would cut everybody off from the server",
                );
                found.push(self.point(
                    fault.help("let the pool begin above it, or end below"),
                    &spot.0,
                    spot.1,
                ));
            }
        }
        if let Some(router) = wanted.router
            && !network.can_lease(router)
        {
            let fault = Fault::new(
                Code::OutsideNetwork,
                format!("the router {router} is not inside the network of {card}"),
                "a client reaches a router in its own network only",
            );
            let help = format!("write an address from {lowest} to {highest} instead");
            found.push(self.point(fault.help(help), &table.child("router"), Part::Value));
        }
    }

    fn check_reservations(&self, networks: &[Network<'_>], found: &mut Vec<Diagnostic>) {
        for (known_by, client) in &self.config.clients {
            let Some(address) = client.address else {
                continue;
            };
            let relayed = self.config.subnets.iter().any(|subnet| {
                let bits = mask(subnet.prefix_len);
                u32::from(subnet.network) == u32::from(address) & bits
            });
            if relayed || networks.iter().any(|network| network.holds(address)) {
                continue;
            }
            let fault = Fault::new(
                Code::OutsideNetwork,
                format!("{address} is in no network that is served"),
                "the client would get an address of the pool instead",
            );
            let path = self.client(known_by).child("address");
            found.push(
                self.point(
                    fault
                        .warning()
                        .help("write an address of one of the networks instead"),
                    &path,
                    Part::Value,
                ),
            );
        }
    }

    /// The DHCP options that are set below a table, each with its number.
    pub fn options(&self, table: &KeyPath) -> Vec<(KeyPath, u8)> {
        let options = table.child("options");
        let names = self.names_in(&options);
        names
            .filter_map(|name| Some((options.child(name), option_code(name).ok()?)))
            .collect()
    }

    /// The table of a group, with its name spelled as in the file.
    pub fn group(&self, name: &str) -> KeyPath {
        let table = KeyPath::new(["groups"]);
        let same = |spelled: &&str| spelled.eq_ignore_ascii_case(name);
        let spelled = self.names_in(&table).find(same);
        table.child(spelled.unwrap_or(name))
    }

    /// The table of a client, with what it is known by spelled as in the file.
    pub fn client(&self, client: &KnownBy) -> KeyPath {
        let table = KeyPath::new(["clients"]);
        let is_it = |name: &&str| name.parse().as_ref() == Ok(client);
        let spelled = self.names_in(&table).find(is_it);
        table.child(spelled.unwrap_or(&client.to_string()))
    }
}
