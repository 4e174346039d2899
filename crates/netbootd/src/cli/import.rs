//! `netbootd import-ltsp`: a configuration out of what an LTSP server has.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::Args;
use config::Config;

use crate::import::{Card, Sources, Text, import};

const LTSP_CONF: &str = "/etc/ltsp/ltsp.conf";
const DNSMASQ: &str = "/etc/dnsmasq.d/ltsp-dnsmasq.conf";
const EXPORTS: &str = "/etc/exports.d/ltsp-nfs.exports";
const IMAGES: &str = "/srv/ltsp/images";

/// Makes a configuration of what an LTSP server has, and says what became of each line of it; changes nothing there
#[derive(Debug, Args)]
pub struct ImportLtspCommand {
    /// LTSP's configuration [default: /etc/ltsp/ltsp.conf]
    #[arg(long, value_name = "FILE")]
    ltsp_conf: Option<PathBuf>,
    /// A file of dnsmasq; may be given more than once [default: /etc/dnsmasq.d/ltsp-dnsmasq.conf]
    #[arg(long, value_name = "FILE")]
    dnsmasq: Vec<PathBuf>,
    /// A file of exports(5); may be given more than once [default: /etc/exports.d/ltsp-nfs.exports]
    #[arg(long, value_name = "FILE")]
    exports: Vec<PathBuf>,
    /// The folder of LTSP's image files [default: /srv/ltsp/images]
    #[arg(long, value_name = "DIR")]
    images: Option<PathBuf>,
    /// Where to write the configuration, a file that is not there yet [default: standard output]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Reads, maps, prints.
pub fn run(command: &ImportLtspCommand) -> anyhow::Result<()> {
    let ltsp_conf = texts(command.ltsp_conf.as_slice(), LTSP_CONF)?;
    let sources = Sources {
        ltsp_conf: ltsp_conf.into_iter().next(),
        dnsmasq: texts(&command.dnsmasq, DNSMASQ)?,
        exports: texts(&command.exports, EXPORTS)?,
        images: images(command.images.as_deref())?,
        cards: cards()?,
        overlay_dir: Config::default().overlay_dir.display().to_string(),
    };
    let nothing = sources.ltsp_conf.is_none()
        && sources.dnsmasq.is_empty()
        && sources.exports.is_empty()
        && sources.images.is_empty();
    ensure!(
        !nothing,
        "there is nothing of LTSP here; say where it is: netbootd import-ltsp --help"
    );
    let imported = import(&sources).map_err(|diagnostics| {
        anyhow::anyhow!("this is a fault of netbootd, please report it: what it made cannot be loaded\n{diagnostics}")
    })?;
    match &command.output {
        Some(file) => write(file, &imported.toml)?,
        None => std::io::stdout().write_all(imported.toml.as_bytes())?,
    }
    eprintln!("{}", imported.report);
    if !imported.commands.is_empty() {
        eprintln!("\nThe images, once:\n  {}", imported.commands.join("\n  "));
    }
    Ok(())
}

/// The named files, or the usual one if it is there.
fn texts(named: &[PathBuf], usual: &str) -> anyhow::Result<Vec<Text>> {
    let usual = [PathBuf::from(usual)];
    let files = if named.is_empty() { &usual[..] } else { named };
    let mut texts = Vec::new();
    for file in files {
        match fs::read(file) {
            Ok(bytes) => texts.push(Text {
                name: file.display().to_string(),
                text: String::from_utf8_lossy(&bytes).into_owned(),
            }),
            Err(error) if error.kind() == ErrorKind::NotFound && named.is_empty() => {
                eprintln!("{}: not there", file.display());
            }
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", file.display()));
            }
        }
    }
    Ok(texts)
}

/// Paths of the image files, by name.
fn images(named: Option<&Path>) -> anyhow::Result<Vec<String>> {
    let folder = named.unwrap_or(Path::new(IMAGES));
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound && named.is_none() => {
            return Ok(Vec::new());
        }
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read {}", folder.display()));
        }
    };
    let mut images = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "img") {
            images.push(path.display().to_string());
        }
    }
    images.sort();
    Ok(images)
}

fn cards() -> anyhow::Result<Vec<Card>> {
    let mut cards = Vec::new();
    for (name, interface) in net::interfaces()?
        .into_iter()
        .filter(|(name, _)| name != "lo")
    {
        for (address, prefix_len) in interface.addresses {
            cards.push(Card {
                name: name.clone(),
                address,
                prefix_len,
            });
        }
    }
    Ok(cards)
}

/// A file that was there stays as it is.
fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    let mut created = match File::create_new(file) {
        Ok(created) => created,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            bail!(
                "{} is there already, and stays as it is; name another file",
                file.display()
            )
        }
        Err(error) => {
            return Err(error).with_context(|| format!("cannot write {}", file.display()));
        }
    };
    created.write_all(text.as_bytes())?;
    created
        .sync_all()
        .with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(folder: &Path) -> ImportLtspCommand {
        let file = |name: &str| folder.join(name);
        fs::create_dir(file("images")).unwrap();
        fs::write(file("images/x86_64.img"), "").unwrap();
        fs::write(file("images/x86_64.img.old"), "").unwrap();
        fs::write(file("ltsp.conf"), "[server]\nDEFAULT_IMAGE=x86_64\n").unwrap();
        fs::write(file("dnsmasq.conf"), "port=0\n").unwrap();
        fs::write(file("exports"), "/srv/ltsp *(ro)\n").unwrap();
        ImportLtspCommand {
            ltsp_conf: Some(file("ltsp.conf")),
            dnsmasq: vec![file("dnsmasq.conf")],
            exports: vec![file("exports")],
            images: Some(file("images")),
            output: Some(file("netbootd.toml")),
        }
    }

    #[test]
    fn what_was_written_loads_and_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let command = command(folder.path());
        run(&command).unwrap();
        let file = folder.path().join("netbootd.toml");
        let text = fs::read_to_string(&file).unwrap();
        assert!(
            text.contains("netbootd image build --name x86_64 "),
            "{text}"
        );
        assert!(!text.contains(".old"), "{text}");
        let options = config::LoadOptions {
            file: Some(file.clone()),
            ..Default::default()
        };
        assert_eq!(
            config::load(options).unwrap().config.boot.default,
            Some("x86_64".parse().unwrap())
        );
        fs::write(&file, "mine").unwrap();
        assert!(
            run(&command)
                .unwrap_err()
                .to_string()
                .contains("stays as it is")
        );
        assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    }

    #[test]
    fn a_file_that_was_named_must_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = command(folder.path());
        command.ltsp_conf = Some(folder.path().join("missing"));
        assert!(run(&command).unwrap_err().to_string().contains("missing"));
    }
}
