//! The tables that a module loader reads, in the format of depmod(8), for a chosen set of modules.

use std::fmt::Write;

use super::{Closure, Modules};

/// `modules.dep`, `modules.alias`, `modules.softdep` and `modules.builtin` as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// `path: needed-last needed-first`: all that a module is linked to, directly or not; the one
    /// to be loaded first stands last. Paths are below the folder of modules, without compression.
    pub dep: String,
    /// `alias <pattern> <module>`.
    pub alias: String,
    /// `softdep <module> pre: … post: …`.
    pub softdep: String,
    /// One path for each module that is part of the kernel.
    pub builtin: String,
}

impl Tables {
    /// The tables for the modules in `closure`. `followers` are pairs of modules of which the
    /// second is to be loaded after the first, though neither says so.
    pub fn of(modules: &Modules<'_>, closure: &Closure, followers: &[(&str, &str)]) -> Self {
        let path = |name: &str| modules.path(name).map(installed_path).unwrap_or_default();
        let mut tables = Self::default();
        for (name, modinfo) in closure.iter() {
            tables.dep.push_str(&path(name));
            tables.dep.push(':');
            for needs in closure.dependencies(name).iter().rev() {
                tables.dep.push(' ');
                tables.dep.push_str(&path(needs));
            }
            tables.dep.push('\n');
            for alias in modinfo.aliases() {
                // Writing to a String cannot fail.
                let _ = writeln!(tables.alias, "alias {alias} {name}");
            }
            for soft in modinfo.softdeps() {
                let _ = writeln!(tables.softdep, "softdep {name} {soft}");
            }
        }
        let both = |(first, follower): &&(&str, &str)| {
            closure.contains(first) && closure.contains(follower)
        };
        for (first, follower) in followers.iter().filter(both) {
            let _ = writeln!(tables.softdep, "softdep {first} post: {follower}");
        }
        for path in modules.builtin() {
            let _ = writeln!(tables.builtin, "{path}");
        }
        tables
    }
}

/// Where a module lies in the initrd, below its folder of modules: as in the source, unpacked.
pub(crate) fn installed_path(path: &str) -> String {
    let end = path.rfind(".ko").map_or(path.len(), |at| at + 3);
    path[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::tests::Source;
    use super::*;

    #[test]
    fn the_tables_read_like_depmods() {
        let source = Source::new()
            .module(
                "kernel/net/r8169.ko",
                &["depends=libphy,mdio", "softdep=pre: realtek"],
            )
            .module("kernel/net/libphy.ko", &[])
            .module("kernel/net/mdio.ko", &["depends=libphy"])
            .module("kernel/net/realtek.ko", &["depends=libphy", "alias=mdio:1"])
            .put("modules.builtin", b"kernel/net/packet/af_packet.ko\n");
        let tree = source.tree();
        let modules = Modules::open(&tree, "lib/modules/6.1").unwrap();
        let closure = Closure::of(&modules, ["r8169"]).unwrap();
        let followers = [("libphy", "mdio"), ("mdio", "gone")];
        let tables = Tables::of(&modules, &closure, &followers);
        assert_eq!(
            tables.dep,
            "kernel/net/libphy.ko:\n\
             kernel/net/mdio.ko: kernel/net/libphy.ko\n\
             kernel/net/r8169.ko: kernel/net/mdio.ko kernel/net/libphy.ko\n\
             kernel/net/realtek.ko: kernel/net/libphy.ko\n"
        );
        assert_eq!(tables.alias, "alias mdio:1 realtek\n");
        assert_eq!(
            tables.softdep,
            "softdep r8169 pre: realtek\nsoftdep libphy post: mdio\n"
        );
        assert_eq!(tables.builtin, "kernel/net/packet/af_packet.ko\n");
    }

    #[test]
    fn a_packed_module_lies_unpacked_in_the_initrd() {
        for path in ["kernel/a.ko", "kernel/a.ko.xz", "kernel/a.ko.zst"] {
            assert_eq!(installed_path(path), "kernel/a.ko");
        }
    }
}
