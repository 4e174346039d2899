//! Tables of fixed-size entries behind an index of block offsets: ids, fragments, exports, xattrs.

use crate::archive::Archive;
use crate::cursor::METADATA_LEN;
use crate::error::{Error, Table};
use crate::superblock::Superblock;

/// One such table. Nothing of it is kept: an index page and a metadata block are read through the
/// cache for each entry, so the number of entries an image claims costs nothing.
pub(crate) struct Lookup {
    pub(crate) table: Table,
    /// Where the index begins: a `u64` for each metadata block of entries.
    pub(crate) index: u64,
    /// How many entries there are.
    pub(crate) entries: u64,
}

impl Lookup {
    /// Entry `number`, `N` bytes long; `N` divides a metadata block.
    pub(crate) fn entry<const N: usize>(
        &self,
        archive: &Archive,
        number: u64,
    ) -> Result<[u8; N], Error> {
        let corrupt = |what| Error::corrupt(self.table, self.index, what);
        if number >= self.entries {
            return Err(corrupt("no such entry"));
        }
        let byte = number * N as u64;
        let pointer_at = byte / METADATA_LEN as u64 * 8;
        let page = archive.index_page(self.table, self.index + pointer_at / 4096 * 4096)?;
        let pointer = page
            .get((pointer_at % 4096) as usize..)
            .and_then(|rest| rest.first_chunk::<8>())
            .map(|bytes| u64::from_le_bytes(*bytes))
            .ok_or_else(|| corrupt("the index ends too early"))?;
        if pointer < Superblock::LEN || pointer >= self.index {
            return Err(corrupt("the index leaves the image"));
        }
        let block = archive.metadata_block(self.table, pointer, self.index)?;
        block
            .get(byte as usize % METADATA_LEN..)
            .and_then(|rest| rest.first_chunk::<N>())
            .copied()
            .ok_or_else(|| Error::corrupt(self.table, pointer, "the block ends too early"))
    }
}
