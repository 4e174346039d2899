//! `netbootd client`: what is configured for one machine, and which line says so.

use anyhow::Context;
use boot::ladder::way_in_words;
use boot::{Layers, Plan, Site, Speaker};
use clap::Args;
use config::{KeyPath, Loaded};
use model::{KnownBy, MacAddr, Way};

use super::client::get;
use crate::firmware::FirmwareBook;
use crate::images::Images;
use crate::orders::TicketStatus;
use crate::overlay;
use crate::recognised::Recognised;

/// Shows what is configured for one machine
#[derive(Debug, Args)]
pub struct ClientCommand {
    /// The machine: its name or the MAC address of its card
    machine: String,
    /// Shows where each value is set, which values lost, and the overlay's files
    #[arg(long)]
    explain: bool,
}

/// Prints it. The daemon need not run; when it does, its tickets count.
pub fn run(command: &ClientCommand, loaded: &Loaded) -> anyhow::Result<()> {
    let (mut images, notes) = Images::open(&loaded.config)?;
    notes.iter().for_each(|note| eprintln!("warning: {note}"));
    let recognised = Recognised::open(&loaded.config.state_dir);
    images.site.recognised = recognised.with(|cards| cards.iter().cloned().collect());
    let site = &images.site;
    let client = find(site, &command.machine)?;
    let socket = &loaded.config.control_socket;
    let tickets: Vec<TicketStatus> = get(socket, "/tickets").unwrap_or_default();
    let ticket = tickets
        .into_iter()
        .find(|status| status.ticket.client == client);
    let ticket = ticket.map(|status| status.ticket.boot);

    let layers = site.layers(client);
    let known_by = site.known_by(client);
    let groups: Vec<&str> = layers.groups().collect();
    let also = match &known_by {
        KnownBy::Mac(_) => String::new(),
        other => format!(", known by {other}"),
    };
    println!("{} ({client}{also})", site.hostname(client));
    println!("  groups   {}", shown(&groups));
    let plan = site.plan(client, ticket.as_ref());
    let by = if ticket.is_some() {
        ", by its ticket"
    } else {
        ""
    };
    match &plan {
        Plan::Boot(plan) => {
            let (image, generation) = (&plan.image, plan.generation.short());
            println!(
                "  boots    {image}@{generation} as {}{by}",
                plan.root.as_str()
            );
            println!("  kernel   {}", plan.kernel_arguments);
        }
        Plan::LocalDisk => println!("  boots    its own disk{by}"),
        Plan::Menu => println!("  boots    what is chosen in the menu{by}"),
        Plan::Unanswered => println!("  is not answered{by}"),
        Plan::Nothing(reason) => println!("  boots    nothing: {reason}"),
    }
    firmware(loaded, &layers, client);
    if !command.explain {
        return Ok(());
    }
    for warning in crate::people::check(loaded) {
        eprintln!("{warning}");
    }
    println!("\nsettings, the lowest rank first:");
    settings(loaded, &layers, &known_by);
    let runs = match &plan {
        Plan::Boot(plan) => Some((&plan.image, plan.generation)),
        _ => None,
    };
    let address = loaded
        .config
        .clients
        .get(&known_by)
        .and_then(|client| client.address);
    files(&overlay::files(&loaded.config, site, client, address, runs));
    Ok(())
}

/// How its firmware is brought to a loader: as is said, or what has worked.
fn firmware(loaded: &Loaded, layers: &Layers<'_>, client: MacAddr) {
    let said = match (layers.way(), layers.secure_boot()) {
        (Some(way), _) => format!(
            "gets {}, as firmware = \"{}\" says",
            way_in_words(way),
            way.as_str()
        ),
        (None, Some(true)) => format!(
            "gets {}, as secure_boot = true says",
            way_in_words(Way::Shim)
        ),
        (None, _) => String::new(),
    };
    if !said.is_empty() {
        println!("  firmware {said}");
        return;
    }
    let known = FirmwareBook::open(&loaded.config.state_dir).known(client);
    for known in &known {
        if let Some(way) = known.way.as_deref().and_then(Way::from_name) {
            println!(
                "  firmware (architecture {}) boots with {}; found out and remembered",
                known.arch,
                way_in_words(way)
            );
        }
    }
    if known.iter().all(|known| known.way.is_none()) {
        println!("  firmware what works is found out");
    }
    if let Some(is_on) = known.iter().find_map(|known| known.secure_boot) {
        let is_on = if is_on { "on" } else { "off" };
        println!("  secure boot is {is_on}, as it said when it booted last");
    }
}

fn find(site: &Site, machine: &str) -> anyhow::Result<MacAddr> {
    if let Ok(mac) = machine.parse() {
        return Ok(mac);
    }
    let name = machine.to_ascii_lowercase();
    if let Some(found) = site.card_of(&name) {
        return found.map_err(anyhow::Error::msg);
    }
    site.cards()
        .find(|client| site.hostname(*client) == name)
        .with_context(|| {
            format!(
                "no client in the configuration is called {machine}; write the MAC address of its card"
            )
        })
}

fn shown(names: &[&str]) -> String {
    match names {
        [] => "none".to_owned(),
        names => names.join(", "),
    }
}

/// The keys that more than one table can set; of those marked, the last one counts.
const KEYS: [(&str, bool); 16] = [
    ("image", true),
    ("root", true),
    ("overlay", true),
    ("kernel_arguments", false),
    ("mask", false),
    ("unmask", false),
    ("reboot", true),
    ("redfish", true),
    ("fstab", false),
    ("commands", false),
    ("autologin", true),
    ("users", true),
    ("home", true),
    ("ssh_host_key", true),
    ("secure_boot", true),
    ("firmware", true),
];

fn settings(loaded: &Loaded, layers: &Layers<'_>, client: &KnownBy) {
    let tables: Vec<KeyPath> = layers
        .0
        .iter()
        .map(|(speaker, _)| match speaker {
            Speaker::Group(name) => loaded.group(name),
            Speaker::Client => loaded.client(client),
        })
        .collect();
    for key in ["hostname", "address"] {
        row(loaded, &loaded.client(client).child(key), "");
    }
    for (key, last_counts) in KEYS {
        let own = match key {
            "image" => Some(KeyPath::new(["boot", "default"])),
            "root" | "overlay" | "kernel_arguments" => Some(KeyPath::new(["boot", key])),
            "home" => Some(KeyPath::new(["login", "home"])),
            _ => None,
        };
        let mut paths: Vec<KeyPath> = own.into_iter().collect();
        paths.extend(tables.iter().map(|table| table.child(key)));
        paths.retain(|path| loaded.setting(path).is_some());
        let count = paths.len();
        for (index, path) in paths.iter().enumerate() {
            let lost = last_counts && index + 1 < count;
            row(loaded, path, if lost { "  (overruled)" } else { "" });
        }
    }
    options(loaded, &tables);
}

/// DHCP options: of the networks' tables those that have any, since it is not known here which the client is in.
fn options(loaded: &Loaded, tables: &[KeyPath]) {
    let interfaces = loaded.config.interfaces.iter();
    let interfaces = interfaces.map(|card| KeyPath::new(["interfaces", card.name.as_str()]));
    let networks = loaded.config.subnets.iter().map(|subnet| {
        let name = format!("{}/{}", subnet.network, subnet.prefix_len);
        KeyPath::new(["subnets", name.as_str()])
    });
    let networks = interfaces.chain(networks).map(|table| (table, true));
    let tables = networks.chain(tables.iter().map(|table| (table.clone(), false)));
    let said: Vec<(KeyPath, u8, bool)> = tables
        .flat_map(|(table, is_network)| {
            let options = loaded.options(&table).into_iter();
            options.map(move |(path, code)| (path, code, is_network))
        })
        .collect();
    for (index, (path, code, _)) in said.iter().enumerate() {
        let mut later = said.iter().skip(index + 1);
        // A network's option does not overrule another network's.
        let lost = later.any(|(_, other, is_network)| other == code && !is_network);
        row(loaded, path, if lost { "  (overruled)" } else { "" });
    }
}

fn row(loaded: &Loaded, path: &KeyPath, note: &str) {
    if let Some(setting) = loaded.setting(path) {
        println!(
            "  {:<40} {}{note}",
            format!("{path} = {}", setting.value),
            setting.origin
        );
    }
}

fn files(files: &overlay::Files) {
    if !files.entries.is_empty() {
        println!("\nfiles over the image:");
    }
    for (entry, source) in files.entries.iter().zip(&files.sources) {
        println!("  {:<40} {}", format!("/{}", entry.path), source.display());
    }
    if !files.problems.is_empty() {
        println!("\nleft out:");
    }
    for problem in &files.problems {
        println!("  {problem}");
    }
}
