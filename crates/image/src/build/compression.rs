//! Which compression the image's kernel reads.

use super::{BuildError, BuildOptions};
use crate::kernel::{Kernel, Setting};
use crate::progress::Progress;
use crate::squash::Compression;

/// What was asked for, or zstd unless the kernel is known not to read it.
pub(super) fn compression(
    options: &BuildOptions,
    kernel: &Kernel,
    progress: &dyn Progress,
) -> Result<Compression, BuildError> {
    let cannot_read = |compression: Compression| {
        let symbol = match compression {
            Compression::None => return false,
            Compression::Gzip { .. } => "SQUASHFS_ZLIB",
            Compression::Lz4 => "SQUASHFS_LZ4",
            Compression::Xz { .. } => "SQUASHFS_XZ",
            Compression::Zstd { .. } => "SQUASHFS_ZSTD",
        };
        kernel.config.setting(symbol) == Setting::Off
    };
    match options.compression {
        Some(asked) if cannot_read(asked) => Err(BuildError::Compression {
            kernel: kernel.version.clone(),
            compression: compression_name(asked),
        }),
        Some(asked) => Ok(asked),
        None if cannot_read(Compression::default()) => {
            progress.note("the kernel cannot read zstd images; using gzip");
            Ok(Compression::Gzip { level: 6 })
        }
        None => Ok(Compression::default()),
    }
}

/// As `--compression` and the manifest call it.
pub(super) fn compression_name(compression: Compression) -> &'static str {
    match compression {
        Compression::None => "none",
        Compression::Gzip { .. } => "gzip",
        Compression::Lz4 => "lz4",
        Compression::Xz { .. } => "xz",
        Compression::Zstd { .. } => "zstd",
    }
}
