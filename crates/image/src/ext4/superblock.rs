//! The superblock, and where groups of inodes are.

use squashfs::ReadAt;

use super::{Error, Ext4, joined, u16_at, u32_at};

/// Where it begins, on every disk.
const PLACE: u64 = 1024;

/// Incompatible features.
const FILE_TYPE: u32 = 0x2;
const RECOVER: u32 = 0x4;
const META_GROUPS: u32 = 0x10;
const EXTENTS: u32 = 0x40;
const WIDE: u32 = 0x80;
const MMP: u32 = 0x100;
const FLEX_GROUPS: u32 = 0x200;
const XATTR_INODES: u32 = 0x400;
const CHECKSUM_SEED: u32 = 0x2000;
const LARGE_DIRECTORIES: u32 = 0x4000;
const INLINE_DATA: u32 = 0x8000;
const ENCRYPTION: u32 = 0x1_0000;
const CASE_FOLDING: u32 = 0x2_0000;
/// What is read here; encrypted files alone are refused.
const KNOWN: u32 = FILE_TYPE
    | META_GROUPS
    | EXTENTS
    | WIDE
    | MMP
    | FLEX_GROUPS
    | XATTR_INODES
    | CHECKSUM_SEED
    | LARGE_DIRECTORIES
    | INLINE_DATA
    | ENCRYPTION
    | CASE_FOLDING;

/// What the superblock says, as far as reading needs it.
#[derive(Debug)]
pub(super) struct Superblock {
    /// In bytes: 1024 to 65536.
    pub(super) block_size: u64,
    /// All blocks.
    pub(super) blocks: u64,
    pub(super) inodes: u32,
    pub(super) inode_size: u16,
    inodes_per_group: u32,
    blocks_per_group: u32,
    first_data_block: u32,
    /// Length of a group's descriptor.
    descriptor: u64,
    wide: bool,
    meta_groups: Option<u32>,
    sparse: Sparse,
}

/// Which groups have a copy of the superblock.
#[derive(Debug)]
enum Sparse {
    All,
    Powers,
    These([u32; 2]),
}

impl Superblock {
    pub(super) fn read(disk: &dyn ReadAt) -> Result<Self, Error> {
        let mut bytes = [0; 1024];
        if crate::source::read_exact(disk, &mut bytes, PLACE).is_err()
            || u16_at(&bytes, 0x38) != 0xef53
        {
            return Err(Error::NotExt4);
        }
        let broken = |at: u64, what| Error::Broken {
            offset: PLACE + at,
            what,
        };
        let incompatible = u32_at(&bytes, 0x60);
        if incompatible & RECOVER != 0 {
            return Err(Error::Journal);
        }
        let unknown = incompatible & !KNOWN;
        if unknown != 0 {
            return Err(Error::Unsupported(format!("features {unknown:#x}")));
        }
        let log = u32_at(&bytes, 0x18);
        if log > 6 {
            return Err(broken(0x18, "a block size beyond 64 KiB"));
        }
        let block_size = 1024_u64 << log;
        let wide = incompatible & WIDE != 0;
        let dynamic = u32_at(&bytes, 0x4c) > 0;
        let inode_size = if dynamic { u16_at(&bytes, 0x58) } else { 128 };
        if !inode_size.is_power_of_two() || !(128..=block_size).contains(&inode_size.into()) {
            return Err(broken(0x58, "an impossible inode size"));
        }
        let descriptor = if wide {
            u16_at(&bytes, 0xfe).into()
        } else {
            32
        };
        if !(32..=1024).contains(&descriptor) || wide && descriptor < 64 {
            return Err(broken(0xfe, "an impossible length of group descriptors"));
        }
        let high = if wide { u32_at(&bytes, 0x150) } else { 0 };
        let blocks = joined(u32_at(&bytes, 0x4), high);
        if blocks == 0 || blocks > u64::MAX / 65536 {
            return Err(broken(0x4, "an impossible number of blocks"));
        }
        let per_group = (u32_at(&bytes, 0x20), u32_at(&bytes, 0x28));
        let limit = 8 * block_size;
        if !(1..=limit).contains(&per_group.0.into()) || !(1..=limit).contains(&per_group.1.into())
        {
            return Err(broken(0x20, "an impossible size of groups"));
        }
        let sparse = if u32_at(&bytes, 0x5c) & 0x200 != 0 {
            Sparse::These([u32_at(&bytes, 0x24c), u32_at(&bytes, 0x250)])
        } else if u32_at(&bytes, 0x64) & 1 != 0 {
            Sparse::Powers
        } else {
            Sparse::All
        };
        Ok(Self {
            block_size,
            blocks,
            inodes: u32_at(&bytes, 0),
            inode_size,
            inodes_per_group: per_group.1,
            blocks_per_group: per_group.0,
            first_data_block: u32_at(&bytes, 0x14),
            descriptor,
            wide,
            meta_groups: (incompatible & META_GROUPS != 0).then(|| u32_at(&bytes, 0x104)),
            sparse,
        })
    }

    /// Where the descriptor of a group is.
    fn descriptor_place(&self, group: u32) -> u64 {
        let first = u64::from(self.first_data_block);
        let in_block = self.block_size / self.descriptor;
        let (number, inside) = (u64::from(group) / in_block, u64::from(group) % in_block);
        let block = match self.meta_groups {
            // Each block of descriptors lies in the first group that it describes.
            Some(from) if number >= u64::from(from) => {
                let first_group = number * in_block;
                let begin = first + first_group.saturating_mul(self.blocks_per_group.into());
                begin + u64::from(self.has_superblock(first_group))
            }
            _ => first + 1 + number,
        };
        block.saturating_mul(self.block_size) + inside * self.descriptor
    }

    fn has_superblock(&self, group: u64) -> bool {
        let power_of = |base: u64| {
            let mut power = base;
            while power < group {
                power = power.saturating_mul(base);
            }
            power == group
        };
        match self.sparse {
            Sparse::All => true,
            Sparse::Powers => group <= 1 || [3, 5, 7].into_iter().any(power_of),
            Sparse::These(groups) => group == 0 || groups.map(u64::from).contains(&group),
        }
    }
}

impl Ext4 {
    /// Where an inode is, in bytes.
    pub(super) fn inode_place(&self, number: u32) -> Result<u64, Error> {
        let superblock = &self.superblock;
        let index = number.wrapping_sub(1);
        let group = index / superblock.inodes_per_group;
        let place = superblock.descriptor_place(group);
        if number == 0 || number > superblock.inodes {
            return Err(Error::Broken {
                offset: place,
                what: "an inode number that the file system does not have",
            });
        }
        let mut descriptor = [0; 64];
        let length = superblock.descriptor.min(64) as usize;
        self.read(&mut descriptor[..length], place)?;
        let high = if superblock.wide {
            u32_at(&descriptor, 0x28)
        } else {
            0
        };
        let table = joined(u32_at(&descriptor, 0x8), high);
        let offset =
            u64::from(index % superblock.inodes_per_group) * u64::from(superblock.inode_size);
        let block = table.saturating_add(offset / superblock.block_size);
        Ok(self.place(block, 1)? + offset % superblock.block_size)
    }
}
