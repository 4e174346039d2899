//! The symbolic links that say which generation is current.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use model::GenerationId;

use super::CatalogueError;

/// What new clients boot.
pub(super) const CURRENT: &str = "current";
/// What they booted before.
pub(super) const PREVIOUS: &str = "previous";

/// Where a pointer of the image in `folder` points; `None` when it does not exist or makes no
/// sense.
pub(super) fn read(folder: &Path, link: &str) -> Option<GenerationId> {
    let target = fs::read_link(folder.join(link)).ok()?;
    target.to_str()?.parse().ok()
}

/// Points [`CURRENT`] at `generation` and [`PREVIOUS`] at what it pointed at before, on disk when
/// it returns. The caller holds the lock.
pub(super) fn set_current(folder: &Path, generation: GenerationId) -> Result<(), CatalogueError> {
    match read(folder, CURRENT) {
        Some(before) if before == generation => return Ok(()),
        Some(before) => point(folder, PREVIOUS, before)?,
        None => {}
    }
    point(folder, CURRENT, generation)?;
    sync_folder(folder)
}

/// Takes [`PREVIOUS`] away, before the generation that it names goes.
pub(super) fn forget_previous(folder: &Path) -> Result<(), CatalogueError> {
    let path = folder.join(PREVIOUS);
    fs::remove_file(&path).map_err(CatalogueError::io("remove", &path))
}

fn point(folder: &Path, link: &str, generation: GenerationId) -> Result<(), CatalogueError> {
    let (path, next) = (folder.join(link), folder.join(format!(".{link}.new")));
    let replace = || -> io::Result<()> {
        match fs::remove_file(&next) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        symlink(generation.to_string(), &next)?;
        fs::rename(&next, &path)
    };
    replace().map_err(CatalogueError::io("replace", &path))
}

/// Waits until the names in `folder` are on disk.
pub(super) fn sync_folder(folder: &Path) -> Result<(), CatalogueError> {
    fs::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(CatalogueError::io("write", folder))
}
