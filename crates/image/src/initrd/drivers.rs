//! Which drivers of network cards go into an initrd.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::str::FromStr;

use super::InitrdError;
use super::parts::FOLLOWERS;
use crate::modules::{Closure, Error, Modinfo, Modules};

/// Which network cards the clients have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Drivers {
    /// Any: every driver of a wired network card that a machine can boot from.
    #[default]
    All,
    /// Those with these drivers (`e1000e`, `r8169`); a smaller initrd, which boots faster.
    List(Vec<String>),
}

impl FromStr for Drivers {
    type Err = Infallible;

    /// `all`, or names separated by commas.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        let names: Vec<String> = text
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect();
        Ok(match &names[..] {
            [] => Self::All,
            [all] if all == "all" => Self::All,
            _ => Self::List(names),
        })
    }
}

/// Where the kernel keeps drivers of wired network cards.
const WIRED: [&str; 5] = [
    "kernel/drivers/net/ethernet/*",
    "kernel/drivers/net/usb/*",
    "kernel/drivers/net/hyperv/*",
    "kernel/drivers/net/vmxnet3/*",
    "kernel/drivers/net/mdio/*",
];
/// What network cards of virtual machines, and those on USB, are connected to.
const BUSES: [&str; 8] = [
    "virtio_net",
    "virtio_pci",
    "virtio_mmio",
    "xen_netfront",
    "pci_hyperv",
    "xhci_pci",
    "ehci_pci",
    "uhci_hcd",
];
/// The chips between a network card and its socket; a card without its driver for them may get no
/// link or a slow one. `init` loads the one that it sees.
pub(super) const PHYS: [&str; 1] = ["kernel/drivers/net/phy/*"];

/// Modules in those folders that no machine boots from: mobile telephones and modems, cables
/// between two computers, switch chips, offload of storage.
const NOT_A_CARD: [&str; 22] = [
    "cdc_mbim",
    "cdc_phonet",
    "cdc_subset",
    "cnic",
    "cx82310_eth",
    "gl620a",
    "hso",
    "huawei_cdc_ncm",
    "ipheth",
    "kalmia",
    "lg_vl600",
    "mlxsw_core",
    "mlxsw_i2c",
    "mlxsw_minimal",
    "mlxsw_pci",
    "net1080",
    "plusb",
    "prestera",
    "prestera_pci",
    "qmi_wwan",
    "sierra_net",
    "zaurus",
];

/// Drivers whose cards do nothing until they are given firmware from a file. (Others have it in
/// flash, or do without.)
const NEEDS_FIRMWARE: [&str; 11] = [
    "acenic",
    "bna",
    "bnx2",
    "bnx2x",
    "kaweth",
    "liquidio",
    "liquidio_vf",
    "qed",
    "starfire",
    "tehuti",
    "typhoon",
];

/// The chosen modules and what to tell about the choice.
pub(super) struct Chosen {
    pub(super) closure: Closure,
    pub(super) notes: Vec<String>,
}

/// Chooses; `has_firmware` tells whether the image has any of the files that a driver names.
pub(super) fn choose(
    modules: &Modules<'_>,
    drivers: &Drivers,
    version: &str,
    mut has_firmware: impl FnMut(&Modinfo) -> bool,
) -> Result<Chosen, InitrdError> {
    let mut closure = Closure::default();
    let mut notes = Vec::new();
    match drivers {
        Drivers::List(names) => {
            for name in names {
                if modules.named(name).is_empty() && !modules.is_builtin(name) {
                    return Err(InitrdError::NoDriver {
                        version: version.to_owned(),
                        driver: name.clone(),
                    });
                }
                closure.add(modules, name)?;
            }
            add_what_carries(modules, &mut closure)?;
        }
        Drivers::All => {
            let mut useless = BTreeSet::new();
            for name in NEEDS_FIRMWARE {
                if modules.path(name).is_some() && !has_firmware(&*modules.modinfo(name)?) {
                    useless.insert(name);
                }
            }
            for name in wired(modules)? {
                let alone = match Closure::of(modules, [name]) {
                    Ok(closure) => closure,
                    // One driver of a hundred, perhaps from a half-removed package.
                    Err(error @ (Error::Unmet { .. } | Error::NotAModule(_))) => {
                        notes.push(format!("left out the driver {name}: {error}"));
                        continue;
                    }
                    Err(error) => return Err(error.into()),
                };
                let excluded =
                    |module: &str| NOT_A_CARD.contains(&module) || useless.contains(module);
                if !alone.iter().any(|(module, _)| excluded(module)) {
                    closure.merge(alone);
                }
            }
            if !useless.is_empty() {
                let useless: Vec<&str> = useless.into_iter().collect();
                notes.push(format!(
                    "left out drivers whose firmware the image does not have: {}",
                    useless.join(", ")
                ));
            }
            if closure.is_empty() && !BUSES.iter().any(|name| modules.is_builtin(name)) {
                notes.push(format!(
                    "the kernel {version} has no driver of a network card"
                ));
            }
            for name in BUSES.into_iter().chain(modules.below(&PHYS)) {
                closure.add(modules, name)?;
            }
        }
    }
    for (first, follower) in FOLLOWERS {
        if closure.contains(first) {
            closure.add(modules, follower)?;
        }
    }
    Ok(Chosen { closure, notes })
}

/// For a list of drivers: their chips and buses.
fn add_what_carries(modules: &Modules<'_>, closure: &mut Closure) -> Result<(), Error> {
    if closure.contains("libphy") {
        for name in modules.below(&PHYS) {
            closure.add(modules, name)?;
        }
    }
    for (user, buses) in [
        ("usbcore", &["xhci_pci", "ehci_pci", "uhci_hcd"][..]),
        ("virtio", &["virtio_pci", "virtio_mmio"]),
        ("hv_vmbus", &["pci_hyperv"]),
    ] {
        if closure.contains(user) {
            for bus in buses {
                closure.add(modules, bus)?;
            }
        }
    }
    Ok(())
}

/// The kernel's own drivers by where they lie, others by what they call.
fn wired<'m>(modules: &'m Modules<'_>) -> Result<Vec<&'m str>, Error> {
    // 16-bit PC cards end in _cs; no firmware boots from one.
    let mut names: Vec<&str> = modules
        .below(&WIRED)
        .filter(|name| !name.ends_with("_cs"))
        .collect();
    for name in modules.below(&["updates/*", "extra/*", "weak-updates/*"]) {
        let object = modules.read(name)?;
        let calls = |symbol: &[u8]| object.windows(symbol.len()).any(|bytes| bytes == symbol);
        if calls(b"\0alloc_etherdev_mqs\0") && !calls(b"\0wiphy_register\0") {
            names.push(name);
        }
    }
    Ok(names)
}
