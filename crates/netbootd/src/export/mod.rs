//! The file system that NFS clients see: published images as files, and as trees.
//!
//! ```text
//!   /images/<name>/root.squashfs                 the current generation, one file
//!   /images/<name>/<generation>/root.squashfs    any generation
//!   /roots/<name>/…                              what is in the current generation
//!   /roots/<name>@<generation>/…                 what is in any generation
//!   /exports/<name>/…                            a folder of this server, if one is configured
//! ```
//!
//! [`ExportFs`] answers for the `nfs` crate out of a snapshot, which is replaced whole
//! when an image is published or removed. A file handle says what it names: a generation's image
//! file, an inode of its tree, a directory of the namespace above them, or a file of a [`Folder`].
//! Nothing is remembered per client or per handle, so handles outlive a restart and are good on
//! every server that has the same image and the same [`HandleKey`]; those of a generation that is
//! gone are stale. Who may use what is in [`Access`], and is asked at every call.
//!
//! This is the only place where squashfs and NFS meet.

mod access;
mod folder;
mod fs;
mod handle;
mod listing;
mod namespace;
mod network;
mod snapshot;
#[cfg(test)]
mod tests;
mod tree;

pub use access::Access;
pub use folder::Folder;
pub use fs::ExportFs;
pub use handle::HandleKey;
pub use network::Network;
pub use snapshot::ExportedGeneration;
