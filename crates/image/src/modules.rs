//! Kernel modules: which there are in a tree, what each needs, and the closure of a wanted set.
//!
//! What a module needs is read from the module itself (`.modinfo`), never from `modules.dep`: an
//! image whose packages were only unpacked has no such file, and one that is there can be stale.
//! The tables that `init` reads are then written for the modules that were chosen, in the format
//! of depmod(8).

mod closure;
mod compression;
mod error;
mod modinfo;
mod tables;

pub use closure::Closure;
pub use compression::decompress;
pub use error::Error;
pub use modinfo::{Modinfo, When};
pub use tables::Tables;
pub(crate) use tables::installed_path;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use crate::kernel::matches;
use crate::tree::{Kind, Tree};

/// No module, packed or not, is longer than this.
const MODULE_MAX: u64 = 256 << 20;
/// Nor are the tables beside them.
const TABLE_MAX: u64 = 64 << 20;
/// Folders below the modules' folder are not deeper than this.
const DEPTH_MAX: usize = 16;

/// The modules of one kernel in a tree.
///
/// A module's name is the file's without its ending, `-` replaced by `_`, as the kernel has it.
pub struct Modules<'a> {
    tree: &'a dyn Tree,
    /// `lib/modules/<version>`.
    folder: String,
    /// Name to path below `folder`.
    files: BTreeMap<String, String>,
    /// Names of modules that are part of the kernel.
    builtin: BTreeMap<String, String>,
    /// Aliases that are plain names (`crypto-crc32c`, `fs-nfs`), and which modules have them.
    aliases: Aliases,
    /// What modules said about themselves, so that none is unpacked twice for it.
    known: Mutex<HashMap<String, Arc<Modinfo>>>,
}

type Aliases = HashMap<String, Vec<String>>;

impl<'a> Modules<'a> {
    /// Lists the modules in `folder` (`lib/modules/<version>`), reading none of them yet unless
    /// there is no `modules.alias`.
    pub fn open(tree: &'a dyn Tree, folder: &str) -> Result<Self, Error> {
        let mut modules = Self {
            tree,
            folder: folder.to_owned(),
            files: BTreeMap::new(),
            builtin: BTreeMap::new(),
            aliases: HashMap::new(),
            known: Mutex::new(HashMap::new()),
        };
        // As depmod's default order: what was added later and by hand comes first.
        for below in ["updates", "extra", "weak-updates", "kernel"] {
            modules.list(below, 0)?;
        }
        if let Some(text) = modules.table("modules.builtin")? {
            for path in text.lines().filter(|line| !line.is_empty()) {
                modules.builtin.insert(name_of(path), path.to_owned());
            }
        }
        modules.aliases = modules.read_aliases()?;
        Ok(modules)
    }

    /// Names of all modules that are files, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// The file of a module, relative to the folder of modules.
    pub fn path(&self, name: &str) -> Option<&str> {
        self.files.get(name).map(String::as_str)
    }

    /// Whether the module is part of the kernel, so that there is nothing to load.
    pub fn is_builtin(&self, name: &str) -> bool {
        self.builtin.contains_key(&underscored(name))
    }

    /// Paths of the modules that are part of the kernel, the lines of `modules.builtin`.
    pub fn builtin(&self) -> impl Iterator<Item = &str> {
        self.builtin.values().map(String::as_str)
    }

    /// Modules that are part of the kernel and below these folders, each with an alias of its own.
    pub fn builtin_aliases(&self, patterns: &[&str]) -> Result<Vec<(String, String)>, Error> {
        // `NAME.KEY=VALUE`, a zero behind each. Kernels before 5.2 have no such table.
        let text = self.table("modules.builtin.modinfo")?.unwrap_or_default();
        let wanted = |name: &str| {
            let path = self.builtin.get(name);
            path.is_some_and(|path| patterns.iter().any(|pattern| matches(pattern, path)))
        };
        Ok(text
            .split('\0')
            .filter_map(|word| word.split_once(".alias="))
            .map(|(name, alias)| (underscored(name), alias.to_owned()))
            .filter(|(name, _)| wanted(name))
            .collect())
    }

    /// Names of the modules that a name or alias means; none when it means nothing here.
    pub fn named(&self, name_or_alias: &str) -> Vec<String> {
        let name = underscored(name_or_alias);
        if self.files.contains_key(&name) {
            return vec![name];
        }
        let found = self.aliases.get(name_or_alias);
        found
            .or_else(|| self.aliases.get(&name))
            .cloned()
            .unwrap_or_default()
    }

    /// The module's object file, unpacked.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, Error> {
        let path = self
            .path(name)
            .ok_or_else(|| Error::Missing(name.to_owned()))?;
        let path = format!("{}/{path}", self.folder);
        let bytes = self
            .tree
            .read(&path, MODULE_MAX)
            .map_err(|error| Error::Read(path.clone(), error))?;
        decompress(&path, bytes, MODULE_MAX).map_err(|error| Error::Read(path, error))
    }

    /// What the module says about itself.
    pub fn modinfo(&self, name: &str) -> Result<Arc<Modinfo>, Error> {
        let lock = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(name) {
            return Ok(Arc::clone(known));
        }
        let object = self.read(name)?;
        let modinfo = Modinfo::of_object(&object).ok_or_else(|| {
            let path = self.path(name).unwrap_or(name);
            Error::NotAModule(format!("{}/{path}", self.folder))
        })?;
        let modinfo = Arc::new(modinfo);
        lock().insert(name.to_owned(), Arc::clone(&modinfo));
        Ok(modinfo)
    }

    fn list(&mut self, below: &str, depth: usize) -> Result<(), Error> {
        let path = format!("{}/{below}", self.folder);
        let read = |error| Error::Read(path.clone(), error);
        for entry in self.tree.list_if_there(&path).map_err(read)? {
            let below = format!("{below}/{entry}");
            if is_module(&entry) {
                self.files.entry(name_of(&entry)).or_insert(below);
            } else if depth < DEPTH_MAX {
                let kind = self.tree.kind(&format!("{}/{below}", self.folder));
                if kind.map_err(read)? == Some(Kind::Folder) {
                    self.list(&below, depth + 1)?;
                }
            }
        }
        Ok(())
    }

    fn table(&self, name: &str) -> Result<Option<String>, Error> {
        let path = format!("{}/{name}", self.folder);
        self.tree
            .text_if_there(&path, TABLE_MAX)
            .map_err(|error| Error::Read(path, error))
    }

    fn read_aliases(&self) -> Result<Aliases, Error> {
        let mut aliases = Aliases::new();
        let mut add = |alias: &str, module: &str| {
            // Patterns name hardware, which no module names as what it needs.
            if !alias.contains(['*', '[', '?']) {
                let modules = aliases.entry(alias.to_owned()).or_default();
                if !modules.iter().any(|known| known == module) {
                    modules.push(module.to_owned());
                }
            }
        };
        match self.table("modules.alias")? {
            Some(text) if text.lines().any(|line| line.starts_with("alias ")) => {
                for line in text.lines() {
                    let mut words = line.split_ascii_whitespace();
                    if let (Some("alias"), Some(alias), Some(module)) =
                        (words.next(), words.next(), words.next())
                    {
                        add(alias, &underscored(module));
                    }
                }
            }
            _ => {
                for name in self.files.keys() {
                    // A broken module that nobody wants is no reason to stop.
                    if let Ok(modinfo) = self.modinfo(name) {
                        modinfo.aliases().for_each(|alias| add(alias, name));
                    }
                }
            }
        }
        Ok(aliases)
    }

    /// Modules whose path matches one of `patterns` (`kernel/drivers/net/ethernet/*`), sorted.
    pub fn below<'p>(&'p self, patterns: &'p [&'p str]) -> impl Iterator<Item = &'p str> {
        self.files.iter().filter_map(|(name, path)| {
            let wanted = patterns.iter().any(|pattern| matches(pattern, path));
            wanted.then_some(name.as_str())
        })
    }
}

fn is_module(file: &str) -> bool {
    [".ko", ".ko.xz", ".ko.zst", ".ko.gz"]
        .iter()
        .any(|ending| file.ends_with(ending))
}

/// `kernel/crypto/crc32c-generic.ko.xz` is the module `crc32c_generic`.
fn name_of(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    let name = file.split_once(".ko").map_or(file, |(name, _)| name);
    underscored(name)
}

fn underscored(name: &str) -> String {
    name.replace('-', "_")
}

#[cfg(test)]
pub(crate) mod tests {
    pub(crate) use super::modinfo::object;
    use super::*;
    use crate::tree::Directory;

    /// A folder of modules made of `.modinfo` lines.
    pub(crate) struct Source(pub(crate) tempfile::TempDir);

    impl Source {
        pub(crate) fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        pub(crate) fn put(self, path: &str, content: &[u8]) -> Self {
            let path = self.0.path().join("lib/modules/6.1").join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
            self
        }

        pub(crate) fn module(self, path: &str, modinfo: &[&str]) -> Self {
            self.put(path, &object(modinfo))
        }

        pub(crate) fn tree(&self) -> Directory {
            Directory::open(self.0.path()).unwrap()
        }
    }

    #[test]
    fn packed_modules_are_unpacked_and_named_as_the_kernel_does() {
        let plain = object(&["license=GPL", "depends=a"]);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut gzip, &plain).unwrap();
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
        std::io::Write::write_all(&mut xz, &plain).unwrap();
        let source = Source::new()
            .put("kernel/a/plain-one.ko", &plain)
            .put("kernel/b/gz.ko.gz", &gzip.finish().unwrap())
            .put("kernel/c/xz.ko.xz", &xz.finish().unwrap())
            .put(
                "kernel/d/zst.ko.zst",
                &zstd::encode_all(&plain[..], 1).unwrap(),
            );
        let tree = source.tree();
        let modules = Modules::open(&tree, "lib/modules/6.1").unwrap();
        let names: Vec<_> = modules.names().collect();
        assert_eq!(names, ["gz", "plain_one", "xz", "zst"]);
        for name in names {
            assert_eq!(modules.read(name).unwrap(), plain, "{name}");
        }
    }

    #[test]
    fn a_module_put_in_by_hand_replaces_the_kernels_own() {
        let source = Source::new()
            .module("kernel/drivers/net/r8169.ko", &[])
            .module("updates/dkms/r8169.ko", &[]);
        let tree = source.tree();
        let modules = Modules::open(&tree, "lib/modules/6.1").unwrap();
        assert_eq!(modules.path("r8169"), Some("updates/dkms/r8169.ko"));
    }

    #[test]
    fn aliases_come_from_the_table_or_else_from_the_modules() {
        let source = Source::new().module("kernel/crc32c.ko", &["alias=crypto-crc32c"]);
        let tree = source.tree();
        let read = Modules::open(&tree, "lib/modules/6.1").unwrap();
        assert_eq!(read.named("crypto-crc32c"), ["crc32c"]);
        let source = source.put("modules.alias", b"# x\nalias crypto-crc32c other-one\n");
        let modules = Modules::open(&tree, "lib/modules/6.1").unwrap();
        assert_eq!(modules.named("crypto-crc32c"), ["other_one"]);
        drop(source);
    }

    #[test]
    fn a_file_that_is_no_module_is_named_in_the_error() {
        let source = Source::new().put("kernel/bad.ko", b"\x7fELF and nothing more");
        let tree = source.tree();
        let modules = Modules::open(&tree, "lib/modules/6.1").unwrap();
        let error = modules.modinfo("bad").unwrap_err().to_string();
        assert!(error.contains("lib/modules/6.1/kernel/bad.ko"), "{error}");
    }
}
