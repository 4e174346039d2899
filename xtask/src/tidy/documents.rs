//! Rules about documents: every top-level folder explains itself, and the crate map is complete.

use std::path::Path;

use anyhow::{Context, Result};

use crate::workspace;

/// Every breach in the README files of the repository.
pub(crate) fn breaches() -> Result<Vec<String>> {
    let root = workspace::root();
    let mut breaches: Vec<String> = folders(root)?
        .iter()
        .filter(|folder| folder.as_str() != "target")
        .filter(|folder| !root.join(folder).join("README.md").exists())
        .map(|folder| format!("{folder}/ has no README.md"))
        .collect();
    let map = std::fs::read_to_string(root.join("crates/README.md")).unwrap_or_default();
    breaches.extend(missing_from_map(&map, &folders(&root.join("crates"))?));
    Ok(breaches)
}

/// The crates that the map in `crates/README.md` does not name as `` `name` ``.
fn missing_from_map(map: &str, crates: &[String]) -> Vec<String> {
    crates
        .iter()
        .filter(|name| !map.contains(&format!("`{name}`")))
        .map(|name| format!("crates/README.md does not name crate `{name}`"))
        .collect()
}

/// The names of the folders in this one, without hidden ones, sorted.
fn folders(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("cannot read folder {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() && !name.starts_with('.') {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_that_the_map_forgot_is_named() {
        let crates = ["dhcp".to_owned(), "novelty".to_owned()];
        let breaches = missing_from_map("| `dhcp` | decisions |", &crates);
        assert_eq!(breaches, ["crates/README.md does not name crate `novelty`"]);
    }
}
