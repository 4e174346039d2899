//! A set of modules with everything that they need.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Error, Modinfo, Modules};

/// Modules that can be loaded with nothing else at hand: every module that one of them is linked
/// to is among them or part of the kernel, and so is every soft dependency that the kernel has.
#[derive(Clone, Debug, Default)]
pub struct Closure {
    modules: BTreeMap<String, Arc<Modinfo>>,
    unknown: BTreeSet<String>,
}

impl Closure {
    /// `wanted` (names or aliases) and what they need.
    pub fn of<'w>(
        modules: &Modules<'_>,
        wanted: impl IntoIterator<Item = &'w str>,
    ) -> Result<Self, Error> {
        let mut closure = Self::default();
        for name in wanted {
            closure.add(modules, name)?;
        }
        Ok(closure)
    }

    /// Adds `wanted` (a name or an alias) and what it needs. What the kernel does not have goes
    /// to [`Closure::unknown`]; what is part of the kernel is met.
    pub fn add(&mut self, modules: &Modules<'_>, wanted: &str) -> Result<(), Error> {
        let mut waiting = modules.named(wanted);
        if waiting.is_empty() && !modules.is_builtin(wanted) {
            self.unknown.insert(wanted.to_owned());
        }
        while let Some(name) = waiting.pop() {
            if self.modules.contains_key(&name) {
                continue;
            }
            let modinfo = modules.modinfo(&name)?;
            for needs in modinfo.depends() {
                if modules.path(&needs).is_some() {
                    waiting.push(needs);
                } else if !modules.is_builtin(&needs) {
                    return Err(Error::Unmet {
                        module: name,
                        needs,
                    });
                }
            }
            for (_, soft) in modinfo.soft_depends() {
                waiting.extend(modules.named(&soft));
            }
            self.modules.insert(name, modinfo);
        }
        Ok(())
    }

    /// Whether the module is in it.
    pub fn contains(&self, name: &str) -> bool {
        self.modules.contains_key(name)
    }

    /// Names of the modules, sorted, with what each says about itself.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Modinfo)> {
        let modules = self.modules.iter();
        modules.map(|(name, modinfo)| (name.as_str(), modinfo.as_ref()))
    }

    /// How many modules there are.
    pub fn len(&self) -> usize {
        self.modules.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.modules.is_empty()
    }

    /// What was wanted and the kernel has neither as a module nor in itself.
    pub fn unknown(&self) -> impl Iterator<Item = &str> {
        self.unknown.iter().map(String::as_str)
    }

    /// Takes what another closure has that this one has not.
    pub fn merge(&mut self, other: Self) {
        self.modules.extend(other.modules);
        self.unknown.extend(other.unknown);
    }

    /// All that `name` is linked to, directly or not, in an order in which it can be loaded.
    pub fn dependencies(&self, name: &str) -> Vec<String> {
        let mut order = Vec::new();
        self.visit(name, &mut BTreeSet::new(), &mut order);
        order.pop();
        order
    }

    fn visit(&self, name: &str, seen: &mut BTreeSet<String>, order: &mut Vec<String>) {
        if !seen.insert(name.to_owned()) {
            return; // done, or a circle, which no kernel has
        }
        if let Some(modinfo) = self.modules.get(name) {
            for needs in modinfo.depends().filter(|needs| self.contains(needs)) {
                self.visit(&needs, seen, order);
            }
        }
        order.push(name.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Source;
    use super::*;

    fn closure(source: &Source, wanted: &[&str]) -> Result<Closure, Error> {
        let tree = source.tree();
        let modules = Modules::open(&tree, "lib/modules/6.1")?;
        Closure::of(&modules, wanted.iter().copied())
    }

    #[test]
    fn everything_that_a_module_needs_comes_along_in_order() {
        let source = Source::new()
            .module("kernel/nfsv3.ko", &["depends=nfs,sunrpc"])
            .module("kernel/nfs.ko", &["depends=lockd,sunrpc"])
            .module("kernel/lockd.ko", &["depends=sunrpc,built-in"])
            .module("kernel/sunrpc.ko", &["softdep=pre: crypto-crc32c"])
            .module("kernel/crc.ko", &["alias=crypto-crc32c"])
            .module("kernel/other.ko", &[])
            .put("modules.builtin", b"kernel/built-in.ko\n");
        let closure = closure(&source, &["nfsv3"]).unwrap();
        let names: Vec<_> = closure.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["crc", "lockd", "nfs", "nfsv3", "sunrpc"]);
        assert_eq!(closure.dependencies("nfsv3"), ["sunrpc", "lockd", "nfs"]);
    }

    #[test]
    fn what_the_kernel_has_not_is_told_and_what_is_built_in_is_met() {
        let source = Source::new().put("modules.builtin", b"kernel/net/af-packet.ko\n");
        let closure = closure(&source, &["af_packet", "squashfs"]).unwrap();
        assert_eq!(closure.unknown().collect::<Vec<_>>(), ["squashfs"]);
        assert!(closure.is_empty());
    }

    #[test]
    fn a_dependency_that_does_not_exist_is_an_error() {
        let source = Source::new().module("kernel/a.ko", &["depends=gone"]);
        let error = closure(&source, &["a"]).unwrap_err().to_string();
        assert!(error.contains("a needs gone"), "{error}");
    }

    #[test]
    fn a_circle_ends() {
        let source = Source::new()
            .module("kernel/a.ko", &["depends=b"])
            .module("kernel/b.ko", &["depends=a"]);
        let closure = closure(&source, &["a"]).unwrap();
        assert_eq!(closure.dependencies("a"), ["b"]);
    }
}
