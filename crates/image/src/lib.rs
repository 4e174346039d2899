//! The image library: a source directory becomes a bootable, immutable generation.
//!
//! ```text
//! source ──► scrub ──► entry ──► squash ──► root.squashfs
//! ```
//!
//! The daemon and the command line share this crate; it knows nothing of sockets, protocols or clients.
#![forbid(unsafe_code)]

pub mod cpio;
pub mod entry;
pub mod initrd;
pub mod kernel;
pub mod modules;
pub mod progress;
pub mod scrub;
pub mod source;
pub mod squash;
pub mod tree;

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
