//! The per-client overlay: from the configuration and the image's own accounts to a cpio archive.

use anyhow::Context;
use boot::overlay::{OverlayContext, OverlayEntry, OverlayKind, User};
use image::cpio;
use model::MacAddr;
use squashfs::Archive;

use crate::daemon::Daemon;
use crate::images::Generation;

/// The newc archive for `client`, made now.
pub fn render(daemon: &Daemon, client: MacAddr) -> anyhow::Result<Vec<u8>> {
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
        None => match images.site.plan(client) {
            boot::Plan::Boot(plan) => images
                .generation(&plan.image, plan.generation)
                .context("the client's generation is gone")?,
            _ => anyhow::bail!("this client boots no image"),
        },
    };
    let hostname = hostname(daemon, client);
    let dns = address
        .map(|address| daemon.dns_for(address))
        .unwrap_or_default();
    let users: Vec<User> = daemon
        .config
        .users
        .iter()
        .map(|(name, user)| User {
            name: name.clone(),
            ssh_keys: user.ssh_keys.clone(),
            uid: user.uid,
            groups: user.groups.clone(),
            shell: user.shell.clone(),
        })
        .collect();
    let context = OverlayContext {
        mac: client,
        hostname: &hostname,
        domain: &daemon.config.dns.domain,
        dns: &dns,
        machine_id: &daemon.site_key.machine_id(client),
        users: &users,
        passwd: &text_of(generation, "etc/passwd")?,
        group: &text_of(generation, "etc/group")?,
        has_bash: exists(&generation.root.archive, "bin/bash"),
        has_ifupdown: exists(&generation.root.archive, "etc/network/interfaces"),
    };
    archive(&boot::overlay::render(&context))
}

/// The client's name: the configuration's, else one that is stable and tells which machine it is.
pub fn hostname(daemon: &Daemon, client: MacAddr) -> String {
    let settings = daemon.config.clients.get(&client);
    let configured = settings.and_then(|settings| settings.hostname.clone());
    configured.unwrap_or_else(|| default_hostname(client))
}

fn default_hostname(client: MacAddr) -> String {
    let [.., a, b, c] = client.0;
    format!("pc-{a:02x}{b:02x}{c:02x}")
}

fn exists(archive: &Archive, path: &str) -> bool {
    archive
        .resolve(path.as_bytes(), true)
        .is_ok_and(|found| found.is_some())
}

/// A text file of the image; empty if there is none. Account files are small: 1 MiB is refused.
fn text_of(generation: &Generation, path: &str) -> anyhow::Result<String> {
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
