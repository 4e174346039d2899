//! Whether an image will fit, before it is written.

use std::path::Path;

use super::BuildError;

/// Kernel and initrd.
const REST: u64 = 32 << 20;

/// Fails when the file system of `folder` has less free space than an image of `source_bytes` is
/// sure to take. Roots shrink to 35–45 % with zstd; a third is a low guess, so that a build that
/// would fit is never refused. The full disk itself is a clear error as well.
pub(super) fn check(folder: &Path, source_bytes: u64) -> Result<(), BuildError> {
    let status = rustix::fs::statvfs(folder)
        .map_err(|error| BuildError::io("look at", folder)(error.into()))?;
    let free = status.f_bavail.saturating_mul(status.f_frsize);
    let needed = (source_bytes / 3).saturating_add(REST);
    if free < needed {
        return Err(BuildError::Space {
            folder: folder.to_owned(),
            needed,
            free,
        });
    }
    Ok(())
}
