//! How an initrd is packed.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use crate::kernel::{Config, Setting};

/// Compression of an initrd.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Packing {
    /// zstd: smaller than gzip, and unpacked several times faster.
    Zstd,
    /// gzip, which practically every kernel reads.
    #[default]
    Gzip,
    /// None, for a kernel that reads neither.
    None,
}

/// How hard to try: what each takes, and gives, for all of Debian 12's wired drivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effort {
    /// One archive of everything: 8.4 MB, 32 s of a processor, once for each kernel: see
    /// [`super::Plan::digest`]. Drivers of one maker are alike, so the window is 32 MB; that much
    /// memory the kernel takes, and clears, while it unpacks.
    Whole,
    /// An archive of a few megabytes that every client unpacks: no window is larger than it.
    Base,
    /// Archives of a few files each: 9.7 MB in all and 7 s. Harder costs 22 s and gains nothing.
    Piece,
}

impl Effort {
    /// zstd's level and the window as a power of two.
    fn zstd(self) -> (i32, Option<u32>) {
        match self {
            Self::Whole => (19, Some(25)),
            Self::Base => (19, None),
            Self::Piece => (15, None),
        }
    }
}

impl Packing {
    /// The best that the kernel can read; gzip when nothing is known about the kernel.
    pub fn for_kernel(config: &Config) -> Self {
        match (config.setting("RD_ZSTD"), config.setting("RD_GZIP")) {
            (Setting::BuiltIn, _) => Self::Zstd,
            (_, Setting::BuiltIn | Setting::Unknown) => Self::Gzip,
            _ => Self::None,
        }
    }

    /// `zstd`, `gzip` or `none`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
            Self::None => "none",
        }
    }

    /// `len` is the length of what will be written, when it is known: zstd tells it to the kernel,
    /// which then takes no more memory than that. (A client's kernel unpacked 6 MB in 0.3 s so and
    /// in 0.7 s with the windows of zstd's levels, most of it clearing pages.)
    pub(super) fn pack<W: Write>(
        self,
        effort: Effort,
        len: Option<u64>,
        out: W,
    ) -> io::Result<Packer<W>> {
        Ok(match self {
            Self::Zstd => {
                let (level, window) = effort.zstd();
                let mut encoder = zstd::Encoder::new(out, level)?;
                if let Some(window) = window {
                    encoder.window_log(window)?;
                }
                encoder.set_pledged_src_size(len)?;
                encoder.include_checksum(true)?;
                Packer::Zstd(encoder)
            }
            Self::Gzip => {
                let level = flate2::Compression::best();
                Packer::Gzip(flate2::GzBuilder::new().mtime(0).write(out, level))
            }
            Self::None => Packer::None(out),
        })
    }
}

/// Packs what is written to it.
pub(super) enum Packer<W: Write> {
    Zstd(zstd::Encoder<'static, W>),
    Gzip(flate2::write::GzEncoder<W>),
    None(W),
}

impl<W: Write> Packer<W> {
    pub(super) fn finish(self) -> io::Result<W> {
        match self {
            Self::Zstd(encoder) => encoder.finish(),
            Self::Gzip(encoder) => encoder.finish(),
            Self::None(out) => Ok(out),
        }
    }
}

impl<W: Write> Write for Packer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Zstd(encoder) => encoder.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
            Self::None(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Zstd(encoder) => encoder.flush(),
            Self::Gzip(encoder) => encoder.flush(),
            Self::None(out) => out.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_kernel_gets_what_every_kernel_reads() {
        let for_config = |text: &str| Packing::for_kernel(&Config::parse(text));
        assert_eq!(Packing::for_kernel(&Config::default()), Packing::Gzip);
        assert_eq!(
            for_config("CONFIG_RD_ZSTD=y\nCONFIG_RD_GZIP=y"),
            Packing::Zstd
        );
        assert_eq!(for_config("CONFIG_RD_GZIP=y"), Packing::Gzip);
        assert_eq!(for_config("CONFIG_RD_XZ=y"), Packing::None);
    }
}
