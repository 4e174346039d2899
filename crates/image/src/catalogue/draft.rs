//! A generation that is being made.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use model::{GenerationId, ImageName};

use super::builds;
use super::lock::Lock;
use super::pointer::{self, sync_folder};
use super::{CatalogueError, read_generation};
use crate::MANIFEST_FILE;
use crate::manifest::Manifest;

/// What the last build remembers of the files it read. It lies beside the generations, where nobody is served from.
const TIMES: &str = ".times";

/// A folder into which a build writes the files of a generation. Nobody else sees it until
/// [`Draft::publish`]; dropped before that, it is gone with all that is in it.
#[derive(Debug)]
pub struct Draft {
    name: ImageName,
    image_folder: PathBuf,
    folder: PathBuf,
    _lock: Lock,
}

/// What was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The image.
    pub name: ImageName,
    /// The generation, now current.
    pub generation: GenerationId,
    /// What is written down about it.
    pub manifest: Manifest,
    /// The folder with its files.
    pub folder: PathBuf,
    /// Whether the same content had been published before; nothing was written then.
    pub known: bool,
}

impl Draft {
    pub(super) fn begin(image_folder: PathBuf, name: ImageName) -> Result<Self, CatalogueError> {
        fs::create_dir_all(&image_folder).map_err(CatalogueError::io("make", &image_folder))?;
        let lock = Lock::for_build(&image_folder)?;
        remove_left_over(&image_folder)?;
        let folder = image_folder.join(folder_name(std::process::id()));
        fs::create_dir(&folder).map_err(CatalogueError::io("make", &folder))?;
        Ok(Self {
            name,
            image_folder,
            folder,
            _lock: lock,
        })
    }

    /// Removes what broken-off builds left behind; `Busy` while one runs.
    pub(super) fn clean(image_folder: &Path) -> Result<(), CatalogueError> {
        if left_over(image_folder)?.is_empty() {
            return Ok(()); // the usual case, which must not need the right to write
        }
        let _lock = Lock::for_build(image_folder)?;
        remove_left_over(image_folder)
    }

    /// The folder to write into.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes an empty file in it, to be written and read back.
    pub fn create(&self, name: &str) -> Result<File, CatalogueError> {
        let path = self.folder.join(name);
        File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(CatalogueError::io("make", &path))
    }

    /// Makes the empty file in which this build remembers which blocks files consist of, for
    /// [`squash::Options::remember`](crate::squash::Options::remember).
    pub fn remember(&self) -> Result<File, CatalogueError> {
        self.create(TIMES)
    }

    /// What the last published build of the image remembered; `None` when there is nothing.
    pub fn remembered(&self) -> Option<File> {
        File::open(self.image_folder.join(TIMES)).ok()
    }

    /// Puts everything on disk, makes the generation visible and current.
    ///
    /// When a good generation of the same content is there it is kept as it is, and made current;
    /// a damaged one is replaced.
    pub fn publish(self, manifest: Manifest) -> Result<Published, CatalogueError> {
        let path = self.folder.join(MANIFEST_FILE);
        let mut text = serde_json::to_vec_pretty(&manifest).expect("a manifest is plain data");
        text.push(b'\n');
        fs::write(&path, text).map_err(CatalogueError::io("write", &path))?;
        for entry in super::names(&self.folder)? {
            let path = self.folder.join(entry);
            File::open(&path)
                .and_then(|file| file.sync_all())
                .map_err(CatalogueError::io("write", &path))?;
        }
        sync_folder(&self.folder)?;

        let id = manifest.generation;
        let folder = self.image_folder.join(id.to_string());
        let _lock = Lock::wait(&self.image_folder)?;
        let times = self.folder.join(TIMES);
        if times.exists() {
            // True of the source whether or not the rest succeeds.
            fs::rename(&times, self.image_folder.join(TIMES))
                .map_err(CatalogueError::io("move", &times))?;
        }
        let known = read_generation(id, &folder).ok();
        if known.is_none() {
            if folder.exists() {
                remove_folder(&self.image_folder, &folder)?;
            }
            fs::rename(&self.folder, &folder).map_err(CatalogueError::io("make", &folder))?;
            sync_folder(&self.image_folder)?;
        }
        pointer::set_current(&self.image_folder, id)?;
        Ok(Published {
            name: self.name.clone(),
            generation: id,
            known: known.is_some(),
            manifest: known.map_or(manifest, |known| known.manifest),
            folder,
        })
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Published: renamed away, nothing is there. Else what cannot be removed now is removed
        // by the next build.
        let _ = fs::remove_dir_all(&self.folder);
        // An image that never was leaves no folder behind either.
        if super::names(&self.image_folder).is_ok_and(|names| {
            names
                .iter()
                .all(|name| name == ".build-lock" || name == ".lock" || builds::is_ours(name))
        }) {
            let _ = fs::remove_dir_all(&self.image_folder);
        }
    }
}

/// The name of the folder into which a process builds.
pub(super) fn folder_name(process: u32) -> String {
    format!(".tmp-{process}")
}

fn left_over(image_folder: &Path) -> Result<Vec<PathBuf>, CatalogueError> {
    let names = super::names(image_folder)?;
    let drafts = names.into_iter().filter(|name| name.starts_with(".tmp-"));
    Ok(drafts.map(|name| image_folder.join(name)).collect())
}

/// The caller holds the lock of builds, so nobody works in these any more.
fn remove_left_over(image_folder: &Path) -> Result<(), CatalogueError> {
    for path in left_over(image_folder)? {
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(CatalogueError::io("remove", &path)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Removes a generation's folder: first its name, so that nobody sees half of it. Files that a
/// client has open stay readable for it.
pub(super) fn remove_folder(image_folder: &Path, folder: &Path) -> Result<(), CatalogueError> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let aside = image_folder.join(format!(".tmp-removed-{name}"));
    fs::rename(folder, &aside).map_err(CatalogueError::io("remove", folder))?;
    fs::remove_dir_all(&aside).map_err(CatalogueError::io("remove", &aside))
}
