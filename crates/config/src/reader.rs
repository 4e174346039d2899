//! Reads typed values out of the stacked layers and keeps every problem it meets.

use std::ops::RangeInclusive;

use figment::Figment;
use figment::value::Value;

use crate::diagnostic::{Code, Diagnostic, Fault};
use crate::key::{Initial, Key, Kind};
use crate::layers::{FILE, elsewhere};
use crate::path::{KeyPath, toml_name};
use crate::source::{Part, Source};

/// A place that a diagnostic can point at.
#[derive(Clone, Debug)]
pub(crate) struct Spot {
    pub(crate) path: KeyPath,
    pub(crate) part: Part,
}

impl Spot {
    pub(crate) fn key(path: &KeyPath) -> Self {
        Self {
            path: path.clone(),
            part: Part::Key,
        }
    }

    pub(crate) fn value(path: &KeyPath) -> Self {
        Self {
            path: path.clone(),
            part: Part::Value,
        }
    }

    pub(crate) fn item(path: &KeyPath, index: usize) -> Self {
        Self {
            path: path.clone(),
            part: Part::Item(index),
        }
    }
}

pub(crate) struct Reader<'a> {
    figment: &'a Figment,
    tree: &'a Value,
    source: &'a Source,
    pub(crate) problems: Vec<Diagnostic>,
    #[cfg(test)]
    pub(crate) asked: Vec<KeyPath>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(figment: &'a Figment, tree: &'a Value, source: &'a Source) -> Self {
        Self {
            figment,
            tree,
            source,
            problems: Vec::new(),
            #[cfg(test)]
            asked: Vec::new(),
        }
    }

    /// The value of a key that holds one string.
    pub(crate) fn one<T>(
        &mut self,
        path: &KeyPath,
        parse: impl FnOnce(&str) -> Result<T, Fault>,
    ) -> Option<T> {
        let value = self.value(path)?;
        let Some(text) = value.as_str() else {
            self.wrong_type(path, value);
            return None;
        };
        self.keep(Spot::value(path), parse(text))
    }

    /// The value of a key that holds a word of its list.
    pub(crate) fn word<T>(
        &mut self,
        path: &KeyPath,
        from: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let words = match Key::at(path).map(|key| key.kind) {
            Some(Kind::Word(words)) => words,
            _ => &[],
        };
        self.one(path, |text| {
            let found = words.contains(&text).then(|| from(text)).flatten();
            found.ok_or_else(|| wrong_word(path, text, words))
        })
    }

    /// The elements of a key that holds an array of strings, each with its place.
    pub(crate) fn many<T>(
        &mut self,
        path: &KeyPath,
        parse: impl Fn(&str) -> Result<T, Fault>,
    ) -> Vec<(Spot, T)> {
        let Some(value) = self.value(path) else {
            return Vec::new();
        };
        let texts = value
            .as_array()
            .map(|array| array.iter().map(Value::as_str));
        let Some(texts) = texts.and_then(|texts| texts.collect::<Option<Vec<_>>>()) else {
            self.wrong_type(path, value);
            return Vec::new();
        };
        let mut found = Vec::new();
        for (index, text) in texts.into_iter().enumerate() {
            let spot = Spot::item(path, index);
            if let Some(item) = self.keep(spot.clone(), parse(text)) {
                found.push((spot, item));
            }
        }
        found
    }

    /// The value of a key that holds an integer in one of the ranges.
    pub(crate) fn number(
        &mut self,
        path: &KeyPath,
        ranges: &[RangeInclusive<u32>],
        why: &str,
    ) -> Option<u32> {
        let value = self.value(path)?;
        let Some(number) = value.to_i128().filter(|_| value.to_bool().is_none()) else {
            self.wrong_type(path, value);
            return None;
        };
        let fits = u32::try_from(number)
            .ok()
            .filter(|number| ranges.iter().any(|range| range.contains(number)));
        if fits.is_none() {
            let spans: Vec<String> = ranges
                .iter()
                .map(|range| format!("{} to {}", range.start(), range.end()))
                .collect();
            let fault = Fault::new(
                Code::OutOfRange,
                format!("`{}` cannot be {number}", path.last()),
                why,
            )
            .help(format!(
                "write a number from {} instead",
                spans.join(" or ")
            ));
            self.report(&Spot::value(path), fault);
        }
        fits
    }

    /// A TCP or UDP port.
    pub(crate) fn port(&mut self, path: &KeyPath) -> Option<u16> {
        let number = self.number(path, &[1..=65535], "ports have 16 bits, and 0 is none")?;
        u16::try_from(number).ok()
    }

    /// The value of a key that is true or false.
    pub(crate) fn flag(&mut self, path: &KeyPath) -> Option<bool> {
        let value = self.value(path)?;
        let flag = value.to_bool();
        if flag.is_none() {
            self.wrong_type(path, value);
        }
        flag
    }

    /// The names that stand in a table of tables, in the order of the file; those that do not parse
    /// are reported, those whose content is no table are too.
    pub(crate) fn names<T>(
        &mut self,
        path: &KeyPath,
        parse: impl Fn(&str) -> Result<T, Fault>,
    ) -> Vec<(KeyPath, T)> {
        let Some(dict) = self.find(path).and_then(Value::as_dict) else {
            return Vec::new();
        };
        let mut paths: Vec<KeyPath> = dict.keys().map(|name| path.child(name)).collect();
        paths.sort_by_key(|path| {
            self.source
                .range(path, Part::Key)
                .map_or(usize::MAX, |range| range.start)
        });
        let mut found = Vec::new();
        for path in paths {
            let parsed = parse(path.last());
            if let Some(name) = self.keep(Spot::key(&path), parsed) {
                found.push((path, name));
            }
        }
        found
    }

    /// Whether a key has a value that is not a built-in default.
    pub(crate) fn is_set(&self, path: &KeyPath) -> bool {
        self.find(path)
            .is_some_and(|value| self.layer(value) != crate::layers::DEFAULT)
    }

    /// Keeps a fault, pointing at the spot.
    pub(crate) fn report(&mut self, spot: &Spot, fault: Fault) {
        let layer = match self.find(&spot.path) {
            Some(value) => self.layer(value),
            None => FILE,
        };
        let range = self.source.range(&spot.path, spot.part);
        let diagnostic = match range {
            // A table may hold nothing but defaults; its name is in the file all the same.
            Some(range) if layer == FILE || spot.part == Part::Key => {
                self.source.diagnostic(fault, range)
            }
            _ => elsewhere(layer, fault),
        };
        self.problems.push(diagnostic);
    }

    /// Where a spot is, for a sentence: ` (line 4)`, or nothing if it is not in the file.
    pub(crate) fn line_of(&self, spot: &Spot) -> String {
        match self.source.range(&spot.path, spot.part) {
            Some(range) => format!(" (line {})", self.source.position(range.start).1),
            None => String::new(),
        }
    }

    fn value(&mut self, path: &KeyPath) -> Option<&'a Value> {
        #[cfg(test)]
        self.asked.push(path.clone());
        self.find(path)
    }

    pub(crate) fn find(&self, path: &KeyPath) -> Option<&'a Value> {
        let mut value = self.tree;
        for name in path.names() {
            value = value.as_dict()?.get(name)?;
        }
        Some(value)
    }

    fn layer(&self, value: &Value) -> &'a str {
        layer_of(self.figment, value)
    }

    fn keep<T>(&mut self, spot: Spot, parsed: Result<T, Fault>) -> Option<T> {
        match parsed {
            Ok(meaning) => Some(meaning),
            Err(fault) => {
                self.report(&spot, fault);
                None
            }
        }
    }

    fn wrong_type(&mut self, path: &KeyPath, value: &Value) {
        let Some(key) = Key::at(path) else { return };
        let name = path.last();
        let fault = Fault::new(
            Code::WrongType,
            format!(
                "`{name}` is {}, and {} is needed",
                kind_of(value),
                noun(key.kind)
            ),
            key.gist(),
        )
        .help(match converted(key.kind, value) {
            Some(toml) => format!("write `{} = {toml}` instead", toml_name(name)),
            None => example(key, name),
        });
        self.report(&Spot::value(path), fault);
    }
}

/// The elements without their places.
pub(crate) fn bare<T>(found: Vec<(Spot, T)>) -> Vec<T> {
    found.into_iter().map(|(_, value)| value).collect()
}

/// The layer that a value came from; that of its first leaf for a table.
pub(crate) fn layer_of<'a>(figment: &'a Figment, value: &Value) -> &'a str {
    if let Some(inner) = value.as_dict().and_then(|dict| dict.values().next()) {
        return layer_of(figment, inner);
    }
    figment
        .get_metadata(value.tag())
        .map_or(FILE, |metadata| metadata.name.as_ref())
}

fn wrong_word(path: &KeyPath, given: &str, words: &[&str]) -> Fault {
    let fault = Fault::new(
        Code::WrongWord,
        format!("`{}` cannot be `{given}`", path.last()),
        format!("it is one of {}", words.join(", ")),
    );
    match crate::unknown::nearest(given, words.iter().copied()) {
        Some(word) => fault.help(format!("did you mean \"{word}\"?")),
        None => fault.help(format!("write \"{}\" instead", words.join("\" or \""))),
    }
}

pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::String(..) | Value::Char(..) => "a string",
        Value::Bool(..) => "true or false",
        Value::Num(..) if value.to_i128().is_some() => "an integer",
        Value::Num(..) => "a fraction",
        Value::Empty(..) => "nothing",
        Value::Dict(..) => "a table",
        Value::Array(_, items) if items.iter().all(|item| item.as_str().is_some()) => "an array",
        Value::Array(_, items) if items.iter().all(|item| item.as_dict().is_some()) => {
            "an array of tables"
        }
        Value::Array(..) => "an array of other things than strings",
    }
}

fn noun(kind: Kind) -> &'static str {
    match kind {
        Kind::Text | Kind::Word(_) => "a string",
        Kind::Number => "an integer",
        Kind::Flag => "true or false",
        Kind::List => "an array of strings",
    }
}

/// The value as the type that is wanted, in TOML, if that is what was probably meant.
fn converted(kind: Kind, value: &Value) -> Option<String> {
    let text = value.as_str();
    match kind {
        Kind::List => Some(format!("[{:?}]", text?)),
        Kind::Number => Some(text?.trim().parse::<u32>().ok()?.to_string()),
        Kind::Flag => match text?.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" => Some("true".to_owned()),
            "false" | "no" | "off" => Some("false".to_owned()),
            _ => None,
        },
        Kind::Text => match value.as_array()? {
            [only] => Some(format!("{:?}", only.as_str()?)),
            _ => None,
        },
        Kind::Word(_) => None,
    }
}

fn example(key: &Key, name: &str) -> String {
    match key.initial {
        Initial::Unset(line) if key.path.ends_with(".*") => format!("write `{line}` instead"),
        _ => format!("write `{name} = {}`, for example, instead", key.example()),
    }
}
