//! The pages that are written from the declarations: `config/netbootd.toml`, and the tables of
//! `config/README.md`. `cargo run -p config --example reference` prints them; tests compare.

use std::fmt::Write;

use crate::diagnostic::Code;
use crate::key::{Initial, Key, Section};
use crate::keys::KEYS;
use crate::sections::SECTIONS;

const HEAD: &str = "\
# Every key of netbootd with its default. A line that starts with `#` and has no space after it is a
# key that is not set: take the `#` away (and that of its table) to set it.
# Only a table for a network card is needed: see lab.toml for a whole configuration in one line.
# `netbootd check FILE` says what is wrong with a file before anything is started.
";

/// The text of `config/netbootd.toml`.
pub fn default_file() -> String {
    let mut page = HEAD.to_owned();
    for section in SECTIONS {
        page.push('\n');
        prose(&mut page, section.prose);
        let mark = if section.path.contains('*') { "#" } else { "" };
        if !section.path.is_empty() {
            page.push_str(&format!("{mark}[{}]\n", section.example));
        }
        for key in keys_of(section) {
            prose(&mut page, key.prose);
            let name = name_in(section, key);
            match key.initial {
                Initial::Value(toml) => page.push_str(&format!("{mark}{name} = {toml}\n")),
                Initial::Unset(line) if name.ends_with(".*") => {
                    page.push_str(&format!("#{}{line}\n", name.trim_end_matches('*')));
                }
                Initial::Unset(toml) => page.push_str(&format!("#{name} = {toml}\n")),
            }
        }
    }
    page
}

/// The tables of `config/README.md`: one for each table of the file.
pub fn key_tables() -> String {
    let mut page = String::new();
    for section in SECTIONS {
        let title = match section.path {
            "" => "Top of the file".to_owned(),
            _ => format!("`[{}]`", section.example),
        };
        let _ = write!(page, "### {title}\n\n{}\n\n", section.prose);
        page.push_str("| key | default | meaning |\n|---|---|---|\n");
        for key in keys_of(section) {
            let default = match key.initial {
                Initial::Value(toml) => format!("`{toml}`"),
                Initial::Unset(_) => "unset".to_owned(),
            };
            let _ = writeln!(
                page,
                "| `{}` | {default} | {} |",
                name_in(section, key),
                key.prose
            );
        }
        page.push('\n');
    }
    page.trim_end().to_owned() + "\n"
}

/// The table of codes of `config/README.md`.
pub fn code_table() -> String {
    let mut page = "| code | meaning |\n|---|---|\n".to_owned();
    for (code, meaning) in Code::ALL {
        let _ = writeln!(page, "| {code} | {} |", meaning.trim());
    }
    page
}

fn keys_of(section: &'static Section) -> impl Iterator<Item = &'static Key> {
    let belongs = |key: &&Key| match section.path {
        "" => !key.path.contains('.'),
        // `dns.hosts.*` stands in [dns].
        table => key
            .path
            .strip_prefix(table)
            .is_some_and(|rest| rest.starts_with('.')),
    };
    KEYS.iter().filter(belongs)
}

fn name_in(section: &Section, key: &Key) -> &'static str {
    key.path
        .strip_prefix(section.path)
        .unwrap_or(key.path)
        .trim_start_matches('.')
}

/// A comment, wrapped at 100 columns.
fn prose(page: &mut String, text: &str) {
    let mut line = String::from("#");
    for word in text.split_whitespace() {
        if line.len() + 1 + word.len() > 100 {
            page.push_str(&line);
            page.push('\n');
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    page.push_str(&line);
    page.push('\n');
}
