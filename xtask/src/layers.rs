//! The table of allowed arrows between our crates, and of walls around crates that others wrote.
//!
//! ```text
//! netbootd ──► config, store, net, boot, image ──► dhcp tftp dns nfs squashfs ──► model
//! init ──► model, dhcp      sim ──► model, in tests dhcp      integration ──► none of ours
//! ```
//!
//! `cargo xtask tidy` holds `cargo metadata` against it. A new arrow is a change of the design: it
//! wants a reason in the commit and a second reader.

/// What one crate of ours may be.
pub(crate) struct Layer {
    /// The crate.
    pub(crate) name: &'static str,
    /// Crates of ours that it may import, in tests too.
    pub(crate) may_import: &'static [&'static str],
    /// Whether it only computes: no sockets, files, clocks, threads. Its `clippy.toml` holds it.
    pub(crate) compute: bool,
    /// Whether it may contain `unsafe`.
    pub(crate) may_be_unsafe: bool,
}

const fn layer(name: &'static str, may_import: &'static [&'static str]) -> Layer {
    Layer {
        name,
        may_import,
        compute: false,
        may_be_unsafe: false,
    }
}

const fn compute(name: &'static str, may_import: &'static [&'static str]) -> Layer {
    Layer {
        compute: true,
        ..layer(name, may_import)
    }
}

const fn with_unsafe(layer: Layer) -> Layer {
    Layer {
        may_be_unsafe: true,
        ..layer
    }
}

/// The crate that all tests may import, and nothing else may.
pub(crate) const FUZZ: &str = "fuzz";

/// Every crate of ours, lowest layer first.
pub(crate) const LAYERS: &[Layer] = &[
    layer(FUZZ, &[]),
    compute("model", &[]),
    compute("dhcp", &["model"]),
    compute("tftp", &["model"]),
    compute("dns", &["model"]),
    compute("nfs", &["model"]),
    compute("squashfs", &["model"]),
    compute("boot", &["model"]),
    // Its tests judge the server by the clients' rules; the rules themselves know no server.
    compute("sim", &["model", "dhcp"]),
    layer("image", &["model", "squashfs"]),
    layer("store", &["model"]),
    layer("config", &["model"]),
    with_unsafe(layer("net", &["model"])),
    with_unsafe(layer("init", &["model", "dhcp"])),
    layer(
        "netbootd",
        &[
            "model", "dhcp", "tftp", "dns", "nfs", "squashfs", "boot", "image", "net", "store",
            "config", "sim",
        ],
    ),
    layer("integration", &[]),
    // The lab that `boot` and `demo` show people is the one that the tests run in.
    layer("xtask", &["integration"]),
];

/// A crate that others wrote, and which of ours may name it.
pub(crate) struct Wall {
    /// The crate behind the wall.
    pub(crate) name: &'static str,
    /// Who may import it.
    pub(crate) open_to: &'static [&'static str],
}

const fn wall(name: &'static str, open_to: &'static [&'static str]) -> Wall {
    Wall { name, open_to }
}

/// What stands behind a wall: runtimes, sockets, engines, file formats that have one reader.
pub(crate) const WALLS: &[Wall] = &[
    wall("tokio", &["net", "netbootd", "sim"]),
    wall("socket2", &["net", "netbootd"]),
    wall(
        "rustix",
        &[
            "net",
            "init",
            "image",
            "store",
            "netbootd",
            "integration",
            "xtask",
        ],
    ),
    wall("dhcproto", &["dhcp"]),
    wall("hickory-proto", &["dns", "netbootd"]),
    wall("hickory-server", &["netbootd"]),
    wall("hickory-resolver", &["netbootd"]),
    wall("figment", &["config"]),
    wall("clap", &["netbootd", "xtask"]),
    wall("anyhow", &["netbootd", "integration", "xtask"]),
    wall("hyper", &["netbootd"]),
];
