//! `image export`, `import` and `verify`.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use anyhow::{Context, bail};
use image::catalogue::Catalogue;
use model::ImageName;

use super::{found, parse_wanted, print};

/// Standard input or output.
const STANDARD: &str = "-";

/// Writes the file beside its place first: what is there under its name is whole.
pub(super) fn export(catalogue: &Catalogue, wanted: &str, file: &Path) -> anyhow::Result<()> {
    let (_, generation) = found(catalogue, wanted)?;
    if file == Path::new(STANDARD) {
        let mut out = io::stdout().lock();
        generation.export(&mut out)?;
        return Ok(out.flush()?);
    }
    let mut name = file.file_name().context("the file has no name")?.to_owned();
    name.push(".new");
    let fresh = file.with_file_name(name);
    let write = || -> io::Result<()> {
        let mut out = BufWriter::with_capacity(1 << 20, File::create(&fresh)?);
        generation.export(&mut out)?;
        let out = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        out.sync_all()?;
        fs::rename(&fresh, file)
    };
    write().map_err(|error| {
        let _ = fs::remove_file(&fresh);
        anyhow::Error::new(error).context(format!("cannot write {}", file.display()))
    })
}

pub(super) fn import(
    catalogue: &Catalogue,
    file: &Path,
    name: Option<&ImageName>,
) -> anyhow::Result<()> {
    let mut archive: Box<dyn Read> = match file == Path::new(STANDARD) {
        true => Box::new(io::stdin().lock()),
        false => {
            Box::new(File::open(file).with_context(|| format!("cannot open {}", file.display()))?)
        }
    };
    let published = catalogue.import(&mut archive, name)?;
    print(&format!(
        "{}@{} is {}\n",
        published.name,
        published.generation.short(),
        match published.known {
            true => "there already, and current now",
            false => "published; new boots get it",
        }
    ))
}

/// One generation, all of one image, or everything.
pub(super) fn verify(catalogue: &Catalogue, wanted: Option<&str>) -> anyhow::Result<()> {
    let mut generations = Vec::new();
    match wanted {
        Some(wanted) if parse_wanted(wanted)?.1.is_some() => {
            let (image, generation) = found(catalogue, wanted)?;
            generations.push((image.name, generation));
        }
        _ => {
            let listing = catalogue.list()?;
            for warning in &listing.warnings {
                eprintln!("warning: {warning}");
            }
            let only = wanted.map(parse_wanted).transpose()?.map(|(name, _)| name);
            if let Some(name) = &only {
                catalogue.image(name)?;
            }
            let images = listing.images.into_iter();
            for image in images.filter(|image| only.as_ref().is_none_or(|only| *only == image.name))
            {
                let name = image.name;
                generations.extend(image.generations.into_iter().map(|it| (name.clone(), it)));
            }
        }
    }
    let mut damaged = 0;
    for (name, generation) in generations {
        let files = generation.verify()?;
        let says = match files.is_empty() {
            true => "is what it was when it was built".to_owned(),
            false => format!("is damaged: {}", files.join(", ")),
        };
        damaged += usize::from(!files.is_empty());
        print(&format!("{name}@{} {says}\n", generation.id.short()))?;
    }
    match damaged {
        0 => Ok(()),
        _ => bail!("{damaged} damaged; build or import them again"),
    }
}
