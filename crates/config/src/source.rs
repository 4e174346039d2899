//! The text of the file, and where in it each key and value stands.

use std::collections::HashMap;
use std::ops::Range;

use figment::value::{Dict, Value};
use toml_edit::{Document, Item, Table, TableLike};

use crate::diagnostic::{Code, Diagnostic, Fault};
use crate::path::KeyPath;

/// Which part of an entry is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The name of the key or table.
    Key,
    /// The value.
    Value,
    /// One element of an array.
    Item(usize),
}

/// A file's text with the places of its entries.
#[derive(Clone, Debug, Default)]
pub(crate) struct Source {
    name: String,
    text: String,
    entries: HashMap<KeyPath, Entry>,
}

#[derive(Clone, Debug, Default)]
struct Entry {
    key: Option<Range<usize>>,
    value: Option<Range<usize>>,
    items: Vec<Range<usize>>,
    /// A table that only stands in the header of another: `clients` in `[clients."…"]`.
    implicit: bool,
}

impl Source {
    /// Parses the text as TOML; gives the values too.
    pub(crate) fn parse(name: &str, text: &str) -> Result<(Self, Dict), Box<Diagnostic>> {
        let mut source = Self {
            name: name.to_owned(),
            text: text.to_owned(),
            entries: HashMap::new(),
        };
        match Document::parse(text) {
            Ok(document) => {
                let dict = source.index(&KeyPath::default(), document.as_table());
                Ok((source, dict))
            }
            Err(error) => {
                let fault = Fault::new(
                    Code::Syntax,
                    format!(
                        "this is not TOML: {}",
                        error.message().lines().collect::<Vec<_>>().join(", ")
                    ),
                    "nothing after this place can be understood, so there may be more to say once it is mended",
                );
                let range = error.span().unwrap_or(0..0);
                Err(Box::new(source.diagnostic(fault, range)))
            }
        }
    }

    /// Whether the entry is written in the file by itself, not only as a part of a longer path.
    pub(crate) fn contains(&self, path: &KeyPath) -> bool {
        self.entries.get(path).is_some_and(|entry| !entry.implicit)
    }

    /// The bytes of a part of an entry; those of its key if the part has none.
    pub(crate) fn range(&self, path: &KeyPath, part: Part) -> Option<Range<usize>> {
        let entry = self.entries.get(path)?;
        let exact = match part {
            Part::Key => None,
            Part::Value => entry.value.clone(),
            Part::Item(index) => entry.items.get(index).or(entry.value.as_ref()).cloned(),
        };
        exact
            .or_else(|| entry.key.clone())
            .or_else(|| entry.value.clone())
    }

    /// File, line and column of a byte; lines and columns (of characters) count from 1.
    pub(crate) fn position(&self, byte: usize) -> (&str, usize, usize) {
        let byte = (0..=byte.min(self.text.len()))
            .rev()
            .find(|&byte| self.text.is_char_boundary(byte))
            .unwrap_or(0);
        let before = &self.text[..byte];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        (&self.name, line, before[line_start..].chars().count() + 1)
    }

    /// The fault, pointing at these bytes.
    pub(crate) fn diagnostic(&self, fault: Fault, range: Range<usize>) -> Diagnostic {
        let (file, line, column) = self.position(range.start);
        let source = self.text.lines().nth(line - 1).unwrap_or_default();
        let room = source.chars().count().saturating_sub(column - 1);
        let meant = self.text.get(range).unwrap_or_default();
        let width = meant.lines().next().unwrap_or_default().chars().count();
        Diagnostic {
            code: fault.code,
            severity: fault.severity,
            file: file.to_owned(),
            line,
            column,
            source: source.to_owned(),
            width: width.min(room).max(1),
            what: fault.what,
            why: fault.why,
            suggestion: fault.help,
        }
    }

    fn index(&mut self, path: &KeyPath, table: &dyn TableLike) -> Dict {
        let mut dict = Dict::new();
        for (name, item) in table.iter() {
            let path = path.child(name);
            let key = table.key(name).and_then(toml_edit::Key::span);
            let items = match item.as_array() {
                Some(array) => array.iter().filter_map(toml_edit::Value::span).collect(),
                None => Vec::new(),
            };
            let entry = Entry {
                key,
                value: item.span(),
                items,
                implicit: item.as_table().is_some_and(Table::is_implicit),
            };
            self.entries.insert(path.clone(), entry);
            if let Some(value) = self.value(&path, item) {
                dict.insert(name.to_owned(), value);
            }
        }
        dict
    }

    fn value(&mut self, path: &KeyPath, item: &Item) -> Option<Value> {
        if let Some(table) = item.as_table_like() {
            return Some(Value::from(self.index(path, table)));
        }
        match item {
            Item::Value(value) => Some(plain(value)),
            // `[[name]]`: no key wants one, so its content does not matter.
            Item::ArrayOfTables(_) => Some(Value::from(Vec::<Dict>::from([Dict::new()]))),
            Item::None | Item::Table(_) => None,
        }
    }
}

/// A TOML value as figment has it.
pub(crate) fn plain(value: &toml_edit::Value) -> Value {
    use toml_edit::Value as Toml;
    match value {
        Toml::String(text) => Value::from(text.value().as_str()),
        Toml::Integer(number) => Value::from(*number.value()),
        Toml::Float(number) => Value::from(*number.value()),
        Toml::Boolean(flag) => Value::from(*flag.value()),
        Toml::Datetime(time) => Value::from(time.value().to_string()),
        Toml::Array(array) => Value::from(array.iter().map(plain).collect::<Vec<_>>()),
        Toml::InlineTable(table) => {
            let pairs = table
                .iter()
                .map(|(name, value)| (name.to_owned(), plain(value)));
            Value::from(pairs.collect::<Dict>())
        }
    }
}
