//! Loading a configuration, and asking it afterwards where its values came from.

use std::path::PathBuf;

use figment::Figment;
use figment::value::Value;

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Fault, Severity};
use crate::key::Key;
use crate::layers::{self, DEFAULT, FILE};
use crate::lower::lower;
use crate::meaning::Config;
use crate::path::KeyPath;
use crate::reader::{Reader, layer_of};
use crate::source::{Part, Source};
use crate::unknown;

/// Where to load from.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// The TOML file; `None`: no file.
    pub file: Option<PathBuf>,
    /// Environment variables. Those that start with `NETBOOTD_` are settings: the rest of the name in
    /// lower case, with `__` between tables, as in `NETBOOTD_LOG__LEVEL=debug`. Others are skipped.
    pub env: Vec<(String, String)>,
    /// Settings of the command line, as dotted path and text: `("log.level", "debug")`.
    pub overrides: Vec<(String, String)>,
}

/// A configuration without errors, and where its values came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What it means.
    pub config: Config,
    /// What is allowed and probably not meant.
    pub warnings: Vec<Diagnostic>,
    source: Source,
    figment: Figment,
    tree: Value,
}

/// One key with its value and the place that set it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The key.
    pub path: KeyPath,
    /// Its value in TOML.
    pub value: String,
    /// `FILE:LINE`, `environment variable …`, `command line …` or `default`.
    pub origin: String,
}

/// Loads a configuration. Errors are all that was found, warnings among them, in order of place.
pub fn load(options: LoadOptions) -> Result<Loaded, Diagnostics> {
    let Some(file) = &options.file else {
        return load_text("", "", &options);
    };
    let name = file.display().to_string();
    let bytes = std::fs::read(file).map_err(|error| {
        Diagnostics(vec![unreadable(
            &name,
            format!("the configuration cannot be read: {error}"),
            "without it, netbootd does not know which network card to serve",
        )])
    })?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        Diagnostics(vec![unreadable(
            &name,
            format!("line {} holds bytes that are not UTF-8", line + 1),
            "TOML is UTF-8 text",
        )])
    })?;
    load_text(&name, &text, &options)
}

fn unreadable(name: &str, what: String, why: &str) -> Diagnostic {
    layers::elsewhere(name, Fault::new(Code::Unreadable, what, why))
}

/// [`load`] with the file's text at hand, and the name that diagnostics give it; `options.file` is
/// not looked at.
pub fn load_text(name: &str, text: &str, options: &LoadOptions) -> Result<Loaded, Diagnostics> {
    let (source, values) =
        Source::parse(name, text).map_err(|diagnostic| Diagnostics(vec![*diagnostic]))?;
    let mut problems = Vec::new();
    let (figment, tree) = layers::stack(values, &options.env, &options.overrides, &mut problems);
    let mut reader = Reader::new(&figment, &tree, &source);
    unknown::report(&mut reader);
    let config = lower(&mut reader);
    problems.append(&mut reader.problems);
    // By place; what is not in the file comes last.
    problems.sort_by_key(|d| (d.line == 0, d.line, d.column, d.severity, d.code));
    if problems
        .iter()
        .any(|problem| problem.severity == Severity::Error)
    {
        return Err(Diagnostics(problems));
    }
    Ok(Loaded {
        config,
        warnings: problems,
        source,
        figment,
        tree,
    })
}

impl Default for Config {
    fn default() -> Self {
        let empty = load_text("", "", &LoadOptions::default());
        empty
            .expect("the built-in defaults are tested to load")
            .config
    }
}

impl Loaded {
    /// File, line and column (both from 1) of a key such as `interfaces.enp1s0.address`, or of the
    /// nearest table above it that the file has. `None` if the file has none of them.
    pub fn locate(&self, key: &str) -> Option<(&str, usize, usize)> {
        let range = self.nearest(&KeyPath::parse(key)?, Part::Value)?;
        Some(self.source.position(range.start))
    }

    /// A diagnostic of the daemon's own, about the value at `key`: it points at the line as
    /// [`Loaded::locate`] does, or names the environment variable or setting that it came from.
    pub fn diagnostic(
        &self,
        severity: Severity,
        code: Code,
        key: &str,
        what: impl Into<String>,
        why: impl Into<String>,
        suggestion: Option<String>,
    ) -> Diagnostic {
        let fault = Fault {
            code,
            severity,
            what: what.into(),
            why: why.into(),
            help: suggestion,
        };
        self.point(fault, &KeyPath::parse(key).unwrap_or_default(), Part::Value)
    }

    /// The fault at a part of the value, or at the nearest table above it.
    pub(crate) fn point(&self, fault: Fault, path: &KeyPath, part: Part) -> Diagnostic {
        let value = find(&self.tree, path);
        let layer = value.map_or(FILE, |value| layer_of(&self.figment, value));
        let is_table = value.is_some_and(|value| value.as_dict().is_some());
        match self.nearest(path, part) {
            Some(range) if layer == FILE || layer == DEFAULT || is_table => {
                self.source.diagnostic(fault, range)
            }
            _ => layers::elsewhere(layer, fault),
        }
    }

    /// The names that stand in a table.
    pub(crate) fn names_in(&self, path: &KeyPath) -> impl Iterator<Item = &str> {
        let dict = find(&self.tree, path).and_then(Value::as_dict);
        dict.into_iter()
            .flat_map(|dict| dict.keys().map(String::as_str))
    }

    /// Every key that has a value, with the value and the place that set it, in order of path.
    pub fn settings(&self) -> Vec<Setting> {
        let mut found = Vec::new();
        self.collect(&KeyPath::default(), &self.tree, &mut found);
        found
    }

    /// One key with its value and the place that set it; `None` if it has no value.
    pub fn setting(&self, path: &KeyPath) -> Option<Setting> {
        let mut found = Vec::new();
        Key::at(path)?;
        self.collect(path, find(&self.tree, path)?, &mut found);
        found.pop()
    }

    fn collect(&self, path: &KeyPath, value: &Value, found: &mut Vec<Setting>) {
        if Key::at(path).is_none() {
            for (name, inner) in value.as_dict().into_iter().flatten() {
                self.collect(&path.child(name), inner, found);
            }
            return;
        }
        let layer = layer_of(&self.figment, value);
        let origin = match self.source.range(path, Part::Value) {
            Some(range) if layer == FILE => {
                let (file, line, _) = self.source.position(range.start);
                format!("{file}:{line}")
            }
            _ => layer.to_owned(),
        };
        found.push(Setting {
            path: path.clone(),
            value: toml(value),
            origin,
        });
    }

    fn nearest(&self, path: &KeyPath, part: Part) -> Option<std::ops::Range<usize>> {
        if self.source.contains(path) {
            return self.source.range(path, part);
        }
        let mut table = path.parent();
        while let Some(path) = table {
            if self.source.contains(&path) {
                return self.source.range(&path, Part::Key);
            }
            table = path.parent();
        }
        None
    }
}

fn find<'a>(tree: &'a Value, path: &KeyPath) -> Option<&'a Value> {
    path.names()
        .iter()
        .try_fold(tree, |value, name| value.as_dict()?.get(name))
}

fn toml(value: &Value) -> String {
    match value {
        Value::Array(_, items) => {
            format!(
                "[{}]",
                items.iter().map(toml).collect::<Vec<_>>().join(", ")
            )
        }
        Value::Bool(_, flag) => flag.to_string(),
        other => match (other.as_str(), other.to_i128()) {
            (Some(text), _) => format!("{text:?}"),
            (None, Some(number)) => number.to_string(),
            (None, None) => String::new(),
        },
    }
}
