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
//! The same image, kernel and `init` give the same bytes.

mod drivers;
mod firmware;
mod packing;
mod program;
mod report;

pub use drivers::Drivers;
pub use packing::Packing;
#[cfg(test)]
pub(crate) use program::static_program;
pub use program::{InitError, find_init};
pub use report::{Part, Report};

use std::io::{self, Write};
use std::path::Path;

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::cpio::{self, Device, Metadata};
use crate::hex;
use crate::kernel::{Kernel, Setting};
use crate::modules::{self, Closure, Modules, Tables};
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
}

impl<'a> Plan<'a> {
    /// Decides what the initrd for `kernel` of the source `tree` holds. `init` is the program.
    pub fn new(
        tree: &'a dyn Tree,
        kernel: &Kernel,
        init: &Path,
        drivers: &Drivers,
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
        };
        if kernel.config.setting("BLK_DEV_INITRD") == Setting::Off {
            return Err(plan.unfit("it was built without BLK_DEV_INITRD"));
        }
        let Some(folder) = &kernel.modules else {
            return Ok(plan); // kernel::find saw that everything is built in
        };
        let modules = Modules::open(tree, folder)?;
        plan.add_system(&modules)?;
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

    /// How the initrd will be packed.
    pub fn packing(&self) -> Packing {
        self.packing
    }

    /// SHA-256 of the `init` program, in hexadecimal.
    pub fn init_sha256(&self) -> String {
        hex(&Sha256::digest(&self.init))
    }

    /// SHA-256 of the archive before packing and of how it will be packed: two plans with the
    /// same digest give the same initrd, so one that was packed before can be taken again.
    pub fn digest(&self) -> Result<String, InitrdError> {
        let mut hash = Sha256::new();
        hash.update(self.packing.as_str());
        self.write_archive(&mut hash)?;
        Ok(hex(&hash.finalize()))
    }

    /// Writes the initrd, packed. `out` is not flushed. To stop early, let `out` fail.
    pub fn write(&self, out: &mut dyn Write) -> Result<Report, InitrdError> {
        let mut counted = Counted { out, bytes: 0 };
        let mut packer = self.packing.pack(&mut counted)?;
        let mut report = self.write_archive(&mut packer)?;
        packer.finish()?;
        report.packed = counted.bytes;
        Ok(report)
    }

    fn unfit(&self, why: &str) -> InitrdError {
        InitrdError::Unfit {
            version: self.version.clone(),
            why: why.to_owned(),
        }
    }

    /// File systems and what carries them, whatever the network card.
    fn add_system(&mut self, modules: &Modules<'_>) -> Result<(), InitrdError> {
        let wanted = ["overlay", "nfsv3", "squashfs", "loop", "af_packet"];
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

    fn write_archive(&self, out: &mut dyn Write) -> Result<Report, InitrdError> {
        let mut counted = Counted { out, bytes: 0 };
        let mut archive = cpio::Writer::new(&mut counted);
        let mut report = Report {
            packing: self.packing,
            missing_firmware: self.firmware.missing().to_vec(),
            ..Report::default()
        };
        for folder in ["dev", "newroot", "proc", "run", "sys", "tmp"] {
            archive.directory(folder, Metadata::root(0o755))?;
        }
        archive.device("dev/console", Device::Char(5, 1), Metadata::root(0o600))?;
        archive.file("init", Metadata::root(0o755), &self.init)?;
        report.init.add(self.init.len());

        let folder = format!("lib/modules/{}", self.version);
        archive.parents(&format!("{folder}/x"))?;
        if let Some(modules) = &self.modules {
            let mut all = self.system.clone();
            all.merge(self.network.clone());
            let tables = Tables::of(modules, &all);
            for (name, text) in [
                ("modules.dep", &tables.dep),
                ("modules.alias", &tables.alias),
                ("modules.softdep", &tables.softdep),
                ("modules.builtin", &tables.builtin),
            ] {
                let path = format!("{folder}/{name}");
                archive.file(&path, Metadata::root(0o644), text.as_bytes())?;
                report.tables.add(text.len());
            }
            // By path: drivers of one maker are alike and pack well side by side.
            let mut files: Vec<(String, &str)> = all
                .iter()
                .filter_map(|(name, _)| Some((modules.path(name)?, name)))
                .map(|(path, name)| (modules::installed_path(path), name))
                .collect();
            files.sort_unstable();
            for (path, name) in files {
                let object = modules.read(name)?;
                let path = format!("{folder}/{path}");
                archive.parents(&path)?;
                archive.file(&path, Metadata::root(0o644), &object)?;
                let part = match self.system.contains(name) {
                    true => &mut report.system,
                    false => &mut report.network,
                };
                part.add(object.len());
            }
        }
        for (name, content) in self.firmware.files() {
            let content = content?;
            let path = format!("lib/firmware/{name}");
            archive.parents(&path)?;
            archive.file(&path, Metadata::root(0o644), &content)?;
            report.firmware.add(content.len());
        }
        archive.finish()?;
        report.unpacked = counted.bytes;
        Ok(report)
    }
}

/// Counts what is written through it.
struct Counted<W> {
    out: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = self.out.write(bytes)?;
        self.bytes += len as u64;
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests;
