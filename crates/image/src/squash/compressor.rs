//! One thread's compressor, and what the superblock and the kernel need to know of it.

use std::io;

use libdeflater::{CompressionError, CompressionLvl};
use liblzma::stream::{Action, Check, Filters, LzmaOptions, Stream};

use super::options::{BlockSize, Compression};

/// Compresses blocks, one after another, with the state it needs kept between them. The vectors are room for what
/// comes out, so that a block in flight takes no more memory than it has bytes.
pub(super) enum Compressor {
    None,
    Gzip(libdeflater::Compressor, Vec<u8>),
    Lz4(Vec<u8>),
    Xz { level: u8, dictionary: u32 },
    Zstd(Box<zstd::bulk::Compressor<'static>>, Vec<u8>),
}

impl Compressor {
    pub(super) fn new(compression: Compression, block_size: BlockSize) -> io::Result<Self> {
        Ok(match compression {
            Compression::None => Self::None,
            Compression::Gzip { level } => {
                let level = CompressionLvl::new(level.into())
                    .map_err(|_| io::Error::other("gzip levels are 0 to 12"))?;
                Self::Gzip(libdeflater::Compressor::new(level), Vec::new())
            }
            Compression::Lz4 => Self::Lz4(Vec::new()),
            Compression::Xz { level } => Self::Xz {
                level,
                dictionary: block_size.bytes().max(8192) as u32,
            },
            Compression::Zstd { level } => Self::Zstd(
                Box::new(zstd::bulk::Compressor::new(level.into())?),
                Vec::new(),
            ),
        })
    }

    /// Puts the compressed form of `raw` into `out` and answers `true`, or leaves `out` undefined and answers
    /// `false` when it would not be smaller: then the block is stored as it is.
    pub(super) fn compress(&mut self, raw: &[u8], out: &mut Vec<u8>) -> io::Result<bool> {
        out.clear();
        match self {
            Self::None => return Ok(false),
            Self::Gzip(state, room) => {
                room.resize(raw.len(), 0);
                match state.zlib_compress(raw, room) {
                    Ok(length) => out.extend_from_slice(&room[..length]),
                    Err(CompressionError::InsufficientSpace) => return Ok(false),
                }
            }
            Self::Lz4(room) => {
                room.resize(lz4::block::compress_bound(raw.len())?, 0);
                let length = lz4::block::compress_to_buffer(raw, None, false, room)?;
                out.extend_from_slice(&room[..length]);
            }
            Self::Xz { level, dictionary } => {
                let mut lzma = LzmaOptions::new_preset((*level).into())?;
                lzma.dict_size(*dictionary);
                let mut stream =
                    Stream::new_stream_encoder(Filters::new().lzma2(&lzma), Check::Crc32)?;
                out.reserve(raw.len());
                let status = stream.process_vec(raw, out, Action::Finish)?;
                if status != liblzma::stream::Status::StreamEnd {
                    return Ok(false);
                }
            }
            Self::Zstd(state, room) => {
                room.clear();
                room.reserve(zstd::zstd_safe::compress_bound(raw.len()));
                state.compress_to_buffer(raw, room)?;
                out.extend_from_slice(room);
            }
        }
        Ok(out.len() < raw.len())
    }
}

impl Compression {
    /// The superblock's number. An uncompressed image calls itself gzip, which every kernel accepts.
    pub(super) fn id(self) -> u16 {
        match self {
            Self::None | Self::Gzip { .. } => 1,
            Self::Xz { .. } => 4,
            Self::Lz4 => 5,
            Self::Zstd { .. } => 6,
        }
    }

    /// The level, where there are levels.
    pub(super) fn level(self) -> u8 {
        match self {
            Self::None | Self::Lz4 => 0,
            Self::Gzip { level } | Self::Xz { level } | Self::Zstd { level } => level,
        }
    }

    /// The options block that follows the superblock, where the settings are not what readers assume
    /// (gzip 9, zstd 15) or the format demands it (lz4).
    pub(super) fn options_block(self, block_size: BlockSize) -> Option<Vec<u8>> {
        match self {
            Self::None | Self::Gzip { level: 9 } | Self::Zstd { level: 15 } => None,
            Self::Gzip { level } => {
                let mut block = i32::from(level.min(9)).to_le_bytes().to_vec();
                block.extend(15_u16.to_le_bytes()); // window: 32 KiB
                block.extend(1_u16.to_le_bytes()); // strategy: default
                Some(block)
            }
            Self::Lz4 => {
                let mut block = 1_u32.to_le_bytes().to_vec(); // the legacy block format
                block.extend(0_u32.to_le_bytes()); // not the high-compression variant
                Some(block)
            }
            Self::Xz { .. } => {
                let mut block = (block_size.bytes().max(8192) as u32).to_le_bytes().to_vec();
                block.extend(0_u32.to_le_bytes()); // no branch filters
                Some(block)
            }
            Self::Zstd { level } => Some(i32::from(level).to_le_bytes().to_vec()),
        }
    }
}
