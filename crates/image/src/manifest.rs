//! What is written down about a generation: `manifest.json` beside its files.

use model::{FileDigest, GenerationId, ImageName, Verity};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::initrd;
use crate::kernel;
use crate::scrub::Rule;
use crate::secrets::Secret;

/// The layout of [`Manifest`]; grows when a reader of the old one would misunderstand.
pub const FORMAT: u32 = 1;

/// One generation of an image: what it is made of and of what it was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// The image.
    pub name: ImageName,
    /// Derived from the content of root, kernel and initrd, see [`generation_id`].
    pub generation: GenerationId,
    /// When it was built, seconds since 1970.
    pub created: u64,
    /// What it was built from, as it was given.
    pub source: String,
    /// Version of netbootd that built it.
    pub built_by: String,
    /// The kernel.
    pub kernel: KernelRecord,
    /// Its files.
    pub files: Files,
    /// What is in `root.squashfs`.
    pub root: RootRecord,
    /// What is in `initrd.img`.
    pub initrd: initrd::Report,
    /// Digest of the initrd's content before packing, see [`initrd::Plan::digest`].
    pub initrd_content: String,
    /// SHA-256 of the `init` program in the initrd.
    pub init_sha256: String,
    /// What of the source is not in the image.
    #[serde(default)]
    pub left_out: Vec<LeftOut>,
    /// The rules that decided about it, in the order in which they were judged.
    #[serde(default)]
    pub rules: Vec<RuleRecord>,
    /// Secrets that the operator allowed to be in the image.
    #[serde(default)]
    pub secrets: Vec<Secret>,
    /// What could not be read and is not in the image, because the operator said to go on.
    #[serde(default)]
    pub unreadable: Vec<String>,
}

/// A rule as it was in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleRecord {
    /// Its name.
    pub name: String,
    /// `keep`, `leave out`, `empty` or `edit`.
    pub action: String,
    /// What it was about.
    pub patterns: Vec<String>,
}

impl From<&Rule> for RuleRecord {
    fn from(rule: &Rule) -> Self {
        Self {
            name: rule.name.to_string(),
            action: rule.action.as_str().to_owned(),
            patterns: rule.patterns.iter().map(ToString::to_string).collect(),
        }
    }
}

/// The kernel of a generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelRecord {
    /// `uname -r`.
    pub version: String,
    /// Where it was in the source.
    pub path: String,
    /// How a loader starts it.
    pub format: kernel::Format,
}

/// The files that clients fetch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Files {
    /// `root.squashfs`.
    pub root: FileRecord,
    /// `vmlinuz`.
    pub kernel: FileRecord,
    /// `initrd.img`.
    pub initrd: FileRecord,
    /// `drivers.img`; generations of earlier versions have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drivers: Option<FileRecord>,
    /// `drivers.json`, the index of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver_index: Option<FileRecord>,
}

impl Files {
    /// Name and record of each.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &FileRecord)> {
        let files = [
            (crate::ROOT_FILE, Some(&self.root)),
            (crate::KERNEL_FILE, Some(&self.kernel)),
            (crate::INITRD_FILE, Some(&self.initrd)),
            (crate::DRIVERS_FILE, self.drivers.as_ref()),
            (crate::DRIVER_INDEX_FILE, self.driver_index.as_ref()),
        ];
        let there = files.into_iter();
        there.filter_map(|(name, record)| Some((name, record?)))
    }
}

/// One file's size and content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256 in lower-case hexadecimal, of the file or of its pieces' SHA-256, see [`crate::digest`].
    pub sha256: String,
    /// Bytes in a piece; 0 when `sha256` is the file's own.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub piece: u32,
}

impl FileRecord {
    /// The digest as a value; `None` if the record is not one of ours.
    pub fn digest(&self) -> Option<FileDigest> {
        format!("{}:{}", self.piece, self.sha256).parse().ok()
    }
}

/// What is in `root.squashfs`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootRecord {
    /// `zstd`, `gzip`, …
    pub compression: String,
    /// Bytes of file content in one block.
    pub block_size: u32,
    /// Files, folders, links and nodes.
    pub inodes: u32,
    /// Regular files among them.
    pub files: u32,
    /// What these hold, in bytes, before compression.
    pub file_bytes: u64,
    /// Compressed blocks in it; 0 where nobody counted.
    #[serde(default)]
    pub blocks: u64,
    /// Those among them that were taken over from the generation before.
    #[serde(default)]
    pub reused_blocks: u64,
    /// Regular files that were not read, as their times had not changed.
    #[serde(default)]
    pub unread_files: u64,
    /// The largest directories, the largest first.
    #[serde(default)]
    pub directories: Vec<DirectoryRecord>,
    /// What its hash tree comes to, if it has one behind the file system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verity: Option<Verity>,
}

/// How much of an image one directory takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryRecord {
    /// Where it is.
    pub path: String,
    /// Regular files below it.
    pub files: u64,
    /// What these hold, in bytes.
    pub bytes: u64,
    /// What they take in the image, in bytes.
    pub packed: u64,
}

/// What one rule left out of the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// The rule.
    pub rule: String,
    /// Why.
    pub reason: String,
    /// How many names.
    pub entries: u64,
    /// How many bytes of files.
    pub bytes: u64,
}

/// The generation that these contents make: the first 16 bytes of the SHA-256 of the three SHA-256
/// in this order. (The drivers apart are the initrd's own, in another shape.)
pub fn generation_id(root: [u8; 32], kernel: [u8; 32], initrd: [u8; 32]) -> GenerationId {
    let digest = Sha256::new()
        .chain_update(root)
        .chain_update(kernel)
        .chain_update(initrd)
        .finalize();
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    GenerationId(id)
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_counts_for_the_generation() {
        let id = generation_id([1; 32], [2; 32], [3; 32]);
        assert_eq!(id, generation_id([1; 32], [2; 32], [3; 32]));
        assert_ne!(id, generation_id([9; 32], [2; 32], [3; 32]));
        assert_ne!(id, generation_id([1; 32], [9; 32], [3; 32]));
        assert_ne!(id, generation_id([1; 32], [2; 32], [9; 32]));
        assert_ne!(id, generation_id([2; 32], [1; 32], [3; 32]));
    }
}
