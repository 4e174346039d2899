//! What is known while the files are mapped, and the walk over ltsp.conf.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use model::{ImageName, KnownBy};

use super::document::{Document, Value};
use super::ltsp_conf::{BadLine, LtspConf, Section};
use super::report::{LineId, Report, shown};
use super::sections::{self, Rank, Scope};
use super::{Card, Sources, parameter};

/// The configuration that grows, the report that grows with it, and what other files said.
pub struct Mapping<'a> {
    /// What will be the configuration.
    pub doc: Document,
    /// What becomes of each line.
    pub report: Report,
    /// Network cards of this machine.
    pub cards: &'a [Card],
    /// Our folder of overlay files.
    pub overlay_dir: &'a str,
    /// Clients that dnsmasq keeps an address for.
    pub reserved: BTreeMap<Ipv4Addr, KnownBy>,
    /// Images that there will be.
    pub images: Vec<ImageName>,
    /// This server's address for clients.
    pub server: Option<Ipv4Addr>,
    /// Names of groups by the parts of the headers of their sections.
    pub groups: Vec<(String, String)>,
}

impl<'a> Mapping<'a> {
    /// Nothing mapped yet.
    pub fn new(sources: &'a Sources) -> Self {
        Self {
            doc: Document::default(),
            report: Report::default(),
            cards: &sources.cards,
            overlay_dir: &sources.overlay_dir,
            reserved: BTreeMap::new(),
            images: Vec::new(),
            server: None,
            groups: Vec::new(),
        }
    }

    /// Sets a key, or adds an item to it.
    pub fn put(&mut self, path: &[&str], key: &str, value: Value, origin: LineId) {
        self.doc.put(&mut self.report, path, key, value, origin);
    }

    /// Sets a key to a string.
    pub fn text(&mut self, path: &[&str], key: &str, text: impl Into<String>, origin: LineId) {
        self.put(path, key, Value::Text(text.into()), origin);
    }

    /// Adds a string to an array.
    pub fn item(&mut self, path: &[&str], key: &str, item: impl Into<String>, origin: LineId) {
        self.put(path, key, Value::Item(item.into()), origin);
    }

    /// The card in whose network the address is.
    pub fn card(&self, address: Ipv4Addr) -> Option<&'a Card> {
        self.cards.iter().find(|card| card.reaches(address))
    }

    /// The commands that make our images of these files.
    pub fn images(&mut self, paths: &[String]) -> Vec<String> {
        let mut commands = Vec::new();
        for path in paths {
            let file = self.report.file(path);
            let id = self.report.found(file, 0, "image");
            match image_name(path.rsplit('/').next().unwrap_or_default()) {
                Some(name) if self.images.contains(&name) => {
                    self.report.note(
                        id,
                        format!("there is an image {name} already; build it under another name"),
                    );
                }
                Some(name) => {
                    let command = format!("netbootd image build --name {name} {}", word(path));
                    self.report.mapped(id, format!("image {name}"));
                    self.report.note(id, format!("made by `{command}`"));
                    commands.push(command);
                    self.images.push(name);
                }
                None => {
                    let word = word(path);
                    self.report.note(id, format!("its name cannot be that of an image; `netbootd image build --name NAME {word}` gives it another"));
                }
            }
        }
        commands
    }

    /// Maps a whole ltsp.conf.
    pub fn ltsp_conf(&mut self, file: usize, conf: &LtspConf) {
        self.bad_lines(file, &conf.bad);
        let scopes = sections::scopes(conf, &self.reserved);
        for (at, _, scope) in &scopes {
            if let Scope::Group { name, .. } = scope {
                self.doc.reserve(&["groups", name]);
                let parts = conf.sections[*at].header.split('|');
                self.groups
                    .extend(parts.map(|part| (part.to_owned(), name.clone())));
            } else if let Scope::Everyone(name) = scope {
                self.doc.reserve(&["groups", name]);
            }
        }
        let server = conf.sections.iter().flat_map(|section| &section.parameters);
        let server = server
            .filter(|parameter| parameter.name == "SERVER")
            .find_map(|p| p.value.parse().ok());
        self.server = server.or(self.server);
        let clients = scopes
            .iter()
            .any(|(_, _, scope)| matches!(scope, Scope::Client(_)));
        for (at, rank, scope) in &scopes {
            let alike = scopes.iter().filter(|(_, other, _)| other == rank).count() > 1;
            self.section(file, &conf.sections[*at], (*rank, alike, clients), scope);
        }
    }

    /// Shown as they stand, unless that would show a password.
    fn bad_lines(&mut self, file: usize, lines: &[BadLine]) {
        // What follows on an unclosed list of passwords may belong to it.
        let mut passwords = false;
        for bad in lines {
            passwords |= bad.text.contains("PASSWORDS_");
            let id = match passwords || parameter::is_secret(&bad.text) {
                true => self
                    .report
                    .found(file, bad.line, "a line that may hold a password"),
                false => self
                    .report
                    .found(file, bad.line, &format!("`{}`", bad.text)),
            };
            self.report.note(id, bad.why);
        }
    }

    /// One section: its rank, whether there are more of it, whether there are clients by MAC address.
    fn section(
        &mut self,
        file: usize,
        section: &Section,
        (rank, alike, clients): (Rank, bool, bool),
        scope: &Scope,
    ) {
        if section.line > 0 {
            let id = self
                .report
                .found(file, section.line, &format!("[{}]", section.header));
            self.header(id, scope);
            let many = matches!(scope, Scope::Group { members, .. } if members.iter().any(|m| m.contains(['*', '?'])));
            if many && alike {
                self.report.note(id, "LTSP reads only the first section that fits a machine; here all that fit hold, and the first wins");
            }
            if rank == Rank::Host && clients {
                self.report.note(id, "a machine's own table in `clients` wins over it; in LTSP, its name wins over its MAC address");
            }
        }
        for found in &section.parameters {
            let id = self.report.found(file, found.line, &found.name);
            parameter::map(self, scope, found, id);
        }
    }

    fn header(&mut self, id: LineId, scope: &Scope) {
        match scope {
            Scope::Everyone(_) => self.report.needless(
                id,
                "what is said of all clients is in `boot` and in a group of all",
            ),
            Scope::Server => self
                .report
                .needless(id, "what is said of the server is in `boot`"),
            Scope::Client(known_by) => {
                self.doc
                    .keep(&mut self.report, &["clients", &known_by.to_string()], id);
            }
            Scope::Nothing(why) => self.report.note(id, why.clone()),
            Scope::Group {
                name,
                members,
                addresses,
            } => {
                self.doc.keep(&mut self.report, &["groups", name], id);
                for member in members {
                    self.item(&["groups", name], "members", member, id);
                }
                for address in addresses {
                    self.report.note(id, format!("{address} was left out: there are no groups by IP address, only by host name or MAC address"));
                }
            }
        }
    }
}

/// What an image of LTSP may be called here: without `.img`, in lower case.
pub fn image_name(text: &str) -> Option<ImageName> {
    let bare = text.strip_suffix(".img").unwrap_or(text);
    bare.to_ascii_lowercase().replace(' ', "-").parse().ok()
}

/// A path as a word for a shell, on one line.
fn word(path: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%:,".contains(c);
    let path = shown(path);
    match path.chars().all(plain) {
        true => path,
        false => format!("'{}'", path.replace('\'', r"'\''")),
    }
}
