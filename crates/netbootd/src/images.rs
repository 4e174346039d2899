//! What is published: opened once per generation, replaced as a whole when the catalogue changes.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use boot::{ClientSettings, PublishedImage, Site};
use config::Config;
use image::catalogue::{self, Catalogue};
use model::{FileDigest, GenerationId, ImageName, Verity};
use squashfs::Caches;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::daemon::Daemon;
use crate::export::ExportedGeneration;
use crate::initrd::Initrd;

/// How often the catalogue is looked at for a new publication.
const POLL: Duration = Duration::from_secs(1);
/// Memory for decompressed blocks of all images: metadata, and data of roots served as trees. The
/// data's also is what a processor's own cache holds: reading much more than there is room for was a
/// sixth dearer with 64 MiB than with 32 or 16.
const METADATA_CACHE: usize = 8 << 20;
const DATA_CACHE: usize = 32 << 20;

/// One generation, open. The files stay open while anybody holds it, so a generation that is removed
/// under a running client goes on to be served.
pub struct Generation {
    /// The image's name.
    pub name: ImageName,
    /// Which generation.
    pub id: GenerationId,
    /// Whether new boots get it.
    pub current: bool,
    /// `vmlinuz`
    pub kernel: Arc<File>,
    /// `initrd.img`, and its drivers apart.
    pub initrd: Arc<Initrd>,
    /// `root.squashfs`, as a file and as a tree.
    pub root: ExportedGeneration,
    /// What `root.squashfs` must be; `None` where its manifest has another form of digest.
    pub digest: Option<FileDigest>,
    /// What its blocks must hash to, where its manifest says so.
    pub verity: Option<Verity>,
}

/// A snapshot of what is published.
#[derive(Clone, Default)]
pub struct Images {
    /// Every generation.
    pub generations: Vec<Arc<Generation>>,
    by_id: HashMap<(ImageName, GenerationId), usize>,
    /// What the boot decisions are made from.
    pub site: Site,
    caches: Option<Caches>,
}

impl Images {
    /// Opens everything in the catalogue of the configured state folder. A generation that cannot be
    /// opened is left out and said in the notes; the others are served.
    pub fn open(config: &Config) -> anyhow::Result<(Self, Vec<String>)> {
        Self::open_again(config, &Self::default())
    }

    /// The same, taking over what `before` has open already.
    pub fn open_again(config: &Config, before: &Self) -> anyhow::Result<(Self, Vec<String>)> {
        let caches = before
            .caches
            .clone()
            .unwrap_or_else(|| Caches::new(METADATA_CACHE, DATA_CACHE));
        let listing = Catalogue::open(&config.state_dir)
            .list()
            .context("the images cannot be listed")?;
        let mut notes = listing.warnings;
        let mut generations = Vec::new();
        for image in listing.images {
            for entry in &image.generations {
                let current = image.current == Some(entry.id);
                match open_generation(&image.name, current, entry, before, &caches) {
                    Ok(generation) => generations.push(Arc::new(generation)),
                    Err(error) => {
                        notes.push(format!(
                            "{}@{} is not served: {error:#}",
                            image.name,
                            entry.id.short()
                        ));
                    }
                }
            }
        }
        let by_id = generations
            .iter()
            .enumerate()
            .map(|(index, generation)| ((generation.name.clone(), generation.id), index));
        let by_id = by_id.collect();
        let site = site(config, &generations);
        Ok((
            Self {
                generations,
                by_id,
                site,
                caches: Some(caches),
            },
            notes,
        ))
    }

    /// A generation by name and id.
    pub fn generation(&self, name: &ImageName, id: GenerationId) -> Option<&Arc<Generation>> {
        self.generations.get(*self.by_id.get(&(name.clone(), id))?)
    }

    /// Logs what new boots get.
    pub fn describe(&self) {
        for generation in self
            .generations
            .iter()
            .filter(|generation| generation.current)
        {
            info!(image = %generation.name, generation = %generation.id.short(), "published");
        }
        if self.generations.is_empty() {
            info!("no image is published yet; build one with: netbootd image build /");
        }
    }

    /// The same for NFS.
    pub fn export(&self) -> Vec<ExportedGeneration> {
        let generations = self.generations.iter();
        generations
            .map(|generation| generation.root.clone())
            .collect()
    }

    fn currents(&self) -> Vec<(&ImageName, GenerationId, bool)> {
        self.generations
            .iter()
            .map(|generation| (&generation.name, generation.id, generation.current))
            .collect()
    }
}

fn open_generation(
    name: &ImageName,
    current: bool,
    entry: &catalogue::Generation,
    before: &Images,
    caches: &Caches,
) -> anyhow::Result<Generation> {
    let (name, id) = (name.clone(), entry.id);
    if let Some(open) = before.generation(&name, id) {
        let mut root = open.root.clone();
        root.current = current;
        return Ok(Generation {
            name,
            id,
            current,
            kernel: Arc::clone(&open.kernel),
            initrd: Arc::clone(&open.initrd),
            root,
            digest: open.digest,
            verity: open.verity,
        });
    }
    let file = |name: &str| {
        let path = entry.folder.join(name);
        File::open(&path)
            .map(Arc::new)
            .with_context(|| format!("cannot open {}", path.display()))
    };
    let path = entry.folder.join("root.squashfs");
    let root = ExportedGeneration::open(name.clone(), id, &path, caches, current)
        .with_context(|| path.display().to_string())?;
    Ok(Generation {
        name,
        id,
        current,
        kernel: file("vmlinuz")?,
        initrd: Arc::new(Initrd::open(&entry.folder)?),
        root,
        digest: entry.manifest.files.root.digest(),
        verity: entry.manifest.root.verity,
    })
}

/// The configuration and the catalogue, as the boot decisions see them.
fn site(config: &Config, generations: &[Arc<Generation>]) -> Site {
    let mut images = BTreeMap::new();
    for generation in generations.iter().filter(|generation| generation.current) {
        let settings = config
            .images
            .get(&generation.name)
            .cloned()
            .unwrap_or_default();
        let image = PublishedImage {
            generation: generation.id,
            older: generations
                .iter()
                .filter(|other| other.name == generation.name && !other.current)
                .map(|other| other.id)
                .collect(),
            root: settings.root,
            kernel_arguments: settings.kernel_arguments.unwrap_or_default(),
        };
        images.insert(generation.name.clone(), image);
    }
    let clients = config.clients.iter().map(|(known_by, client)| {
        let settings = ClientSettings {
            hostname: client.hostname.clone(),
            settings: client.settings.clone(),
        };
        (known_by.clone(), settings)
    });
    Site {
        default: config.boot.default.clone(),
        root: config.boot.root,
        changes: config.boot.changes,
        kernel_arguments: config.boot.kernel_arguments.clone(),
        hostnames: config.boot.hostnames.clone(),
        images,
        groups: config.groups.clone(),
        clients: clients.collect(),
        recognised: BTreeMap::new(),
    }
}

/// Looks for new publications until `stopping` changes. Whoever holds an older snapshot keeps it.
pub async fn watch(daemon: Arc<Daemon>, mut stopping: watch::Receiver<bool>) -> anyhow::Result<()> {
    let mut tick = tokio::time::interval(POLL);
    let mut told: Vec<String> = Vec::new();
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            _ = stopping.changed() => return Ok(()),
        }
        let before = daemon.images.load_full();
        let opened = tokio::task::block_in_place(|| Images::open_again(&daemon.config, &before));
        let (now, notes) = match opened {
            Ok(opened) => opened,
            Err(error) => (
                Images::default(),
                vec![format!(
                    "{error:#}; what was published before goes on to be served"
                )],
            ),
        };
        if notes != told {
            notes.iter().for_each(|note| warn!("{note}"));
            told = notes;
        }
        if now.caches.is_some() && now.currents() != before.currents() {
            now.describe();
            daemon.publish(now);
        }
    }
}
