//! What an initrd is made of.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Packing;

/// Files of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// How many.
    pub files: u32,
    /// Their bytes, before packing.
    pub bytes: u64,
}

impl Part {
    pub(super) fn add(&mut self, bytes: usize) {
        self.files += 1;
        self.bytes += bytes as u64;
    }
}

/// An initrd's size, by part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Compression.
    pub packing: Packing,
    /// Bytes of the file.
    pub packed: u64,
    /// Bytes of its first archive, which a client gets without the second when `drivers.img` has
    /// its driver. 0 in generations that were built without that file.
    #[serde(default)]
    pub base: u64,
    /// Bytes of the archives in it.
    pub unpacked: u64,
    /// Our program.
    pub init: Part,
    /// File systems and what they need.
    pub system: Part,
    /// Drivers of network cards, buses and chips, and what they need.
    pub network: Part,
    /// Firmware.
    pub firmware: Part,
    /// The tables of modules.
    pub tables: Part,
    /// Drivers that name firmware of which the image has none. Most work without.
    pub missing_firmware: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        write!(
            f,
            "{:.1} MB ({} of {:.1} MB): init {:.1} MB",
            megabytes(self.packed),
            self.packing.as_str(),
            megabytes(self.unpacked),
            megabytes(self.init.bytes),
        )?;
        for (name, part) in [
            ("file system modules", &self.system),
            ("network modules", &self.network),
            ("firmware files", &self.firmware),
        ] {
            write!(f, ", {} {name} {:.1} MB", part.files, megabytes(part.bytes))?;
        }
        Ok(())
    }
}
