//! The firmware files that modules name and the image has.

use std::collections::{BTreeMap, BTreeSet};

use super::InitrdError;
use crate::kernel::matches;
use crate::modules::{Modinfo, decompress};
use crate::tree::{Kind, Tree};

/// No firmware of a network card is longer, packed or not.
const FILE_MAX: u64 = 32 << 20;
/// Most that one driver's files may take. Those that name more also have them in flash.
const DRIVER_MAX: u64 = 8 << 20;

/// Firmware for an initrd.
pub(super) struct Firmware<'a> {
    tree: &'a dyn Tree,
    /// Where the kernel looks, in its order (Linux, `Documentation/driver-api/firmware`).
    folders: [String; 4],
    /// Name below `lib/firmware`, to the path in the tree.
    files: BTreeMap<String, String>,
    /// Module, to the names of its files.
    of_module: BTreeMap<String, BTreeSet<String>>,
    missing: BTreeSet<String>,
    missing_list: Vec<String>,
}

impl<'a> Firmware<'a> {
    pub(super) fn new(tree: &'a dyn Tree, version: &str) -> Self {
        Self {
            tree,
            folders: [
                format!("lib/firmware/updates/{version}"),
                "lib/firmware/updates".to_owned(),
                format!("lib/firmware/{version}"),
                "lib/firmware".to_owned(),
            ],
            files: BTreeMap::new(),
            of_module: BTreeMap::new(),
            missing: BTreeSet::new(),
            missing_list: Vec::new(),
        }
    }

    /// Whether the image has any file that the module names. One that cannot be looked up is not
    /// there; reading it will tell.
    pub(super) fn has_any(&self, modinfo: &Modinfo) -> bool {
        modinfo
            .firmware()
            .any(|name| self.find(name).is_ok_and(|found| !found.is_empty()))
    }

    /// Adds the files that the module names.
    pub(super) fn add(&mut self, module: &str, modinfo: &Modinfo) -> Result<(), InitrdError> {
        let mut total = 0;
        let mut named = 0;
        let mut found_any = false;
        for name in modinfo.firmware() {
            named += 1;
            for (name, path, size) in self.find(name)? {
                found_any = true;
                total += size;
                if total <= DRIVER_MAX {
                    let of_module = self.of_module.entry(module.to_owned()).or_default();
                    of_module.insert(name.clone());
                    self.files.insert(name, path);
                }
            }
        }
        if named > 0 && !found_any && self.missing.insert(module.to_owned()) {
            self.missing_list = self.missing.iter().cloned().collect();
        }
        Ok(())
    }

    /// Drivers that name firmware of which the image has none, sorted.
    pub(super) fn missing(&self) -> &[String] {
        &self.missing_list
    }

    /// The files that one module names, sorted by name, unpacked.
    pub(super) fn files_of(
        &self,
        module: &str,
    ) -> impl Iterator<Item = (&str, Result<Vec<u8>, InitrdError>)> {
        let names = self.of_module.get(module).into_iter().flatten();
        names.filter_map(|name| Some((name.as_str(), self.content(self.files.get(name)?))))
    }

    fn content(&self, path: &str) -> Result<Vec<u8>, InitrdError> {
        self.tree
            .read(path, FILE_MAX)
            .and_then(|bytes| decompress(path, bytes, FILE_MAX))
            .map_err(|error| InitrdError::Firmware(path.to_owned(), error))
    }

    /// Name, path and size of the files that a name from a module, perhaps with `*` in its last
    /// component, means.
    fn find(&self, name: &str) -> Result<Vec<(String, String, u64)>, InitrdError> {
        if name.split('/').any(|part| part.is_empty() || part == "..") {
            return Ok(Vec::new()); // no firmware is named so
        }
        for folder in &self.folders {
            let mut found = Vec::new();
            for name in self.expand(folder, name)? {
                for ending in ["", ".zst", ".xz"] {
                    let path = format!("{folder}/{name}{ending}");
                    let read = |error| InitrdError::Firmware(path.clone(), error);
                    if let Some(Kind::File(size)) = self.tree.kind(&path).map_err(read)? {
                        found.push((name, path, size));
                        break;
                    }
                }
            }
            if !found.is_empty() {
                return Ok(found);
            }
        }
        Ok(Vec::new())
    }

    fn expand(&self, folder: &str, name: &str) -> Result<Vec<String>, InitrdError> {
        let (parent, last) = match name.rsplit_once('/') {
            Some((parent, last)) => (format!("{parent}/"), last),
            None => (String::new(), name),
        };
        if !last.contains('*') {
            return Ok(vec![name.to_owned()]);
        }
        let path = format!("{folder}/{parent}");
        let names = self
            .tree
            .list_if_there(&path)
            .map_err(|error| InitrdError::Firmware(path, error))?;
        let plain = |name: &String| {
            let name = name.strip_suffix(".zst").or(name.strip_suffix(".xz"));
            name.map(str::to_owned)
        };
        Ok(names
            .iter()
            .map(|name| plain(name).unwrap_or_else(|| name.clone()))
            .filter(|name| matches(last, name))
            .map(|name| format!("{parent}{name}"))
            .collect())
    }
}
