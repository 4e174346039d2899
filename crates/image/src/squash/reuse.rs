//! Taking blocks over from an earlier image instead of compressing them again.
//!
//! Behind its tables, where no reader of squashfs looks, an image lists its blocks:
//!
//! ```text
//! (key 16, size word u32, CRC-32 of the stored bytes u32)*     in the order in which they lie in the image
//! zeros, so that the image ends at a multiple of 4 KiB
//! magic 8, fingerprint 16, digest of the list 16, begin of the list u64, blocks u64, begin of the first block u64
//! ```
//!
//! The fingerprint stands for everything that decides what a block compresses to; only an image with the same
//! one is of use, so that an image does not depend on which one it was built after. A block that does not have
//! its CRC any more is compressed anew: damage is not inherited.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;

use std::sync::Arc;

use super::blocks::STORED;
use super::buffers::Buffers;
use super::dedup::{Key, digest};
use super::options::Options;
use super::pipeline::Packed;

const MAGIC: [u8; 8] = *b"nbblocks";
/// To be raised when a compressor's version changes what it makes and does not say so itself.
const REVISION: u32 = 2;
const LINE: usize = 24;
pub(super) const FOOTER: usize = 64;

/// A block as an image stores it.
pub(super) struct Stored {
    image: Arc<File>,
    place: Place,
}

#[derive(Clone, Copy)]
struct Place {
    position: u64,
    size_word: u32,
    crc: u32,
}

impl Stored {
    /// The block, unless the image does not have it whole.
    pub(super) fn read(&self, buffers: &Buffers) -> Option<Packed> {
        let mut bytes = buffers.take((self.place.size_word & !STORED) as usize);
        self.image
            .read_exact_at(&mut bytes, self.place.position)
            .ok()?;
        (crc(&bytes) == self.place.crc).then_some(Packed {
            bytes,
            compressed: self.place.size_word & STORED == 0,
            reused: true,
            crc: self.place.crc,
        })
    }
}

/// The blocks of an earlier image.
pub(super) struct Previous {
    image: Arc<File>,
    blocks: HashMap<Key, Place>,
}

impl Previous {
    /// The blocks of `options.previous`: none unless it is an image of ours, made with the same settings.
    pub(super) fn open(options: &Options) -> Option<Self> {
        let image = Arc::clone(options.previous.as_ref()?);
        let length = image.metadata().ok()?.len();
        let mut footer = [0; FOOTER];
        let end = length.checked_sub(FOOTER as u64)?;
        image.read_exact_at(&mut footer, end).ok()?;
        let word = |at: usize| footer[at..at + 8].try_into().map(u64::from_le_bytes).ok();
        let (begin, count, first) = (word(40)?, word(48)?, word(56)?);
        let room = end.checked_sub(begin)? / LINE as u64;
        if footer[..8] != MAGIC || footer[8..24] != fingerprint(options) || count > room {
            return None;
        }
        let mut list = vec![0; usize::try_from(count).ok()? * LINE];
        image.read_exact_at(&mut list, begin).ok()?;
        if footer[24..40] != digest([&list]) {
            return None;
        }
        let mut blocks = HashMap::with_capacity(list.len() / LINE);
        let mut position = first;
        for line in list.as_chunks::<LINE>().0 {
            let [key @ .., w0, w1, w2, w3, c0, c1, c2, c3] = *line;
            let size_word = u32::from_le_bytes([w0, w1, w2, w3]);
            let crc = u32::from_le_bytes([c0, c1, c2, c3]);
            blocks.insert(
                key,
                Place {
                    position,
                    size_word,
                    crc,
                },
            );
            position += u64::from(size_word & !STORED);
        }
        Some(Self { image, blocks })
    }

    /// Where the image has the block with this key.
    pub(super) fn find(&self, key: &Key) -> Option<Stored> {
        let place = *self.blocks.get(key)?;
        Some(Stored {
            image: Arc::clone(&self.image),
            place,
        })
    }
}

/// The list of an image's blocks, as they are written.
pub(super) struct List {
    first: u64,
    lines: Vec<u8>,
}

impl List {
    /// The first block will be at `first`, each other one behind the one before.
    pub(super) fn new(first: u64) -> Self {
        Self {
            first,
            lines: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, key: &Key, size_word: u32, crc: u32) {
        self.lines.extend_from_slice(key);
        self.lines.extend(size_word.to_le_bytes());
        self.lines.extend(crc.to_le_bytes());
    }

    /// The list, and the footer for an image in which it begins at `begin`.
    pub(super) fn encode(self, options: &Options, begin: u64) -> (Vec<u8>, Vec<u8>) {
        let mut footer = MAGIC.to_vec();
        footer.extend(fingerprint(options));
        footer.extend(digest([&self.lines]));
        for word in [begin, (self.lines.len() / LINE) as u64, self.first] {
            footer.extend(word.to_le_bytes());
        }
        debug_assert_eq!(footer.len(), FOOTER);
        (self.lines, footer)
    }
}

pub(super) fn crc(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

fn fingerprint(options: &Options) -> Key {
    digest([
        REVISION.to_le_bytes().as_slice(),
        &zstd::zstd_safe::version_number().to_le_bytes(),
        &lz4::version().to_le_bytes(),
        &(options.block_size.bytes() as u64).to_le_bytes(),
        &options.compression.id().to_le_bytes(),
        &[options.compression.level()],
    ])
}
