//! Who imports whom, from `cargo metadata`, against the table in [`crate::layers`].

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::command::{cargo, output};
use crate::layers::{FUZZ, LAYERS, WALLS};

/// One crate of the workspace, as cargo sees it.
pub(crate) struct Crate {
    /// Its name.
    pub(crate) name: String,
    /// Its folder.
    pub(crate) folder: PathBuf,
    /// Everything that it depends on directly.
    pub(crate) imports: Vec<Import>,
}

/// One direct dependency.
pub(crate) struct Import {
    name: String,
    /// Whether only the crate's tests use it.
    for_tests: bool,
}

/// The crates of this workspace.
pub(crate) fn workspace_crates() -> Result<Vec<Crate>> {
    let text = output(&mut cargo([
        "metadata",
        "--format-version=1",
        "--no-deps",
        "--offline",
    ]))?;
    let metadata: Value = serde_json::from_str(&text).context("cargo metadata is not JSON")?;
    metadata["packages"]
        .as_array()
        .context("cargo metadata names no packages")?
        .iter()
        .map(read_crate)
        .collect()
}

fn read_crate(package: &Value) -> Result<Crate> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let manifest = text(&package["manifest_path"]).context("a package without a manifest")?;
    Ok(Crate {
        name: text(&package["name"]).context("a package without a name")?,
        folder: PathBuf::from(manifest)
            .parent()
            .context("a manifest without a folder")?
            .to_owned(),
        imports: package["dependencies"]
            .as_array()
            .context("a package without dependencies")?
            .iter()
            .filter_map(|dependency| {
                Some(Import {
                    name: text(&dependency["name"])?,
                    for_tests: dependency["kind"] == "dev",
                })
            })
            .collect(),
    })
}

/// Every arrow that the table does not allow, and every crate that the table does not know.
///
/// Arrows between ours count in tests too; the walls around others' crates do not hold tests back.
pub(crate) fn breaches(crates: &[Crate]) -> Vec<String> {
    let mut breaches = Vec::new();
    for each in crates {
        let Some(layer) = LAYERS.iter().find(|layer| layer.name == each.name) else {
            breaches.push(format!(
                "crate {} has no line in xtask/src/layers.rs",
                each.name
            ));
            continue;
        };
        for import in &each.imports {
            let Import { name, for_tests } = import;
            let import = name.as_str();
            let ours = LAYERS.iter().any(|layer| layer.name == import);
            // Whoever reads bytes of strangers may fuzz itself.
            let fuzzes = import == FUZZ && *for_tests;
            if ours && !fuzzes && !layer.may_import.contains(&import) {
                breaches.push(format!(
                    "{} imports {import}: that arrow is not in xtask/src/layers.rs",
                    each.name
                ));
            }
            if let Some(wall) = WALLS.iter().find(|wall| wall.name == import)
                && !for_tests
                && !wall.open_to.contains(&each.name.as_str())
            {
                breaches.push(format!(
                    "{} imports {import}, which only {} may (xtask/src/layers.rs)",
                    each.name,
                    wall.open_to.join(", ")
                ));
            }
        }
    }
    breaches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaches_of(name: &str, imports: &[&str]) -> Vec<String> {
        breaches_with(name, imports, false)
    }

    fn breaches_with(name: &str, imports: &[&str], for_tests: bool) -> Vec<String> {
        let import = |&name: &&str| Import {
            name: name.to_owned(),
            for_tests,
        };
        breaches(&[Crate {
            name: name.into(),
            folder: PathBuf::new(),
            imports: imports.iter().map(import).collect(),
        }])
    }

    #[test]
    fn arrows_point_down_only() {
        assert!(breaches_of("dhcp", &["model", "thiserror"]).is_empty());
        assert!(breaches_of("model", &["dhcp"])[0].contains("model imports dhcp"));
        assert!(breaches_of("nfs", &["squashfs"])[0].contains("nfs imports squashfs"));
        assert!(breaches_of("integration", &["image"])[0].contains("integration imports image"));
    }

    #[test]
    fn walls_name_who_may_pass() {
        assert!(breaches_of("dhcp", &["tokio"])[0].contains("only net, netbootd, sim may"));
    }

    #[test]
    fn tests_pass_walls_but_not_layers() {
        assert!(breaches_with("squashfs", &["rustix"], true).is_empty());
        assert_eq!(breaches_with("squashfs", &["nfs"], true).len(), 1);
    }

    #[test]
    fn a_new_crate_needs_a_line_in_the_table() {
        assert!(breaches_of("novelty", &[])[0].contains("has no line"));
    }
}
