//! `netbootd image`: builds, lists and inspects images. Needs no running daemon; one that runs
//! sees what is published here.

mod build;
mod carry;
mod keep;
mod preview;
mod progress;
mod show;

pub(super) use progress::how_far;
pub(super) use show::age;

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Context, anyhow, bail};
use clap::{Args, Subcommand};
use config::Config;
use image::catalogue::{Catalogue, Generation, Image};
use image::scrub::Rules;
use model::{GenerationId, ImageName};

/// Images: what clients boot.
#[derive(Debug, Args)]
pub struct ImageCommand {
    /// Where images are kept [default: state_dir of the configuration]
    #[arg(long, global = true, value_name = "DIR")]
    state_dir: Option<PathBuf>,

    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Makes an image of a Linux system, and lets new boots have it
    Build(Box<build::Build>),
    /// Shows the images and their generations
    List {
        /// As JSON, one manifest for each generation
        #[arg(long)]
        json: bool,
    },
    /// Shows what an image is made of
    Inspect {
        /// The image, and the generation if not the current one (its first digits will do)
        #[arg(value_name = "NAME[@GENERATION]")]
        image: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Shows what changed from one generation to another
    Diff {
        /// The older one, NAME or NAME@GENERATION
        before: String,
        /// The newer one
        after: String,
    },
    /// Keeps a generation until it is unpinned
    Pin {
        /// The image, and the generation if not the current one
        #[arg(value_name = "NAME[@GENERATION]")]
        image: String,
    },
    /// Lets a pinned generation go when it is old
    Unpin {
        /// The image, and the generation if not the current one
        #[arg(value_name = "NAME[@GENERATION]")]
        image: String,
    },
    /// Removes a generation that nobody needs, or an image with all its generations
    Remove {
        /// The image with everything, or one generation of it
        #[arg(value_name = "NAME[@GENERATION]")]
        image: String,
        #[command(flatten)]
        users: keep::Users,
    },
    /// Removes old generations that nobody needs
    Prune {
        /// Only this image
        name: Option<ImageName>,
        /// How many of the newest stay, besides the current, the previous and pinned ones [default: keep of the
        /// image in the configuration, or 3]
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
        generations: Option<u32>,
        #[command(flatten)]
        users: keep::Users,
    },
    /// Reads every file again and compares it with its checksum
    Verify {
        /// Only this image, or this generation
        #[arg(value_name = "NAME[@GENERATION]")]
        image: Option<String>,
    },
    /// Writes a generation into one file, to carry to another server
    Export {
        /// The image, and the generation if not the current one
        #[arg(value_name = "NAME[@GENERATION]")]
        image: String,
        /// The file; - is standard output
        file: PathBuf,
    },
    /// Publishes an exported generation, after comparing every file with its checksum
    Import {
        /// The file; - is standard input
        file: PathBuf,
        /// Under this name instead of its own
        #[arg(long)]
        name: Option<ImageName>,
    },
    /// Shows the rules about what is left out of an image
    Rules,
    /// Lets new boots have the previous generation, or the one that is named
    Rollback {
        /// The image, and the generation if not the previous one (its first digits will do)
        #[arg(value_name = "NAME[@GENERATION]")]
        image: String,
    },
}

/// Does what was asked. `--state-dir` overrides the configuration's. The daemon at its control socket knows who
/// runs what.
pub fn run(command: ImageCommand, config: &Config) -> anyhow::Result<()> {
    let state_dir = command.state_dir.as_ref().unwrap_or(&config.state_dir);
    let control = config.control_socket.as_path();
    let catalogue = Catalogue::open(state_dir);
    match command.action {
        Action::Build(build) => build::run(*build, state_dir, config),
        Action::List { json } => show::list(&catalogue, json),
        Action::Inspect { image, json } => show::inspect(&catalogue, &image, json, control),
        Action::Rules => print(&rules()),
        Action::Diff { before, after } => show::diff(&catalogue, &before, &after),
        Action::Pin { image } => keep::pin(&catalogue, &image, true),
        Action::Unpin { image } => keep::pin(&catalogue, &image, false),
        Action::Remove { image, users } => keep::remove(&catalogue, &image, &users, config),
        Action::Prune {
            name,
            generations,
            users,
        } => keep::prune(&catalogue, name, generations, &users, config),
        Action::Verify { image } => carry::verify(&catalogue, image.as_deref()),
        Action::Export { image, file } => carry::export(&catalogue, &image, &file),
        Action::Import { file, name } => carry::import(&catalogue, &file, name.as_ref()),
        Action::Rollback { image } => rollback(&catalogue, &image),
    }
}

/// The built-in rules, one paragraph each.
fn rules() -> String {
    let mut text = String::new();
    for rule in Rules::standard().iter() {
        let always = match Rules::standard().named(&rule.name) {
            Some((_, true)) => ", always",
            _ => "",
        };
        let action = rule.action.as_str();
        text += &format!("{} ({action}{always}): {}\n", rule.name, rule.reason);
        for pattern in &rule.patterns {
            text += &format!("    {pattern}\n");
        }
    }
    text
}

fn rollback(catalogue: &Catalogue, wanted: &str) -> anyhow::Result<()> {
    let (name, generation) = parse_wanted(wanted)?;
    let now = match generation {
        None => catalogue.rollback(&name)?,
        Some(digits) => {
            let id = generation_of(&catalogue.image(&name)?, digits)?.id;
            catalogue.set_current(&name, id)?;
            id
        }
    };
    let now = GenerationId::short(now);
    print(&format!(
        "{name}@{now} is current: new boots get it, running clients keep theirs\n"
    ))
}

/// `NAME` or `NAME@DIGITS`.
fn parse_wanted(wanted: &str) -> anyhow::Result<(ImageName, Option<&str>)> {
    let (name, generation) = match wanted.split_once('@') {
        Some((name, generation)) => (name, Some(generation)),
        None => (wanted, None),
    };
    let name = name.parse().map_err(|error| anyhow!("{name:?}: {error}"))?;
    Ok((name, generation))
}

/// The generation that `NAME` or `NAME@DIGITS` names, with its image.
fn found(catalogue: &Catalogue, wanted: &str) -> anyhow::Result<(Image, Generation)> {
    let (name, digits) = parse_wanted(wanted)?;
    let image = catalogue.image(&name)?;
    let generation = match digits {
        Some(digits) => generation_of(&image, digits)?,
        None => image
            .current()
            .with_context(|| format!("{name} has no current generation; name one"))?,
    };
    let generation = generation.clone();
    Ok((image, generation))
}

/// The only generation whose id begins with `digits`.
fn generation_of<'a>(image: &'a Image, digits: &str) -> anyhow::Result<&'a Generation> {
    let begins = |g: &&Generation| g.id.to_string().starts_with(digits);
    let found: Vec<_> = image.generations.iter().filter(begins).collect();
    match &found[..] {
        [one] => Ok(one),
        [] => bail!("{} has no generation {digits}", image.name),
        _ => bail!(
            "{} generations of {} begin with {digits:?}",
            found.len(),
            image.name
        ),
    }
}

/// Like `print!`, but a reader that went away (`| head`) is no reason to panic.
fn print(text: &str) -> anyhow::Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_is_named_after_an_at_sign() {
        let (name, generation) = parse_wanted("demo@12ab").unwrap();
        assert_eq!((name.as_str(), generation), ("demo", Some("12ab")));
        assert_eq!(parse_wanted("demo").unwrap().1, None);
        assert!(parse_wanted("../etc").is_err());
    }
}
