//! The superblock: the first 96 bytes of an image.

/// Bytes in a superblock.
pub(super) const LENGTH: usize = 96;
/// A table that the image does not have.
pub(super) const ABSENT: u64 = u64::MAX;

const MAGIC: u32 = 0x7371_7368; // "hsqs"

/// Flags of a superblock.
pub(super) mod flags {
    pub(crate) const UNCOMPRESSED_INODES: u16 = 0x0001;
    pub(crate) const UNCOMPRESSED_DATA: u16 = 0x0002;
    pub(crate) const UNCOMPRESSED_FRAGMENTS: u16 = 0x0008;
    pub(crate) const ALWAYS_FRAGMENTS: u16 = 0x0020;
    pub(crate) const DUPLICATES: u16 = 0x0040;
    pub(crate) const EXPORTABLE: u16 = 0x0080;
    pub(crate) const UNCOMPRESSED_XATTRS: u16 = 0x0100;
    pub(crate) const NO_XATTRS: u16 = 0x0200;
    pub(crate) const COMPRESSOR_OPTIONS: u16 = 0x0400;
    pub(crate) const UNCOMPRESSED_IDS: u16 = 0x0800;
}

/// What the superblock says; positions are bytes from the image's beginning.
pub(super) struct Superblock {
    pub(super) inodes: u32,
    pub(super) made: u32,
    pub(super) block_log: u16,
    pub(super) fragments: u32,
    pub(super) compressor: u16,
    pub(super) flags: u16,
    pub(super) ids: u16,
    pub(super) root: u64,
    pub(super) bytes_used: u64,
    pub(super) id_table: u64,
    pub(super) xattr_table: u64,
    pub(super) inode_table: u64,
    pub(super) directory_table: u64,
    pub(super) fragment_table: u64,
    pub(super) export_table: u64,
}

impl Superblock {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(LENGTH);
        out.extend(MAGIC.to_le_bytes());
        out.extend(self.inodes.to_le_bytes());
        out.extend(self.made.to_le_bytes());
        out.extend((1_u32 << self.block_log).to_le_bytes());
        out.extend(self.fragments.to_le_bytes());
        for half in [self.compressor, self.block_log, self.flags, self.ids, 4, 0] {
            out.extend(half.to_le_bytes());
        }
        for position in [
            self.root,
            self.bytes_used,
            self.id_table,
            self.xattr_table,
            self.inode_table,
            self.directory_table,
            self.fragment_table,
            self.export_table,
        ] {
            out.extend(position.to_le_bytes());
        }
        debug_assert_eq!(out.len(), LENGTH);
        out
    }
}
