//! The configuration that is made, each of its lines with what it was made of.

use config::{Diagnostics, KeyPath, LoadOptions, Severity, load_text};

use super::report::{LineId, Report};

/// The tables of the file, in the order of the file.
const ORDER: [&str; 8] = [
    "interfaces",
    "dns",
    "boot",
    "tftp",
    "scrub",
    "groups",
    "clients",
    "exports",
];

/// Tables of keys.
#[derive(Debug, Default)]
pub struct Document {
    tables: Vec<Table>,
}

#[derive(Debug)]
struct Table {
    path: Vec<String>,
    entries: Vec<Entry>,
    /// What wants it written even when it has no keys.
    kept: Vec<LineId>,
}

#[derive(Debug)]
struct Entry {
    key: String,
    value: Value,
    origin: LineId,
}

/// A value of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A string.
    Text(String),
    /// A number.
    Number(u32),
    /// One of the strings of an array.
    Item(String),
}

/// What a line of the text is: a table, and one of its entries.
type Owner = Option<(usize, Option<usize>)>;

impl Document {
    fn table(&mut self, path: &[&str]) -> &mut Table {
        let at = self.tables.iter().position(|table| table.path == path);
        let at = at.unwrap_or_else(|| {
            self.tables.push(Table {
                path: path.iter().map(|&part| part.to_owned()).collect(),
                entries: Vec::new(),
                kept: Vec::new(),
            });
            self.tables.len() - 1
        });
        &mut self.tables[at]
    }

    /// Gives a table its place among those of its kind.
    pub fn reserve(&mut self, path: &[&str]) {
        self.table(path);
    }

    /// Has a table written, without keys too.
    pub fn keep(&mut self, report: &mut Report, path: &[&str], origin: LineId) {
        self.table(path).kept.push(origin);
        report.mapped(origin, KeyPath::new(path.iter().copied()).to_string());
    }

    /// The second parts of the written tables that begin with this part: `enp1s0` for `interfaces`.
    pub fn names(&self, first: &str) -> Vec<String> {
        let written = self.tables.iter().filter(|table| table.is_written());
        written
            .filter(|table| table.path.first().is_some_and(|part| part == first))
            .filter_map(|table| table.path.get(1).cloned())
            .collect()
    }

    /// The string that a key has.
    pub fn text(&self, path: &[&str], key: &str) -> Option<&str> {
        let table = self.tables.iter().find(|table| table.path == path)?;
        let entry = table.entries.iter().find(|entry| entry.key == key)?;
        match &entry.value {
            Value::Text(text) => Some(text),
            Value::Number(_) | Value::Item(_) => None,
        }
    }

    /// Sets a key, or adds an item to an array. What a key had before is overruled, and the report says so.
    pub fn put(
        &mut self,
        report: &mut Report,
        path: &[&str],
        key: &str,
        value: Value,
        origin: LineId,
    ) {
        let name = name(path, key);
        let table = self.table(path);
        report.mapped(origin, name.clone());
        if let Value::Item(_) = &value {
            // The same twice is once.
            if table
                .entries
                .iter()
                .any(|entry| entry.key == key && entry.value == value)
            {
                return;
            }
        } else if let Some(at) = table.entries.iter().position(|entry| entry.key == key) {
            let before = table.entries.remove(at);
            if before.origin != origin {
                let why = format!("{} overrules it", report.place(origin));
                report.dropped(before.origin, &name, why);
            }
        }
        table.entries.push(Entry {
            key: key.to_owned(),
            value,
            origin,
        });
    }

    /// Gives a value another key of its table.
    pub fn rename(&mut self, report: &mut Report, path: &[&str], from: &str, to: &str) {
        let table = self.table(path);
        table.entries.retain(|entry| entry.key != to);
        for entry in table.entries.iter_mut().filter(|entry| entry.key == from) {
            entry.key = to.to_owned();
            report.renamed(entry.origin, &name(path, from), name(path, to));
        }
    }

    /// Takes away the items that others put into an array; the report says who overruled them.
    pub fn clear(&mut self, report: &mut Report, path: &[&str], key: &str, by: LineId) {
        let name = name(path, key);
        let entries = std::mem::take(&mut self.table(path).entries);
        let (gone, stay): (Vec<Entry>, Vec<Entry>) = entries
            .into_iter()
            .partition(|entry| entry.key == key && entry.origin != by);
        self.table(path).entries = stay;
        for entry in gone {
            report.dropped(
                entry.origin,
                &name,
                format!("{} overrules it", report.place(by)),
            );
        }
    }

    /// The text, after taking out what the configuration refuses; the report has the reasons.
    pub fn settle(&mut self, head: &str, report: &mut Report) -> Result<String, Diagnostics> {
        loop {
            let (text, owners) = self.render(head);
            let Err(diagnostics) = load_text("", &text, &LoadOptions::default()) else {
                return Ok(text);
            };
            let mut refused: Vec<(usize, Option<usize>, String)> = Vec::new();
            for each in diagnostics
                .0
                .iter()
                .filter(|each| each.severity == Severity::Error)
            {
                let owner = each
                    .line
                    .checked_sub(1)
                    .and_then(|at| owners.get(at).copied());
                if let Some((table, entry)) = owner.flatten()
                    && !refused.iter().any(|(t, e, _)| (*t, *e) == (table, entry))
                {
                    refused.push((table, entry, format!("{}: {}", each.what, each.why)));
                }
            }
            if refused.is_empty() {
                return Err(diagnostics);
            }
            // From behind, so that the numbers before stay right.
            refused.sort_by_key(|(table, entry, _)| (*table, entry.is_none(), *entry));
            for (table, entry, why) in refused.into_iter().rev() {
                self.refuse(report, table, entry, &why);
            }
            self.tables.retain(Table::is_written);
        }
    }

    fn refuse(&mut self, report: &mut Report, table: usize, entry: Option<usize>, why: &str) {
        let table = &mut self.tables[table];
        let taken: Vec<Entry> = match entry {
            Some(at) if at < table.entries.len() => vec![table.entries.remove(at)],
            Some(_) => Vec::new(),
            None => table.entries.drain(..).collect(),
        };
        let path: Vec<&str> = table.path.iter().map(String::as_str).collect();
        if entry.is_none() {
            for origin in std::mem::take(&mut table.kept) {
                report.dropped(
                    origin,
                    &KeyPath::new(path.iter().copied()).to_string(),
                    why.to_owned(),
                );
            }
        }
        for entry in taken {
            report.dropped(entry.origin, &name(&path, &entry.key), why.to_owned());
        }
    }

    fn render(&self, head: &str) -> (String, Vec<Owner>) {
        let mut lines: Vec<(String, Owner)> =
            head.lines().map(|line| (line.to_owned(), None)).collect();
        let mut tables: Vec<(usize, &Table)> = self.tables.iter().enumerate().collect();
        tables.retain(|(_, table)| table.is_written());
        let rank = |table: &Table| {
            ORDER
                .iter()
                .position(|part| table.path.first().is_some_and(|p| p == part))
        };
        tables.sort_by_key(|(_, table)| rank(table));
        for (number, table) in tables {
            let path = KeyPath::new(table.path.iter().map(String::as_str));
            lines.push((String::new(), None));
            lines.push((format!("[{path}]"), Some((number, None))));
            table.render(number, &mut lines);
        }
        let text = lines.iter().map(|(line, _)| format!("{line}\n")).collect();
        (text, lines.into_iter().map(|(_, owner)| owner).collect())
    }
}

impl Table {
    fn is_written(&self) -> bool {
        !self.kept.is_empty() || !self.entries.is_empty()
    }

    fn render(&self, number: usize, lines: &mut Vec<(String, Owner)>) {
        let mut done: Vec<&str> = Vec::new();
        for (at, entry) in self.entries.iter().enumerate() {
            let key = KeyPath::new([entry.key.as_str()]);
            let owner = Some((number, Some(at)));
            match &entry.value {
                Value::Text(text) => lines.push((format!("{key} = {}", quoted(text)), owner)),
                Value::Number(value) => lines.push((format!("{key} = {value}"), owner)),
                Value::Item(_) if done.contains(&entry.key.as_str()) => {}
                Value::Item(_) => {
                    done.push(&entry.key);
                    lines.push((format!("{key} = ["), owner));
                    for (at, each) in self.entries.iter().enumerate() {
                        if let (true, Value::Item(item)) = (each.key == entry.key, &each.value) {
                            lines
                                .push((format!("    {},", quoted(item)), Some((number, Some(at)))));
                        }
                    }
                    lines.push(("]".to_owned(), owner));
                }
            }
        }
    }
}

fn name(path: &[&str], key: &str) -> String {
    KeyPath::new(path.iter().copied().chain([key])).to_string()
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            _ if letter.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(letter))),
            _ => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}
