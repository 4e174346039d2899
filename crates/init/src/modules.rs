//! Kernel modules: which there are, what each needs first, and loading them.
//!
//! There is no modprobe in the initrd, so a module that the kernel would ask for by itself is
//! never found: whatever a boot needs is loaded from here by name or by device.

use std::collections::{HashMap, HashSet};
use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};

use crate::alias::Aliases;

/// `modules.dep`, `modules.softdep`, `modules.alias` and `modules.builtin` of one kernel.
#[derive(Debug, Default)]
pub(crate) struct Index {
    files: HashMap<String, (String, Vec<String>)>,
    soft: HashMap<String, (Vec<String>, Vec<String>)>,
    builtin: HashSet<String>,
    aliases: Aliases,
}

/// The name in `/sys/module` of a module's file: no folder, no `.ko…`, `_` for `-`.
pub(crate) fn name_of(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split('.').next().unwrap_or(file).replace('-', "_")
}

impl Index {
    /// From the texts of the four files.
    pub(crate) fn parse(dep: &str, softdep: &str, alias: &str, builtin: &str) -> Self {
        let mut index = Self {
            aliases: Aliases::parse(alias),
            builtin: builtin.lines().map(name_of).collect(),
            ..Self::default()
        };
        for line in dep.lines() {
            let Some((file, needs)) = line.split_once(':') else {
                continue;
            };
            let needs = needs.split_ascii_whitespace().map(name_of).collect();
            index.files.insert(name_of(file), (file.to_owned(), needs));
        }
        for line in softdep.lines() {
            let mut words = line.split_ascii_whitespace();
            let (Some("softdep"), Some(module)) = (words.next(), words.next()) else {
                continue;
            };
            let (before, after) = index.soft.entry(name_of(module)).or_default();
            let mut list = None;
            for word in words {
                match word {
                    "pre:" => list = Some(&mut *before),
                    "post:" => list = Some(&mut *after),
                    name => {
                        if let Some(list) = &mut list {
                            list.push(name.to_owned());
                        }
                    }
                }
            }
        }
        index
    }

    fn read(folder: &Path) -> Self {
        let text = |name| {
            fs::read(folder.join(name))
                .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
                .unwrap_or_default()
        };
        Self::parse(
            &text("modules.dep"),
            &text("modules.softdep"),
            &text("modules.alias"),
            &text("modules.builtin"),
        )
    }

    /// What to load for `name`, in order: everything it needs, itself, then what should follow.
    /// Hard needs that are missing are listed too, so that loading says so; soft ones are not.
    fn closure(&self, name: &str) -> Vec<String> {
        let mut order = Vec::new();
        self.visit(&name.replace('-', "_"), &mut HashSet::new(), &mut order);
        order
    }

    fn visit(&self, name: &str, seen: &mut HashSet<String>, order: &mut Vec<String>) {
        if !seen.insert(name.to_owned()) {
            return;
        }
        let soft = self.soft.get(name);
        for before in soft.map(|soft| soft.0.as_slice()).unwrap_or_default() {
            self.visit_soft(before, seen, order);
        }
        // modules.dep lists the nearest first; what is needed deepest must be loaded first.
        let needs = self.files.get(name).map(|file| file.1.as_slice());
        for need in needs.unwrap_or_default().iter().rev() {
            self.visit(need, seen, order);
        }
        order.push(name.to_owned());
        for after in soft.map(|soft| soft.1.as_slice()).unwrap_or_default() {
            self.visit_soft(after, seen, order);
        }
    }

    /// A soft dependency may be a module's name or an alias such as `crypto-crc32c`.
    fn visit_soft(&self, wanted: &str, seen: &mut HashSet<String>, order: &mut Vec<String>) {
        let name = wanted.replace('-', "_");
        if self.files.contains_key(&name) {
            self.visit(&name, seen, order);
            return;
        }
        for module in self.aliases.matching(wanted) {
            self.visit(&module.replace('-', "_"), seen, order);
        }
    }
}

/// Why a module is not there.
#[derive(Debug)]
pub(crate) enum LoadError {
    /// Neither in the initrd nor in the kernel.
    Absent(String),
    /// The initrd was made for a machine with another network card.
    LeftOut(String),
    /// The kernel refused the file.
    Refused(String, io::Error),
}

impl std::fmt::Display for LoadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Absent(name) => write!(
                f,
                "module {name} is neither in the initrd nor built into the kernel"
            ),
            Self::LeftOut(name) => write!(
                f,
                "module {name} is not in this initrd, which holds the drivers of one network card"
            ),
            Self::Refused(name, error) => {
                write!(f, "the kernel refused module {name}: {error}")
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Loading,
    Loaded,
    Failed,
}

/// Loads modules from `/lib/modules/<version>`, each once, from any thread.
pub(crate) struct Modules {
    folder: PathBuf,
    index: Index,
    parameters: HashMap<String, String>,
    blacklist: HashSet<String>,
    states: Mutex<HashMap<String, State>>,
    changed: Condvar,
}

impl Modules {
    /// The modules of the running kernel; `command_line` gives their parameters.
    pub(crate) fn of_running_kernel(command_line: &str) -> Self {
        let release = rustix::system::uname();
        let folder = Path::new("/lib/modules").join(release.release().to_string_lossy().as_ref());
        let (parameters, blacklist) = module_words(command_line);
        Self {
            index: Index::read(&folder),
            folder,
            parameters,
            blacklist,
            states: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Whether the initrd holds any module at all for this kernel.
    pub(crate) fn is_empty(&self) -> bool {
        self.index.files.is_empty()
    }

    /// Whether the server left drivers out, for it knew which network card this machine has.
    pub(crate) fn some_left_out(&self) -> bool {
        let mut files = self.index.files.values();
        files.any(|(file, _)| !self.folder.join(file).exists())
    }

    /// Where they are looked for.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Loads `name` and what it needs. Nothing happens when it is loaded or built in.
    pub(crate) fn load(&self, name: &str) -> Result<(), LoadError> {
        let wanted = name.replace('-', "_");
        let mut result = Ok(());
        for module in self.index.closure(&wanted) {
            // A failed dependency makes the module itself fail with the better message.
            if let Err(error) = self.load_one(&module)
                && (module == wanted || result.is_ok())
            {
                result = Err(error);
            }
        }
        match (&result, self.state(&wanted)) {
            (Err(_), Some(State::Loaded)) => Ok(()),
            _ => result,
        }
    }

    /// Loads every module that drives the device; returns their names. Refusals are not errors:
    /// several drivers may claim one device.
    pub(crate) fn load_for_device(&self, modalias: &str) -> Vec<String> {
        let names = self.index.aliases.matching(modalias.trim());
        names
            .into_iter()
            .filter(|name| !self.blacklist.contains(&name.replace('-', "_")))
            .filter(|name| self.load(name).is_ok())
            .map(str::to_owned)
            .collect()
    }

    fn state(&self, name: &str) -> Option<State> {
        let states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.get(name).copied()
    }

    fn load_one(&self, name: &str) -> Result<(), LoadError> {
        if self.index.builtin.contains(name) {
            return Ok(());
        }
        let Some((file, _)) = self.index.files.get(name) else {
            return Err(LoadError::Absent(name.to_owned()));
        };
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match states.get(name) {
                Some(State::Loaded) => return Ok(()),
                Some(State::Loading) => {
                    let woken = self.changed.wait(states);
                    states = woken.unwrap_or_else(PoisonError::into_inner);
                }
                Some(State::Failed) | None => break,
            }
        }
        states.insert(name.to_owned(), State::Loading);
        drop(states);
        let result = self.insert(file, self.parameters.get(name).map_or("", String::as_str));
        let state = if result.is_ok() {
            State::Loaded
        } else {
            State::Failed
        };
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.insert(name.to_owned(), state);
        self.changed.notify_all();
        result.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => LoadError::LeftOut(name.to_owned()),
            _ => LoadError::Refused(name.to_owned(), error),
        })
    }

    fn insert(&self, file: &str, parameters: &str) -> io::Result<()> {
        let module = File::open(self.folder.join(file))?;
        let parameters = CString::new(parameters).unwrap_or_default();
        match rustix::system::finit_module(&module, &parameters, 0) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// `<module>.<parameter>=<value>` words by module, and the names in `modprobe.blacklist=`.
///
/// For built-in code the kernel reads these words itself; for modules modprobe does, and here
/// that is us.
fn module_words(command_line: &str) -> (HashMap<String, String>, HashSet<String>) {
    let mut parameters: HashMap<String, String> = HashMap::new();
    let mut blacklist = HashSet::new();
    for word in command_line.split_ascii_whitespace() {
        if let Some(names) = word.strip_prefix("modprobe.blacklist=") {
            blacklist.extend(names.split(',').map(|name| name.replace('-', "_")));
            continue;
        }
        let key = word.split('=').next().unwrap_or(word);
        let Some((module, _)) = key.split_once('.') else {
            continue;
        };
        let entry = parameters.entry(module.replace('-', "_")).or_default();
        if !entry.is_empty() {
            entry.push(' ');
        }
        entry.push_str(&word[module.len() + 1..]);
    }
    (parameters, blacklist)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> Index {
        Index::parse(
            "kernel/fs/nfs/nfsv3.ko: kernel/fs/nfs/nfs.ko kernel/fs/lockd/lockd.ko kernel/net/sunrpc.ko\n\
             kernel/fs/nfs/nfs.ko: kernel/fs/lockd/lockd.ko kernel/net/sunrpc.ko\n\
             kernel/fs/lockd/lockd.ko: kernel/net/sunrpc.ko\n\
             kernel/net/sunrpc.ko:\n\
             kernel/net/r8169.ko: kernel/net/libphy.ko\nkernel/net/libphy.ko:\n\
             kernel/net/real-tek.ko: kernel/net/libphy.ko\n\
             kernel/crypto/crc32c_generic.ko:\n\
             kernel/a.ko: kernel/b.ko\nkernel/b.ko: kernel/a.ko\n",
            "softdep r8169 pre: real-tek crypto-crc32c absent post: sunrpc\n",
            "alias crypto-crc32c crc32c_generic\nalias pci:v1* r8169\n",
            "kernel/fs/squashfs/squashfs.ko\n",
        )
    }

    #[test]
    fn what_a_module_needs_comes_before_it() {
        assert_eq!(
            index().closure("nfsv3"),
            ["sunrpc", "lockd", "nfs", "nfsv3"]
        );
    }

    #[test]
    fn soft_dependencies_go_around_it_and_may_be_absent() {
        assert_eq!(
            index().closure("r8169"),
            ["libphy", "real_tek", "crc32c_generic", "r8169", "sunrpc"]
        );
    }

    #[test]
    fn a_circle_of_dependencies_ends() {
        assert_eq!(index().closure("a"), ["b", "a"]);
    }

    fn modules(line: &str) -> Modules {
        let (parameters, blacklist) = module_words(line);
        Modules {
            folder: PathBuf::from("/nonexistent"),
            index: index(),
            parameters,
            blacklist,
            states: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    #[test]
    fn built_in_is_loaded_and_absent_is_said() {
        assert!(modules("").load("squashfs").is_ok());
        let error = modules("").load("floppy").unwrap_err().to_string();
        assert!(error.contains("module floppy is neither"), "{error}");
    }

    #[test]
    fn a_driver_that_the_server_left_out_is_told_from_one_that_does_not_exist() {
        let folder = tempfile_folder();
        let mut modules = modules("");
        modules.folder.clone_from(&folder);
        let error = modules.load("libphy").unwrap_err().to_string();
        assert!(error.contains("one network card"), "{error}");
        assert!(modules.some_left_out());
        modules.index.files.retain(|name, _| name == "libphy");
        fs::create_dir_all(folder.join("kernel/net")).unwrap();
        fs::write(folder.join("kernel/net/libphy.ko"), "").unwrap();
        assert!(!modules.some_left_out());
        fs::remove_dir_all(folder).unwrap();
    }

    fn tempfile_folder() -> PathBuf {
        let name = format!("netbootd-init-modules-{}", std::process::id());
        std::env::temp_dir().join(name)
    }

    #[test]
    fn the_command_line_sets_parameters_and_bans_modules() {
        let (parameters, blacklist) = module_words(
            "quiet loop.max_part=9 loop.max_loop=2 snd-hda.enable modprobe.blacklist=r8169,a-b",
        );
        assert_eq!(parameters["loop"], "max_part=9 max_loop=2");
        assert_eq!(parameters["snd_hda"], "enable");
        assert!(blacklist.contains("a_b") && blacklist.contains("r8169"));
        let banned = modules("modprobe.blacklist=r8169");
        assert!(banned.load_for_device("pci:v1d2").is_empty());
    }
}
