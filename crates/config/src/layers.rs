//! The layers, lowest first: built-in defaults, file, environment, command line.

use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};

use crate::diagnostic::{Code, Diagnostic, Fault};
use crate::key::{Initial, Key, Kind};
use crate::keys::KEYS;
use crate::path::KeyPath;
use crate::source::plain;

/// What the file's layer is called inside of figment.
pub(crate) const FILE: &str = "file";
/// What the layer of defaults is called.
pub(crate) const DEFAULT: &str = "default";

/// Prefix of the environment variables that are ours.
pub(crate) const PREFIX: &str = "NETBOOTD_";

struct Layer {
    name: String,
    values: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Map::from([(Profile::Default, self.values.clone())]))
    }
}

/// Stacks the layers. Settings whose name makes no sense become diagnostics.
pub(crate) fn stack(
    file: Dict,
    env: &[(String, String)],
    overrides: &[(String, String)],
    problems: &mut Vec<Diagnostic>,
) -> (Figment, Value) {
    let mut figment = Figment::new().merge(Layer {
        name: FILE.to_owned(),
        values: file,
    });
    for (variable, text) in env {
        let Some(name) = variable.strip_prefix(PREFIX) else {
            continue;
        };
        let name = name.to_ascii_lowercase().replace("__", ".");
        figment = setting(
            figment,
            format!("environment variable {variable}"),
            &name,
            text,
            problems,
        );
    }
    for (name, text) in overrides {
        figment = setting(
            figment,
            format!("command line {name}={text}"),
            name,
            text,
            problems,
        );
    }
    let defaults = defaults(&merged(&figment));
    let figment = figment.join(Layer {
        name: DEFAULT.to_owned(),
        values: defaults,
    });
    let tree = merged(&figment);
    (figment, tree)
}

fn setting(
    figment: Figment,
    layer: String,
    name: &str,
    text: &str,
    problems: &mut Vec<Diagnostic>,
) -> Figment {
    let Some(path) = KeyPath::parse(name) else {
        problems.push(elsewhere(
            &layer,
            Fault::new(
                Code::UnknownKey,
                format!("`{name}` is not the name of a key"),
                "a setting outside of the file is named by its path, like log.level",
            ),
        ));
        return figment;
    };
    let mut values = Dict::new();
    insert(&mut values, &path, typed(&path, text));
    figment.merge(Layer {
        name: layer,
        values,
    })
}

/// A diagnostic about a value that is not in the file.
pub(crate) fn elsewhere(layer: &str, fault: Fault) -> Diagnostic {
    Diagnostic {
        code: fault.code,
        severity: fault.severity,
        file: if layer == FILE || layer == DEFAULT {
            String::new()
        } else {
            layer.to_owned()
        },
        line: 0,
        column: 0,
        source: String::new(),
        width: 0,
        what: fault.what,
        why: fault.why,
        suggestion: fault.help,
    }
}

/// Text from outside of the file as the type that its key wants; a list may be written with commas.
fn typed(path: &KeyPath, text: &str) -> Value {
    let toml = || {
        text.trim()
            .parse::<toml_edit::Value>()
            .ok()
            .map(|value| plain(&value))
    };
    match Key::at(path).map(|key| key.kind) {
        Some(Kind::Number | Kind::Flag) => toml().unwrap_or_else(|| Value::from(text)),
        Some(Kind::List) => match toml() {
            Some(array @ Value::Array(..)) => array,
            Some(Value::String(_, one)) => Value::from(vec![one]),
            _ => {
                let items = text
                    .split(',')
                    .map(str::trim)
                    .filter(|item| !item.is_empty());
                Value::from(items.collect::<Vec<_>>())
            }
        },
        Some(Kind::Text | Kind::Word(_)) => match toml() {
            Some(quoted @ Value::String(..)) => quoted,
            _ => Value::from(text),
        },
        None => Value::from(text),
    }
}

/// The defaults: of the fixed keys, and of the keys of every named table that the layers hold.
fn defaults(tree: &Value) -> Dict {
    let mut values = Dict::new();
    for key in KEYS {
        let Initial::Value(toml) = key.initial else {
            continue;
        };
        let Ok(value) = toml.parse::<toml_edit::Value>() else {
            continue;
        };
        for path in paths(key.path, tree) {
            insert(&mut values, &path, plain(&value));
        }
    }
    values
}

/// The paths that a pattern stands for, given the names that the tree holds.
fn paths(pattern: &str, tree: &Value) -> Vec<KeyPath> {
    let mut found = vec![(KeyPath::default(), Some(tree))];
    for word in pattern.split('.') {
        found = found
            .into_iter()
            .flat_map(|(path, value)| {
                let dict = value.and_then(Value::as_dict);
                let names: Vec<String> = match (word, dict) {
                    ("*", Some(dict)) => dict.keys().cloned().collect(),
                    ("*", None) => Vec::new(),
                    _ => vec![word.to_owned()],
                };
                let step =
                    move |name: String| (path.child(&name), dict.and_then(|dict| dict.get(&name)));
                names.into_iter().map(step).collect::<Vec<_>>()
            })
            .collect();
    }
    found.into_iter().map(|(path, _)| path).collect()
}

fn insert(values: &mut Dict, path: &KeyPath, value: Value) {
    let nested = path.names().iter().rev().fold(value, |inner, name| {
        Value::from(Dict::from([(name.clone(), inner)]))
    });
    if let Value::Dict(_, new) = nested {
        merge(values, new);
    }
}

fn merge(into: &mut Dict, new: Dict) {
    for (name, value) in new {
        match (into.get_mut(&name), value) {
            (Some(Value::Dict(_, old)), Value::Dict(_, new)) => merge(old, new),
            (_, value) => {
                into.insert(name, value);
            }
        }
    }
}

fn merged(figment: &Figment) -> Value {
    // An empty path is the whole; our providers cannot fail, and an empty stack is an empty table.
    figment
        .find_value("")
        .unwrap_or_else(|_| Value::from(Dict::new()))
}
