//! The image library: a source directory becomes a bootable, immutable generation.
//!
//! ```text
//! source ──► scrub ──► entry ──► squash ──► root.squashfs
//! ```
//!
//! The daemon and the command line share this crate; it knows nothing of sockets, protocols or clients.
#![forbid(unsafe_code)]

pub mod build;
pub mod catalogue;
pub mod contents;
pub mod cpio;
pub use model::digest;
pub mod entry;
pub mod ext4;
pub mod initrd;
pub mod iso9660;
pub mod kernel;
pub mod manifest;
pub mod modules;
pub mod partition;
pub mod progress;
pub mod scrub;
pub mod secrets;
pub mod sizes;
pub mod source;
pub mod squash;
pub mod tar;
pub mod tree;
pub mod verity;

pub use build::{BuildError, BuildOptions, Preview, build, preview};

/// The image's root file system.
pub const ROOT_FILE: &str = "root.squashfs";
/// The kernel.
pub const KERNEL_FILE: &str = "vmlinuz";
/// Our initrd.
pub const INITRD_FILE: &str = "initrd.img";
/// The drivers of our initrd, each for itself, and their index, [`initrd::DriverIndex`] as JSON.
pub const DRIVERS_FILE: &str = "drivers.img";
/// See [`DRIVERS_FILE`].
pub const DRIVER_INDEX_FILE: &str = "drivers.json";
/// What is written down about a generation, [`manifest::Manifest`] as JSON.
pub const MANIFEST_FILE: &str = "manifest.json";

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
