//! The first 96 bytes.

use crate::compressor::Compressor;
use crate::error::Error;

/// What the superblock says, checked: every table lies inside the image and is as long as its count
/// needs, so later readers only check what they read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Superblock {
    /// How many inodes the image claims to have.
    pub inode_count: u32,
    /// When the image was made, seconds since 1970.
    pub made: u32,
    /// Bytes in a full data block: a power of two, 4 KiB to 1 MiB.
    pub block_size: u32,
    /// How many fragment blocks there are.
    pub fragment_count: u32,
    /// What the blocks are compressed with.
    pub compressor: Compressor,
    /// The flags as they stand in the image.
    pub flags: u16,
    /// How many user and group ids there are.
    pub id_count: u16,
    /// Block start and offset of the root directory's inode.
    pub(crate) root: u64,
    /// Length of the image in bytes; what follows is padding.
    pub bytes_used: u64,
    pub(crate) ids: u64,
    pub(crate) xattrs: Option<u64>,
    pub(crate) inodes: u64,
    pub(crate) directories: u64,
    pub(crate) fragments: Option<u64>,
    pub(crate) exports: Option<u64>,
}

impl Superblock {
    /// Bytes of the superblock, and the lowest offset at which anything else can lie.
    pub(crate) const LEN: u64 = 96;

    const MAGIC: u32 = 0x7371_7368;
    /// A table's place when there is no such table.
    const ABSENT: u64 = u64::MAX;

    /// Whether the image can tell an inode's place from its number.
    pub fn has_export_table(&self) -> bool {
        self.exports.is_some()
    }

    /// Whether any inode may have extended attributes.
    pub fn has_xattrs(&self) -> bool {
        self.xattrs.is_some()
    }

    /// The end of the directory table: the first of the tables behind it.
    pub(crate) fn directories_end(&self) -> u64 {
        [self.fragments, self.exports, self.xattrs]
            .into_iter()
            .flatten()
            .fold(self.ids, u64::min)
    }

    pub(crate) fn decode(bytes: &[u8; 96], image_len: u64) -> Result<Self, Error> {
        let u16_at = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let u32_at = |at: usize| u32::from(u16_at(at)) | u32::from(u16_at(at + 2)) << 16;
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        let table = |at: usize| Some(u64_at(at)).filter(|start| *start != Self::ABSENT);

        if u32_at(0) != Self::MAGIC {
            return Err(Error::not_an_image("it does not begin with \"hsqs\""));
        }
        let (major, minor) = (u16_at(28), u16_at(30));
        if (major, minor) != (4, 0) {
            return Err(Error::not_an_image(format!(
                "version {major}.{minor}, and only 4.0 is read"
            )));
        }
        let block_size = u32_at(12);
        if !block_size.is_power_of_two() || !(4096..=1 << 20).contains(&block_size) {
            return Err(Error::not_an_image(format!(
                "a block size of {block_size} bytes"
            )));
        }
        if u32::from(u16_at(22)) != block_size.trailing_zeros() {
            return Err(Error::not_an_image(format!(
                "block size {block_size} and its logarithm {} disagree",
                u16_at(22)
            )));
        }
        let superblock = Self {
            inode_count: u32_at(4),
            made: u32_at(8),
            block_size,
            fragment_count: u32_at(16),
            compressor: Compressor::from_id(u16_at(20))?,
            flags: u16_at(24),
            id_count: u16_at(26),
            root: u64_at(32),
            bytes_used: u64_at(40),
            ids: u64_at(48),
            xattrs: table(56),
            inodes: u64_at(64),
            directories: u64_at(72),
            // A writer without fragments leaves anything here.
            fragments: table(80).filter(|_| u32_at(16) != 0),
            exports: table(88),
        };
        superblock.check(image_len)?;
        Ok(superblock)
    }

    fn check(&self, image_len: u64) -> Result<(), Error> {
        if self.bytes_used < Self::LEN || self.bytes_used > image_len {
            return Err(Error::not_an_image(format!(
                "it says that it is {} bytes long, and the file has {image_len}",
                self.bytes_used
            )));
        }
        if self.inode_count == 0 || self.id_count == 0 {
            return Err(Error::not_an_image("no inodes or no ids"));
        }
        if self.inodes < Self::LEN || self.inodes >= self.directories {
            return Err(Error::not_an_image(
                "the inode table is not before the directory table",
            ));
        }
        if self.fragment_count != 0 && self.fragments.is_none() {
            return Err(Error::not_an_image("fragments without a fragment table"));
        }
        let index = |name: &str, start: u64, entries: u64, entry_len: u64| {
            let blocks = (entries * entry_len).div_ceil(8192);
            let fits = start >= self.directories
                && start
                    .checked_add(blocks * 8)
                    .is_some_and(|end| end <= self.bytes_used);
            if fits {
                Ok(())
            } else {
                Err(Error::not_an_image(format!(
                    "the {name} table ({entries} entries at byte {start}) does not fit"
                )))
            }
        };
        index("id", self.ids, self.id_count.into(), 4)?;
        if let Some(start) = self.fragments {
            index("fragment", start, self.fragment_count.into(), 16)?;
        }
        if let Some(start) = self.exports {
            index("export", start, self.inode_count.into(), 8)?;
        }
        if let Some(start) = self.xattrs {
            // Its own header of two words says how many entries there are.
            index("xattr", start, 1024, 16)?;
        }
        Ok(())
    }
}
