//! The initrd of an image: our `init`, the kernel modules that it needs to reach the root file
//! system, and the firmware that those modules ask for. Nothing else, and no program of the image.
//!
//! ```text
//! /init                          the static program
//! /lib/modules/<version>/        modules unpacked, modules.{dep,alias,softdep,builtin}
//! /lib/firmware/                 what the modules name and the image has, unpacked
//! /dev/console                   so that init can speak before it mounts devtmpfs
//! /proc /sys /dev /run /newroot /tmp
//! ```
//!
//! The file is two archives, one behind the other: first what every client needs, then the drivers
//! of all network cards. The same drivers lie apart in a second file, an archive for each, with an
//! index by PCI numbers: a client whose card is known gets the first archive and the few of these
//! that its card takes, a quarter of the bytes and an eighth of the files to unpack.
//!
//! The same image, kernel and `init` give the same bytes.

mod cards;
mod drivers;
mod firmware;
mod packing;
mod parts;
mod program;
mod report;
mod write;

pub use cards::{DriverIndex, DriverPart};
pub use drivers::Drivers;
pub use packing::Packing;
#[cfg(test)]
pub(crate) use program::static_program;
pub use program::{InitError, find_init};
pub use report::{Part, Report};

use std::io;
use std::path::Path;

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::hex;
use crate::kernel::{Kernel, Setting};
use crate::modules::{self, Closure, Modules};
use crate::tree::Tree;

/// Why an initrd could not be made.
#[derive(Debug, Error)]
pub enum InitrdError {
    /// The modules of the kernel cannot be used.
    #[error(transparent)]
    Modules(#[from] modules::Error),
    /// The program that is to be `/init` cannot be used.
    #[error(transparent)]
    Init(#[from] InitError),
    /// A driver that was asked for does not exist.
    #[error(
        "the kernel {version} has no driver {driver}; its modules are in lib/modules/{version}/kernel/drivers/net"
    )]
    NoDriver {
        /// The kernel.
        version: String,
        /// As it was asked for.
        driver: String,
    },
    /// The kernel lacks what every client needs.
    #[error("the kernel {version} cannot boot from the network: {why}")]
    Unfit {
        /// The kernel.
        version: String,
        /// What it lacks.
        why: String,
    },
    /// A firmware file of the source could not be read: its path there.
    #[error("cannot read {0}: {1}")]
    Firmware(String, #[source] io::Error),
    /// The initrd could not be written.
    #[error("cannot write the initrd: {0}")]
    Write(#[from] io::Error),
}

/// What goes into an initrd, decided but not yet written.
pub struct Plan<'a> {
    modules: Option<Modules<'a>>,
    version: String,
    system: Closure,
    network: Closure,
    firmware: firmware::Firmware<'a>,
    init: Vec<u8>,
    packing: Packing,
    notes: Vec<String>,
    /// Why the clients cannot check what they read of the root; none: they can.
    unchecked: Option<String>,
}

impl<'a> Plan<'a> {
    /// Decides what the initrd for `kernel` of the source `tree` holds. `init` is the program; with `verity` the
    /// clients are to check what they read of the root.
    pub fn new(
        tree: &'a dyn Tree,
        kernel: &Kernel,
        init: &Path,
        drivers: &Drivers,
        verity: bool,
    ) -> Result<Self, InitrdError> {
        let init = program::read(init, kernel.format)?;
        let mut plan = Self {
            modules: None,
            version: kernel.version.clone(),
            system: Closure::default(),
            network: Closure::default(),
            firmware: firmware::Firmware::new(tree, &kernel.version),
            init,
            packing: Packing::for_kernel(&kernel.config),
            notes: Vec::new(),
            unchecked: None,
        };
        if kernel.config.setting("BLK_DEV_INITRD") == Setting::Off {
            return Err(plan.unfit("it was built without BLK_DEV_INITRD"));
        }
        let Some(folder) = &kernel.modules else {
            // kernel::find saw that everything else is built in
            if kernel.config.setting("DM_VERITY") != Setting::BuiltIn {
                plan.unchecked = Some(NO_VERITY.to_owned());
            }
            return Ok(plan);
        };
        let modules = Modules::open(tree, folder)?;
        plan.add_system(&modules)?;
        if verity {
            plan.add_verity(&modules, kernel)?;
        }
        let chosen = drivers::choose(&modules, drivers, &kernel.version, |driver| {
            plan.firmware.has_any(driver)
        })?;
        plan.network = chosen.closure;
        plan.notes.extend(chosen.notes);
        for (name, modinfo) in plan.network.iter().chain(plan.system.iter()) {
            plan.firmware.add(name, modinfo)?;
        }
        plan.modules = Some(modules);
        Ok(plan)
    }

    /// What the person who builds the image should know, a sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Why the clients cannot check what they read of the root; `None`: they can, if that was asked for.
    pub fn unchecked(&self) -> Option<&str> {
        self.unchecked.as_deref()
    }

    /// How the initrd will be packed.
    pub fn packing(&self) -> Packing {
        self.packing
    }

    /// SHA-256 of the `init` program, in hexadecimal.
    pub fn init_sha256(&self) -> String {
        hex(&Sha256::digest(&self.init))
    }

    fn unfit(&self, why: &str) -> InitrdError {
        InitrdError::Unfit {
            version: self.version.clone(),
            why: why.to_owned(),
        }
    }

    /// File systems and what carries them, whatever the network card.
    fn add_system(&mut self, modules: &Modules<'_>) -> Result<(), InitrdError> {
        // zram is there for those who ask for it; without it changes are kept in plain memory.
        // So is efivarfs, where ssh host keys are kept in the firmware.
        let wanted = [
            "overlay",
            "nfsv3",
            "squashfs",
            "loop",
            "af_packet",
            "zram",
            "efivarfs",
        ];
        self.system = Closure::of(modules, wanted)?;
        let missing: Vec<&str> = self.system.unknown().collect();
        let lacks = |name: &str| missing.contains(&name);
        if lacks("overlay") {
            return Err(self.unfit("it has no overlay file system (OVERLAY_FS)"));
        }
        let (image, nfs) = (!lacks("squashfs") && !lacks("loop"), !lacks("nfsv3"));
        let notes = match (image, nfs) {
            (true, true) => return Ok(()),
            (true, false) => "the kernel has no NFS (NFS_V3): only root = \"ram\" will work",
            (false, true) => {
                "the kernel has no squashfs or no loop device: only root = \"tree\" will work"
            }
            (false, false) => return Err(self.unfit("it has neither NFS nor squashfs")),
        };
        self.notes.push(notes.to_owned());
        Ok(())
    }

    /// dm-verity, and the hash that it asks the kernel for by name: the processor's own one where it is a module.
    fn add_verity(&mut self, modules: &Modules<'_>, kernel: &Kernel) -> Result<(), InitrdError> {
        let lacks = |name: &str| self.system.unknown().any(|unknown| unknown == name);
        if lacks("squashfs") || lacks("loop") {
            self.unchecked = Some("it has no squashfs or no loop device".to_owned());
            return Ok(());
        }
        let verity = Closure::of(modules, ["dm_verity", "crypto-sha256"])?;
        let hash = kernel.config.setting("CRYPTO_SHA256");
        if verity.unknown().any(|unknown| unknown == "dm_verity") {
            self.unchecked = Some(NO_VERITY.to_owned());
        } else if hash == Setting::Off {
            self.unchecked = Some("it has no SHA-256 (CRYPTO_SHA256)".to_owned());
        } else {
            self.system.merge(verity);
        }
        Ok(())
    }
}

const NO_VERITY: &str = "it has no dm-verity (DM_VERITY)";

#[cfg(test)]
mod tests;
