//! The compressors an image may use, each with an output bound.

use std::fmt;
use std::sync::Mutex;

use crate::error::Error;
use crate::lzo;

/// What an image's blocks are compressed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compressor {
    /// zlib streams (RFC 1950), called gzip by everybody.
    Gzip,
    /// xz streams.
    Xz,
    /// Bare LZO1X blocks.
    Lzo,
    /// Bare lz4 blocks.
    Lz4,
    /// Zstandard frames (RFC 8878).
    Zstd,
}

impl fmt::Display for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::Xz => "xz",
            Self::Lzo => "lzo",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        })
    }
}

impl Compressor {
    /// The compressor of a superblock's number.
    pub(crate) fn from_id(id: u16) -> Result<Self, Error> {
        match id {
            1 => Ok(Self::Gzip),
            3 => Ok(Self::Lzo),
            4 => Ok(Self::Xz),
            5 => Ok(Self::Lz4),
            6 => Ok(Self::Zstd),
            2 => Err(unsupported("lzma")),
            other => Err(Error::not_an_image(format!("compressor number {other}"))),
        }
    }

    /// Decompresses one whole block into `out`, which is empty and has just the capacity that a
    /// block may have. `Err` says what is wrong with it.
    fn decompress(
        self,
        tools: &mut Decoders,
        stored: &[u8],
        mut out: Vec<u8>,
    ) -> Result<Vec<u8>, &'static str> {
        let limit = out.capacity();
        match self {
            Self::Gzip => {
                let decoder = tools
                    .zlib
                    .get_or_insert_with(|| flate2::Decompress::new(true));
                decoder.reset(true);
                match decoder.decompress_vec(stored, &mut out, flate2::FlushDecompress::Finish) {
                    Ok(flate2::Status::StreamEnd) => Ok(out),
                    Ok(_) => Err("zlib stream is cut short or too long"),
                    Err(_) => Err("bad zlib stream"),
                }
            }
            Self::Xz => {
                let mut decoder = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, 0)
                    .map_err(|_| "no memory for xz")?;
                match decoder.process_vec(stored, &mut out, liblzma::stream::Action::Finish) {
                    Ok(liblzma::stream::Status::StreamEnd) => Ok(out),
                    Ok(_) => Err("xz stream is cut short or too long"),
                    Err(_) => Err("bad xz stream"),
                }
            }
            Self::Lzo => lzo::decompress(stored, limit),
            Self::Lz4 => {
                out.resize(limit, 0);
                let len = lz4_flex::block::decompress_into(stored, &mut out)
                    .map_err(|_| "bad lz4 block")?;
                out.truncate(len);
                Ok(out)
            }
            Self::Zstd => {
                if tools.zstd.is_none() {
                    let decoder = zstd::bulk::Decompressor::new();
                    tools.zstd = Some(decoder.map_err(|_| "no memory for zstd")?);
                }
                let decoder = tools.zstd.as_mut().ok_or("no memory for zstd")?;
                decoder
                    .decompress_to_buffer(stored, &mut out)
                    .map_err(|_| "bad zstd frame")?;
                Ok(out)
            }
        }
    }
}

/// A squashfs dictionary is never larger than a block, 1 MiB; the rest is the decoder's own.
const XZ_MEMORY: u64 = 8 << 20;

fn unsupported(name: &str) -> Error {
    Error::Unsupported {
        what: format!(
            "it is compressed with {name}; gzip, xz, lzo, lz4 and zstd can be read (make it again with `mksquashfs -comp zstd`)"
        ),
    }
}

/// Decoder contexts that are costly to make.
#[derive(Default)]
struct Decoders {
    zlib: Option<flate2::Decompress>,
    zstd: Option<zstd::bulk::Decompressor<'static>>,
}

/// What one decompression needs: room for the stored bytes, and decoder contexts.
#[derive(Default)]
pub(crate) struct Workspace {
    stored: Vec<u8>,
    decoders: Decoders,
}

impl Workspace {
    /// Room for `len` stored bytes, which the caller fills.
    pub(crate) fn stored(&mut self, len: usize) -> &mut [u8] {
        if self.stored.len() < len {
            self.stored.resize(len, 0);
        }
        &mut self.stored[..len]
    }

    /// Decompresses `stored()[range]` into `room`, as far as its capacity goes.
    pub(crate) fn decompress(
        &mut self,
        compressor: Compressor,
        range: std::ops::Range<usize>,
        room: Vec<u8>,
    ) -> Result<Vec<u8>, &'static str> {
        let stored = self.stored.get(range).ok_or("block ends too early")?;
        compressor.decompress(&mut self.decoders, stored, room)
    }
}

/// Workspaces kept for the next block: no more than a few, however many threads read at once.
#[derive(Default)]
pub(crate) struct Workspaces(Mutex<Vec<Workspace>>);

impl Workspaces {
    const KEPT: usize = 8;

    /// Runs `work` with a workspace of its own.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Workspace) -> T) -> T {
        let mut workspace = self.lock().pop().unwrap_or_default();
        let result = work(&mut workspace);
        let mut kept = self.lock();
        if kept.len() < Self::KEPT {
            kept.push(workspace);
        }
        result
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Workspace>> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
