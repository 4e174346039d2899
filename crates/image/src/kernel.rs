//! Finds the kernel that an image boots: the newest one that a loader can start and that has its
//! modules in the same tree.

mod config;
mod format;
mod version;

pub use config::{Config, Setting};
pub use format::Format;
#[cfg(test)]
pub(crate) use format::bz_image;

use std::cmp::Ordering;
use std::fmt;
use std::io;

use crate::tree::{Kind, Tree};

/// Where distributions put kernels, `*` within one component. Ours of LTSP's table, in no order:
/// the newest version wins wherever it lies.
pub const PLACES: [&str; 14] = [
    "boot/vmlinuz-*",            // Debian, Ubuntu, Fedora, openSUSE, Arch
    "usr/lib/modules/*/vmlinuz", // Arch, Fedora
    "lib/modules/*/vmlinuz",
    "boot/kernel-*", // Gentoo
    "boot/Image-*",  // openSUSE on ARM
    "boot/vmlinuz",
    "boot/Image",
    "vmlinuz",
    "live/vmlinuz*", // live media, unpacked
    "casper/vmlinuz*",
    "isolinux/vmlinuz*",
    "images/pxeboot/vmlinuz",
    "boot/x86_64/loader/linux",
    "install.amd/vmlinuz",
];

/// How much of a kernel tells what it is: the set-up part of a bzImage is at most 32 KiB.
const HEAD: usize = 64 * 1024;

/// A kernel in a tree, with what belongs to it.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// The file, relative to the tree's root, links resolved.
    pub path: String,
    /// What `uname -r` says when it runs; the name of its folder of modules.
    pub version: String,
    /// How a loader has to start it.
    pub format: Format,
    /// Its folder of modules, relative to the tree's root; `None` when it has none, which only a
    /// kernel with everything built in can do without.
    pub modules: Option<String>,
    /// What it was built with, when the tree says.
    pub config: Config,
}

/// Why no kernel was chosen.
#[derive(Debug)]
pub enum FindError {
    /// Nothing lies in any of [`PLACES`].
    None,
    /// The one that was asked for is not among those that are there (paths).
    NotThere {
        /// What was asked for.
        wanted: String,
        /// What there is.
        available: Vec<String>,
    },
    /// There are kernels, and none can be used: path and reason of each, newest first.
    Unusable(Vec<(String, String)>),
    /// A file of the tree could not be read.
    Read(String, io::Error),
}

impl fmt::Display for FindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => write!(
                f,
                "there is no kernel: looked for {}; install one (Debian: linux-image-amd64) or name it with --kernel",
                PLACES.join(", ")
            ),
            Self::NotThere { wanted, available } if available.is_empty() => {
                write!(f, "there is no kernel {wanted}, nor any other")
            }
            Self::NotThere { wanted, available } => write!(
                f,
                "there is no kernel {wanted}; there are {}",
                available.join(", ")
            ),
            Self::Unusable(reasons) => {
                f.write_str("no kernel can be used")?;
                reasons
                    .iter()
                    .try_for_each(|(path, reason)| write!(f, "; {path}: {reason}"))
            }
            Self::Read(path, error) => write!(f, "cannot read {path}: {error}"),
        }
    }
}

impl std::error::Error for FindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read(_, error) => Some(error),
            _ => None,
        }
    }
}

/// Finds the newest usable kernel, or the newest usable one among those that `wanted` names: a
/// version (`6.1.0-56-amd64`), a path in the tree (`boot/vmlinuz-6.1.0-56-amd64`), or either with
/// `*` in it.
pub fn find(tree: &dyn Tree, wanted: Option<&str>) -> Result<Kernel, FindError> {
    let all = candidates(tree, wanted)?;
    if all.is_empty() && wanted.is_none() {
        return Err(FindError::None);
    }
    let mut chosen: Vec<&Candidate> = match wanted {
        Some(wanted) => all.iter().filter(|c| c.is_named(wanted)).collect(),
        None => all.iter().collect(),
    };
    if chosen.is_empty() {
        return Err(FindError::NotThere {
            wanted: wanted.unwrap_or_default().to_owned(),
            available: all.into_iter().map(|c| c.path).collect(),
        });
    }
    chosen.sort_by(|a, b| a.order(b).reverse());

    let mut reasons = Vec::new();
    for candidate in chosen {
        match usable(tree, candidate) {
            Ok(kernel) => return Ok(kernel),
            Err(Refused::Reason(reason)) => reasons.push((candidate.path.clone(), reason)),
            Err(Refused::Read(path, error)) => return Err(FindError::Read(path, error)),
        }
    }
    Err(FindError::Unusable(reasons))
}

/// A file that is named like a kernel.
struct Candidate {
    path: String,
    /// What its name says, often all there is; empty when the name has none.
    version: String,
    format: Result<Format, String>,
}

impl Candidate {
    fn is_named(&self, wanted: &str) -> bool {
        let wanted = wanted.trim_start_matches('/');
        matches(wanted, &self.version) || matches(wanted, &self.path)
    }

    fn order(&self, other: &Self) -> Ordering {
        version::compare(&self.version, &other.version).then_with(|| other.path.cmp(&self.path))
    }
}

fn candidates(tree: &dyn Tree, wanted: Option<&str>) -> Result<Vec<Candidate>, FindError> {
    let mut all: Vec<Candidate> = Vec::new();
    let named = wanted.filter(|wanted| wanted.contains('/'));
    for place in PLACES.into_iter().chain(named) {
        for path in expand(tree, place.trim_start_matches('/'))? {
            let read = |error| FindError::Read(path.clone(), error);
            let path = tree.resolve(&path).map_err(read)?;
            let path = path.trim_start_matches('/').to_owned();
            if all.iter().any(|candidate| candidate.path == path) {
                continue;
            }
            let head = tree
                .head(&path, HEAD)
                .map_err(|error| FindError::Read(path.clone(), error))?;
            let version = format::version(&head).unwrap_or_else(|| version_in_path(&path));
            all.push(Candidate {
                format: Format::of(&head),
                path,
                version,
            });
        }
    }
    Ok(all)
}

/// The files that a path with `*` in at most one component means.
fn expand(tree: &dyn Tree, pattern: &str) -> Result<Vec<String>, FindError> {
    let read = |path: &str| {
        let path = path.to_owned();
        move |error| FindError::Read(path, error)
    };
    let mut paths = vec![String::new()];
    for component in pattern.split('/') {
        let mut next = Vec::new();
        for parent in paths {
            let join = |name: &str| match parent.as_str() {
                "" => name.to_owned(),
                parent => format!("{parent}/{name}"),
            };
            if component.contains('*') {
                let names = tree.list_if_there(&parent).map_err(read(&parent))?;
                next.extend(
                    names
                        .iter()
                        .filter(|name| matches(component, name))
                        .map(|name| join(name)),
                );
            } else {
                next.push(join(component));
            }
        }
        paths = next;
    }
    let mut files = Vec::new();
    for path in paths {
        if let Some(Kind::File(_)) = tree.kind(&path).map_err(read(&path))? {
            files.push(path);
        }
    }
    Ok(files)
}

enum Refused {
    Reason(String),
    Read(String, io::Error),
}

fn usable(tree: &dyn Tree, candidate: &Candidate) -> Result<Kernel, Refused> {
    let format = candidate.format.clone().map_err(Refused::Reason)?;
    let mut version = candidate.version.clone();
    if version.is_empty() {
        version = only_version_with_modules(tree)?.ok_or_else(|| {
            Refused::Reason("neither the file nor its name tells its version".into())
        })?;
    }
    let mut modules = None;
    for parent in ["usr/lib/modules", "lib/modules"] {
        let path = format!("{parent}/{version}");
        match tree.kind(&path) {
            Ok(Some(Kind::Folder)) if modules.is_none() => modules = Some(path),
            Ok(_) => {}
            Err(error) => return Err(Refused::Read(path, error)),
        }
    }
    let config = Config::find(tree, &version).map_err(|(path, e)| Refused::Read(path, e))?;
    let monolithic = ["NFS_V3", "OVERLAY_FS"]
        .iter()
        .all(|symbol| config.setting(symbol) == Setting::BuiltIn);
    if modules.is_none() && !monolithic {
        return Err(Refused::Reason(format!(
            "its modules are missing (lib/modules/{version})"
        )));
    }
    Ok(Kernel {
        path: candidate.path.clone(),
        version,
        format,
        modules,
        config,
    })
}

fn only_version_with_modules(tree: &dyn Tree) -> Result<Option<String>, Refused> {
    for parent in ["usr/lib/modules", "lib/modules"] {
        let names = tree
            .list_if_there(parent)
            .map_err(|error| Refused::Read(parent.into(), error))?;
        if let [version] = &names[..] {
            return Ok(Some(version.clone()));
        }
    }
    Ok(None)
}

/// `boot/vmlinuz-6.1.0-56-amd64` and `lib/modules/6.1.0-56-amd64/vmlinuz` say it in the path.
fn version_in_path(path: &str) -> String {
    let mut components = path.rsplit('/');
    let file = components.next().unwrap_or_default();
    let named = match file.split_once('-') {
        Some((_, version)) => version,
        None => components.next().unwrap_or_default(),
    };
    if named.starts_with(|first: char| first.is_ascii_digit()) {
        named.to_owned()
    } else {
        String::new()
    }
}

/// Whether `name` is `pattern`, where each `*` stands for anything.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut name) = name.strip_prefix(first) else {
        return false;
    };
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return name.ends_with(part);
        }
        match name.find(part) {
            Some(at) => name = &name[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Directory;

    struct Source(tempfile::TempDir);

    impl Source {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn put(self, path: &str, content: &[u8]) -> Self {
            let path = self.0.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
            self
        }

        /// A kernel as Debian lays it out.
        fn kernel(self, version: &str) -> Self {
            self.put(&format!("boot/vmlinuz-{version}"), &bz_image(version))
                .put(&format!("lib/modules/{version}/modules.order"), b"")
        }

        fn find(&self, wanted: Option<&str>) -> Result<Kernel, FindError> {
            find(&Directory::open(self.0.path()).unwrap(), wanted)
        }
    }

    #[test]
    fn the_newest_kernel_wins_and_names_its_modules() {
        let source = Source::new()
            .kernel("6.1.0-9-amd64")
            .kernel("6.1.0-10-amd64")
            .put("boot/config-6.1.0-10-amd64", b"CONFIG_RD_ZSTD=y\n");
        std::os::unix::fs::symlink(
            "boot/vmlinuz-6.1.0-9-amd64",
            source.0.path().join("vmlinuz"),
        )
        .unwrap();
        let kernel = source.find(None).unwrap();
        assert_eq!(kernel.path, "boot/vmlinuz-6.1.0-10-amd64");
        assert_eq!(kernel.version, "6.1.0-10-amd64");
        assert_eq!(kernel.modules.unwrap(), "lib/modules/6.1.0-10-amd64");
        assert_eq!(kernel.config.setting("RD_ZSTD"), Setting::BuiltIn);
    }

    #[test]
    fn a_kernel_without_its_modules_is_passed_over() {
        let source = Source::new()
            .kernel("6.1.0-9-amd64")
            .put("boot/vmlinuz-6.9", &bz_image("6.9"));
        assert_eq!(source.find(None).unwrap().version, "6.1.0-9-amd64");
        let error = source.find(Some("6.9")).unwrap_err().to_string();
        assert!(
            error.contains("its modules are missing (lib/modules/6.9)"),
            "{error}"
        );
    }

    #[test]
    fn a_kernel_is_named_by_version_path_or_pattern() {
        let source = Source::new().kernel("6.1.0-9-amd64").kernel("6.12-rt");
        for wanted in [
            "6.1.0-9-amd64",
            "/boot/vmlinuz-6.1.0-9-amd64",
            "6.1.*",
            "boot/*-9-*",
        ] {
            let kernel = source.find(Some(wanted)).unwrap();
            assert_eq!(kernel.version, "6.1.0-9-amd64", "{wanted}");
        }
        let error = source.find(Some("5.10")).unwrap_err().to_string();
        assert!(error.contains("there are boot/vmlinuz-"), "{error}");
    }

    #[test]
    fn the_kernels_own_word_counts_more_than_its_name() {
        let source = Source::new()
            .put("boot/vmlinuz-linux", &bz_image("6.12.4-arch1-1"))
            .put("usr/lib/modules/6.12.4-arch1-1/modules.order", b"");
        let kernel = source.find(None).unwrap();
        assert_eq!(kernel.modules.unwrap(), "usr/lib/modules/6.12.4-arch1-1");
    }

    #[test]
    fn an_empty_source_is_told_what_to_install() {
        let error = Source::new().find(None).unwrap_err().to_string();
        for word in ["boot/vmlinuz-*", "linux-image-amd64", "--kernel"] {
            assert!(error.contains(word), "{error}");
        }
        let source = Source::new().put("boot/vmlinuz-6.1", b"not a kernel at all");
        let error = source.find(None).unwrap_err().to_string();
        assert!(error.contains("boot/vmlinuz-6.1: not a kernel"), "{error}");
    }
}
