//! `image list` and `image inspect`.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use image::catalogue::{Catalogue, Generation, Image};
use image::contents;
use indicatif::HumanBytes;

use super::{found, keep, print};

/// Every image with its generations.
pub(super) fn list(catalogue: &Catalogue, json: bool) -> anyhow::Result<()> {
    let listing = catalogue.list()?;
    for warning in &listing.warnings {
        eprintln!("warning: {warning}");
    }
    if json {
        let generations = listing.images.iter().flat_map(|image| &image.generations);
        let manifests: Vec<_> = generations.map(|generation| &generation.manifest).collect();
        return print(&format!("{}\n", serde_json::to_string_pretty(&manifests)?));
    }
    if listing.images.is_empty() {
        let folder = catalogue.folder().display();
        return print(&format!(
            "no images in {folder}; build one: netbootd image build /\n"
        ));
    }
    let mut text = String::new();
    for image in &listing.images {
        writeln!(text, "{}", image.name)?;
        for generation in &image.generations {
            let manifest = &generation.manifest;
            let pin = match image.pinned.contains(&generation.id) {
                true => "  pinned",
                false => "",
            };
            let mark = match Some(generation.id) {
                id if id == image.current => "current",
                id if id == image.previous => "previous",
                _ => "",
            };
            writeln!(
                text,
                "  {}  {mark:<8}  {:>12}  {:<24}  {}{pin}",
                generation.id.short(),
                HumanBytes(manifest.files.root.bytes).to_string(),
                manifest.kernel.version,
                age(manifest.created),
            )?;
        }
    }
    print(&text)
}

/// One generation: what it is made of.
pub(super) fn inspect(
    catalogue: &Catalogue,
    wanted: &str,
    json: bool,
    control: &Path,
) -> anyhow::Result<()> {
    let (image, generation) = &found(catalogue, wanted)?;
    let text = match json {
        true => format!("{}\n", serde_json::to_string_pretty(&generation.manifest)?),
        false => described(image, generation, control)?,
    };
    print(&text)
}

/// What changed from one generation to another: a line for each name.
pub(super) fn diff(catalogue: &Catalogue, before: &str, after: &str) -> anyhow::Result<()> {
    let (_, old) = found(catalogue, before)?;
    let (_, new) = found(catalogue, after)?;
    let (a, b) = (contents::open(&old)?, contents::open(&new)?);
    let mut text = String::new();
    for (what, old, new) in [
        (
            "kernel",
            &old.manifest.kernel.version,
            &new.manifest.kernel.version,
        ),
        ("source", &old.manifest.source, &new.manifest.source),
    ] {
        if old != new {
            writeln!(text, "{what}: {old} -> {new}")?;
        }
    }
    let mut grown = 0_i64;
    let mut names = 0_u64;
    contents::diff(&a, &b, &mut |change| {
        names += 1;
        grown += change.bytes.1 as i64 - change.bytes.0 as i64;
        text += &format!("{change}\n");
    })?;
    let sign = if grown < 0 { "-" } else { "+" };
    writeln!(
        text,
        "{names} names, {sign}{} before compression",
        HumanBytes(grown.unsigned_abs())
    )?;
    print(&text)
}

fn described(image: &Image, generation: &Generation, control: &Path) -> anyhow::Result<String> {
    let manifest = &generation.manifest;
    let (root, initrd) = (&manifest.root, &manifest.initrd);
    let mut text = String::new();
    let mut line = |key: &str, value: String| writeln!(text, "{key:<11} {value}");
    line("image", image.name.to_string())?;
    let mark = match image.current == Some(generation.id) {
        true => " (current)",
        false => "",
    };
    line("generation", format!("{}{mark}", generation.id))?;
    line(
        "built",
        format!(
            "{}, by {}, from {}",
            age(manifest.created),
            manifest.built_by,
            manifest.source
        ),
    )?;
    line("run by", keep::clients(control, &image.name, generation.id))?;
    line("folder", generation.folder.display().to_string())?;
    line(
        "kernel",
        format!(
            "{} from {}, {}",
            manifest.kernel.version,
            manifest.kernel.path,
            HumanBytes(manifest.files.kernel.bytes)
        ),
    )?;
    line("initrd", initrd.to_string())?;
    line(
        "root",
        format!(
            "{}, {} in blocks of {}: {} files, {} before compression",
            HumanBytes(manifest.files.root.bytes),
            root.compression,
            HumanBytes(u64::from(root.block_size)),
            root.files,
            HumanBytes(root.file_bytes)
        ),
    )?;
    if root.blocks > 0 {
        let (reused, blocks) = (root.reused_blocks, root.blocks);
        line(
            "blocks",
            format!("{blocks}, {reused} of them from the generation before"),
        )?;
    }
    line(
        "verity",
        match &root.verity {
            Some(verity) => format!("{} blocks, root hash {}", verity.blocks, verity.digits()),
            None => "no hash tree: clients do not check what they read".to_owned(),
        },
    )?;
    for it in root.directories.iter().take(20) {
        line(
            "directory",
            format!(
                "{:>12} of {:>12}  {:>7} files  {}",
                HumanBytes(it.packed).to_string(),
                HumanBytes(it.bytes).to_string(),
                it.files,
                it.path
            ),
        )?;
    }
    for (name, record) in manifest.files.iter() {
        let what = match record.piece {
            0 => String::new(),
            piece => format!(" (of the SHA-256 of every {} bytes)", piece),
        };
        line("sha256", format!("{} {name}{what}", record.sha256))?;
    }
    if !initrd.missing_firmware.is_empty() {
        line(
            "firmware",
            format!(
                "the image has none for {} (most work without)",
                initrd.missing_firmware.join(", ")
            ),
        )?;
    }
    for secret in &manifest.secrets {
        line("secret", format!("{secret} (allowed)"))?;
    }
    if !manifest.unreadable.is_empty() {
        let names = manifest.unreadable.join(", ");
        line("missing", format!("could not be read: {names}"))?;
    }
    for left in &manifest.left_out {
        line(
            "left out",
            format!(
                "{} ({} in {} entries): {}",
                left.rule,
                HumanBytes(left.bytes),
                left.entries,
                left.reason
            ),
        )?;
    }
    Ok(text)
}

pub(in crate::cli) fn age(unix: u64) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let seconds = now.as_secs().saturating_sub(unix);
    let (count, unit) = match seconds {
        0..60 => return "just now".to_owned(),
        60..3600 => (seconds / 60, "minute"),
        3600..86_400 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural} ago")
}
