//! From the files of an LTSP server to a configuration of ours, and a report of what became of each line.
//!
//! Text in, values out: nothing here reads a file or runs one. ltsp.conf is a shell script; it is read as text, and what
//! only a shell could know is reported and left.

mod dnsmasq;
mod document;
mod exports;
mod host;
mod ltsp_conf;
mod mapping;
mod network;
mod never;
mod option;
mod parameter;
mod report;
mod sections;
#[cfg(test)]
mod tests;

use std::net::Ipv4Addr;

use config::Diagnostics;

use self::mapping::Mapping;
pub use self::report::Report;

/// A file that was read.
#[derive(Clone, Debug)]
pub struct Text {
    /// Its path, for the report.
    pub name: String,
    /// What it holds.
    pub text: String,
}

/// What an LTSP server has.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// ltsp.conf
    pub ltsp_conf: Option<Text>,
    /// Files of dnsmasq.
    pub dnsmasq: Vec<Text>,
    /// Files of exports(5).
    pub exports: Vec<Text>,
    /// Paths of image files.
    pub images: Vec<String>,
    /// Network cards of this machine.
    pub cards: Vec<Card>,
    /// Our folder of overlay files, for recipes.
    pub overlay_dir: String,
}

/// A network card with one of its addresses.
#[derive(Clone, Debug)]
pub struct Card {
    /// The kernel's name of it.
    pub name: String,
    /// Its address.
    pub address: Ipv4Addr,
    /// How many bits of it are the network's.
    pub prefix_len: u8,
}

impl Card {
    /// Whether the address is in the card's network.
    fn reaches(&self, address: Ipv4Addr) -> bool {
        let mask = u32::MAX
            .checked_shl(32 - u32::from(self.prefix_len.min(32)))
            .unwrap_or(0);
        (u32::from(self.address) ^ u32::from(address)) & mask == 0
    }
}

/// What was made of it.
#[derive(Debug)]
pub struct Imported {
    /// A configuration that loads.
    pub toml: String,
    /// What became of each line.
    pub report: Report,
    /// Commands that make our images of theirs.
    pub commands: Vec<String>,
}

/// Reads what an LTSP server has. An error is one of this program: it made a configuration that it cannot load.
pub fn import(sources: &Sources) -> Result<Imported, Diagnostics> {
    let mut mapping = Mapping::new(sources);
    let ltsp_conf = sources
        .ltsp_conf
        .as_ref()
        .map(|text| (mapping.report.file(&text.name), text));
    for text in &sources.dnsmasq {
        let file = mapping.report.file(&text.name);
        network::map(&mut mapping, file, &dnsmasq::parse(&text.text));
    }
    for text in &sources.exports {
        let file = mapping.report.file(&text.name);
        exports::map(&mut mapping, file, &text.text);
    }
    let commands = mapping.images(&sources.images);
    if let Some((file, text)) = ltsp_conf {
        mapping.ltsp_conf(file, &ltsp_conf::parse(&text.text));
    }
    mapping.report.finish();
    let head = head(&commands, mapping.doc.names("interfaces").is_empty());
    let toml = mapping.doc.settle(&head, &mut mapping.report)?;
    Ok(Imported {
        toml,
        report: mapping.report,
        commands,
    })
}

/// The comments that the configuration begins with.
fn head(commands: &[String], no_card: bool) -> String {
    let mut head = String::from(
        "# Made by `netbootd import-ltsp`. `netbootd check` says what it would do here.\n",
    );
    if !commands.is_empty() {
        head.push_str("#\n# The images, once:\n");
        for command in commands {
            head.push_str(&format!("#   {command}\n"));
        }
    }
    if no_card {
        head.push_str(
            "\n# The network card that the clients are connected to:\n# [interfaces.enp1s0]\n",
        );
    }
    head
}
