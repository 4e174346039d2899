//! Rules about source files: unsafe code, the compute crates' clippy.toml, length, loose ends.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::arrows::Crate;
use crate::layers::LAYERS;
use crate::workspace;

/// The longest Rust file that we write, in lines.
const LONGEST_FILE: usize = 500;

/// What is never committed, spelled so that this file does not hold it either.
const LOOSE_ENDS: [&str; 4] = [
    concat!("to", "do!("),
    concat!("unimpl", "emented!("),
    concat!("#[ig", "nore"),
    concat!("dbg", "!("),
];

/// Every breach in the sources of these crates.
pub(crate) fn breaches(crates: &[Crate]) -> Result<Vec<String>> {
    let mut breaches = Vec::new();
    let model_clippy = workspace::root().join("crates/model/clippy.toml");
    let rules = read(&model_clippy)?;
    for each in crates {
        let Some(layer) = LAYERS.iter().find(|layer| layer.name == each.name) else {
            continue; // The arrows' breach already.
        };
        if !layer.may_be_unsafe {
            breaches.extend(roots_without_forbid(&each.folder)?);
        }
        if layer.compute {
            let clippy = each.folder.join("clippy.toml");
            if std::fs::read_to_string(&clippy).ok().as_deref() != Some(rules.as_str()) {
                breaches.push(format!(
                    "{} differs from {}: a compute crate's walls are all the same",
                    shown(&clippy),
                    shown(&model_clippy)
                ));
            }
        }
        for file in rust_files(&each.folder)? {
            breaches.extend(file_breaches(&file, &read(&file)?));
        }
    }
    Ok(breaches)
}

/// The roots of the crate (`lib.rs`, `main.rs`) that do not forbid unsafe code.
fn roots_without_forbid(folder: &Path) -> Result<Vec<String>> {
    let mut breaches = Vec::new();
    for root in ["src/lib.rs", "src/main.rs"] {
        let root = folder.join(root);
        if root.exists() && !read(&root)?.contains("#![forbid(unsafe_code)]") {
            breaches.push(format!("{} lacks #![forbid(unsafe_code)]", shown(&root)));
        }
    }
    Ok(breaches)
}

fn file_breaches(file: &Path, text: &str) -> Vec<String> {
    let mut breaches = Vec::new();
    let lines = text.lines().count();
    if lines > LONGEST_FILE {
        breaches.push(format!(
            "{} has {lines} lines; a file holds one noun, in at most {LONGEST_FILE}",
            shown(file)
        ));
    }
    for (number, line) in text.lines().enumerate() {
        for loose_end in LOOSE_ENDS {
            if line.contains(loose_end) {
                breaches.push(format!(
                    "{}:{}: {loose_end} is a loose end",
                    shown(file),
                    number + 1
                ));
            }
        }
    }
    breaches
}

/// Every `.rs` file below the folder.
fn rust_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder)
            .with_context(|| format!("cannot read folder {}", folder.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn shown(path: &Path) -> String {
    path.strip_prefix(workspace::root())
        .unwrap_or(path)
        .display()
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loose_ends_are_found_with_their_line() {
        let text = format!("fn f() {{\n    {}\"later\")\n}}\n", LOOSE_ENDS[0]);
        let breaches = file_breaches(Path::new("a.rs"), &text);
        assert_eq!(breaches.len(), 1);
        assert!(breaches[0].starts_with("a.rs:2: "), "{breaches:?}");
    }

    #[test]
    fn a_file_that_grew_too_long_is_named() {
        let breaches = file_breaches(Path::new("a.rs"), &"\n".repeat(LONGEST_FILE + 1));
        assert_eq!(breaches.len(), 1);
        assert!(file_breaches(Path::new("a.rs"), &"\n".repeat(LONGEST_FILE)).is_empty());
    }
}
