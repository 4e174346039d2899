//! The per-client overlay: from the configuration, the operator's files and the image's own accounts to
//! a cpio archive.

mod folder;
mod template;

use std::net::Ipv4Addr;
use std::path::PathBuf;

use anyhow::Context;
use boot::Site;
use boot::overlay::{OverlayContext, OverlayEntry, OverlayKind};
use config::Config;
use image::cpio;
use model::{GenerationId, ImageName, MacAddr};
use squashfs::Archive;
use tracing::warn;

pub use self::folder::Files;
use self::template::Facts;
use crate::daemon::Daemon;
use crate::images::Generation;
use crate::people::{self, Here};

/// The newc archive for `client`, made now. `dns` is the server that its lease named.
pub fn render(daemon: &Daemon, client: MacAddr, dns: Option<Ipv4Addr>) -> anyhow::Result<Vec<u8>> {
    let (image, address) = {
        let timelines = daemon.timelines();
        let facts = timelines.current(client).map(|attempt| &attempt.facts);
        (
            facts.and_then(|facts| facts.image.clone()),
            facts.and_then(|facts| facts.address),
        )
    };
    let images = daemon.images.load();
    let generation = match image {
        Some((name, id)) => images
            .generation(&name, id)
            .context("the client's generation is gone")?,
        // The daemon was restarted in the middle of this boot: what the client boots now will do.
        None => match daemon.plan(client) {
            boot::Plan::Boot(plan) => images
                .generation(&plan.image, plan.generation)
                .context("the client's generation is gone")?,
            _ => anyhow::bail!("this client boots no image"),
        },
    };
    let hostname = images.site.hostname(client);
    let runs = (&generation.name, generation.id);
    let files = files(&daemon.config, &images.site, client, address, Some(runs));
    for problem in &files.problems {
        warn!(%client, "an overlay file was left out: {problem}");
    }
    let dns = address
        .map(|address| daemon.dns_for(address, dns))
        .unwrap_or_default();
    let here = Here::read(daemon, address);
    for problem in here.iter().flat_map(|here| &here.problems) {
        warn!(%client, "of the server's people: {problem}");
    }
    let users = people::users(&daemon.config, here.as_ref());
    let context = OverlayContext {
        mac: client,
        hostname: &hostname,
        domain: &daemon.config.dns.domain,
        dns: &dns,
        machine_id: &daemon.site_key.machine_id(client),
        authority: &daemon.authority.public(),
        users: &users,
        login: here.as_ref().map(|here| here.login(&daemon.config)),
        passwd: &text_of(generation, "etc/passwd")?,
        group: &text_of(generation, "etc/group")?,
        has_bash: exists(&generation.root.archive, "bin/bash"),
        has_ifupdown: exists(&generation.root.archive, "etc/network/interfaces"),
        layers: images.site.layers(client),
        files: files.entries,
    };
    archive(&boot::overlay::render(&context))
}

/// The operator's own files for a client. `runs` is the generation that it boots, where that is known.
pub fn files(
    config: &Config,
    site: &Site,
    client: MacAddr,
    address: Option<Ipv4Addr>,
    runs: Option<(&ImageName, GenerationId)>,
) -> Files {
    let hostname = site.hostname(client);
    let groups: Vec<&str> = site.layers(client).groups().collect();
    let below = |folder: &str, name: &str| config.overlay_dir.join(folder).join(name);
    let folders: Vec<PathBuf> = std::iter::once(config.overlay_dir.join("all"))
        .chain(groups.iter().map(|group| below("groups", group)))
        .chain([below("clients", &hostname)])
        .collect();
    let domain = &config.dns.domain;
    let facts = Facts {
        hostname: &hostname,
        fqdn: &match domain.as_str() {
            "" => hostname.clone(),
            domain => format!("{hostname}.{domain}"),
        },
        domain,
        mac: client.to_string(),
        address: address.map(|address| address.to_string()),
        image: runs.map_or("", |(name, _)| name.as_str()),
        generation: runs.map_or_else(String::new, |(_, id)| id.to_string()),
        groups,
    };
    Files::read(&folders, &facts)
}

/// Whether an image has a file of this path, which has no leading slash.
pub fn exists(archive: &Archive, path: &str) -> bool {
    archive
        .resolve(path.as_bytes(), true)
        .is_ok_and(|found| found.is_some())
}

/// A text file of the image; empty if there is none. Account files are small: 1 MiB is refused.
pub fn text_of(generation: &Generation, path: &str) -> anyhow::Result<String> {
    let archive = &generation.root.archive;
    let read = || -> Result<String, squashfs::Error> {
        let Some(inode) = archive.resolve(path.as_bytes(), true)? else {
            return Ok(String::new());
        };
        let mut bytes = Vec::new();
        archive.read(&inode, 0, 1 << 20, &mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().with_context(|| format!("{path} of image {}", generation.name))
}

fn archive(entries: &[OverlayEntry]) -> anyhow::Result<Vec<u8>> {
    let mut writer = cpio::Writer::new(Vec::new());
    for entry in entries {
        let metadata = cpio::Metadata {
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            mtime: 0,
        };
        match &entry.kind {
            OverlayKind::Directory => writer.directory(&entry.path, metadata)?,
            OverlayKind::File(bytes) => writer.file(&entry.path, metadata, bytes)?,
            OverlayKind::Symlink(target) => writer.symlink(&entry.path, target, metadata)?,
        }
    }
    Ok(writer.finish()?)
}
