//! `image pin`, `unpin`, `remove` and `prune`.

use std::path::Path;

use anyhow::Context;
use boot::{ClientStatus, Outcome};
use clap::Args;
use config::{Config, KEEP};
use image::catalogue::{Catalogue, Image};
use model::{BootChoice, GenerationId, ImageName, Stage};

use super::{found, generation_of, parse_wanted, print};
use crate::cli::client::get;
use crate::orders::TicketStatus;

/// Who runs what.
#[derive(Debug, Args)]
pub(super) struct Users {
    /// Does not ask the daemon who runs what: running clients may lose their root
    #[arg(long)]
    force: bool,
}

impl Users {
    /// What clients run and what they shall boot, by the daemon's own book and by this configuration.
    fn ask(&self, config: &Config) -> anyhow::Result<Uses> {
        if self.force {
            return Ok(Uses::default());
        }
        let control = &config.control_socket;
        let unknown = "nothing is removed: whether a client runs it is not known \
                       (--force removes it all the same)";
        let clients: Vec<ClientStatus> = get(control, "/status").context(unknown)?;
        let tickets: Vec<TicketStatus> = get(control, "/tickets").context(unknown)?;
        let tickets = tickets.into_iter().map(|status| status.ticket.boot);
        Ok(Uses {
            running: running(&clients),
            chosen: config.choices().cloned().chain(tickets).collect(),
        })
    }
}

/// Which generations somebody needs.
#[derive(Default)]
struct Uses {
    /// What clients run, as `name@first digits of the generation`.
    running: Vec<String>,
    /// What the configuration and tickets name; only those with a generation hold one.
    chosen: Vec<BootChoice>,
}

impl Uses {
    /// Why a generation is needed.
    fn of(&self, name: &ImageName, id: GenerationId) -> Option<&'static str> {
        if runs(&self.running, name, id) {
            return Some("a client runs it");
        }
        let names = |choice: &BootChoice| match choice {
            BootChoice::Image {
                name: wanted,
                generation: Some(digits),
            } => wanted == name && BootChoice::means(digits, id),
            _ => false,
        };
        let named = self.chosen.iter().any(names);
        named.then_some("the configuration or a ticket names it")
    }
}

/// A client that stopped on its way to its root holds nothing any more. One that mounted it does,
/// whatever was heard of it since.
fn running(clients: &[ClientStatus]) -> Vec<String> {
    let live = |client: &&ClientStatus| {
        client.outcome != Outcome::Stopped || client.stage >= Some(Stage::Mounted)
    };
    let images = clients.iter().filter(live);
    images.filter_map(|client| client.image.clone()).collect()
}

fn runs(running: &[String], name: &ImageName, id: GenerationId) -> bool {
    let this = format!("{name}@{}", id.short());
    running.contains(&this)
}

/// Who runs a generation, in a line.
pub(super) fn clients(control: &Path, name: &ImageName, id: GenerationId) -> String {
    let Ok(clients) = get::<Vec<ClientStatus>>(control, "/status") else {
        return "not known: no netbootd answers".to_owned();
    };
    let runs = clients.iter().filter(|client| {
        let running = running(std::slice::from_ref(client));
        runs(&running, name, id)
    });
    let names: Vec<_> = runs
        .map(|client| match &client.hostname {
            Some(hostname) => format!("{hostname} ({})", client.client),
            None => client.client.to_string(),
        })
        .collect();
    match names.is_empty() {
        true => "nobody".to_owned(),
        false => names.join(", "),
    }
}

pub(super) fn pin(catalogue: &Catalogue, wanted: &str, pin: bool) -> anyhow::Result<()> {
    let (image, generation) = found(catalogue, wanted)?;
    let (name, id) = (&image.name, generation.id);
    let says = match pin {
        true => {
            catalogue.pin(name, id)?;
            "is kept until it is unpinned"
        }
        false => {
            catalogue.unpin(name, id)?;
            "goes when it is old"
        }
    };
    print(&format!("{name}@{} {says}\n", id.short()))
}

pub(super) fn remove(
    catalogue: &Catalogue,
    wanted: &str,
    users: &Users,
    config: &Config,
) -> anyhow::Result<()> {
    let (name, digits) = parse_wanted(wanted)?;
    let image = catalogue.image(&name)?;
    let uses = users.ask(config)?;
    let needed = |id| uses.of(&name, id);
    match digits {
        Some(digits) => {
            let id = generation_of(&image, digits)?.id;
            catalogue.remove(&name, id, &needed)?;
            print(&format!("{name}@{} is removed\n", id.short()))
        }
        None => {
            catalogue.remove_image(&name, &needed)?;
            print(&format!("{name} is removed\n"))
        }
    }
}

pub(super) fn prune(
    catalogue: &Catalogue,
    name: Option<ImageName>,
    generations: Option<u32>,
    users: &Users,
    config: &Config,
) -> anyhow::Result<()> {
    let listing = catalogue.list()?;
    let names: Vec<_> = match name {
        Some(name) => vec![catalogue.image(&name)?.name],
        None => listing.images.into_iter().map(|image| image.name).collect(),
    };
    let uses = users.ask(config)?;
    for name in names {
        let keep = generations.unwrap_or_else(|| kept(config, &name));
        let removed = catalogue.prune(&name, keep as usize, &|id| uses.of(&name, id))?;
        for id in removed {
            print(&format!("{name}@{} is removed\n", id.short()))?;
        }
    }
    Ok(())
}

/// Lets go of what is old after a build of `name`: what was removed, or why nothing was, in lines. The build has
/// gone well all the same.
pub(super) fn retain(catalogue: &Catalogue, name: &ImageName, config: &Config) -> String {
    let keep = kept(config, name) as usize;
    // Whether anything would go if nobody ran anything: else nobody needs to be asked.
    let old = |image: &Image| image.generations.len() > keep;
    if !catalogue.image(name).is_ok_and(|image| old(&image)) {
        return String::new();
    }
    let users = Users { force: false };
    let removed = users
        .ask(config)
        .and_then(|uses| Ok(catalogue.prune(name, keep, &|id| uses.of(name, id))?));
    match removed {
        Ok(removed) => removed
            .iter()
            .map(|id| {
                format!(
                    "  removed {name}@{}, which is old and nobody needs\n",
                    id.short()
                )
            })
            .collect(),
        Err(error) => format!("  kept every old generation: {error:#}\n"),
    }
}

/// How many generations of an image stay.
fn kept(config: &Config, name: &ImageName) -> u32 {
    let settings = config.images.get(name);
    settings.and_then(|image| image.keep).unwrap_or(KEEP)
}
