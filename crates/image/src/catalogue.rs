//! The images on disk, each in immutable generations.
//!
//! ```text
//! <state>/images/<name>/<generation>/{root.squashfs,vmlinuz,initrd.img,drivers.img,drivers.json,manifest.json}
//!                      /current  -> <generation>      what new clients boot
//!                      /previous -> <generation>      what they booted before
//!                      /.tmp-<pid>/                   a build that is under way
//!                      /.build                        how far the build is, or how the last one ended
//!                      /.times                        which blocks the source's files consist of, for the next build
//! ```
//!
//! A generation appears by one rename, whole and on disk, and is never changed after. What clients
//! boot changes by one rename of a symbolic link. So whoever reads sees the old or the new, and a
//! client that runs keeps the files that it has open.

mod archive;
mod builds;
mod draft;
mod error;
mod keep;
mod lock;
mod pointer;
mod verify;

pub(crate) use builds::Reported;
pub use builds::{BuildState, BuildStatus};
pub use draft::{Draft, Published};
pub use error::CatalogueError;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use model::{GenerationId, ImageName};

use crate::MANIFEST_FILE;
use crate::manifest::{FORMAT, Manifest};
use lock::Lock;

/// Manifests are shorter than this, in bytes.
const MANIFEST_MAX: u64 = 4 << 20;

/// The images below a state directory.
///
/// ```
/// use image::catalogue::Catalogue;
///
/// # let folder = tempfile::tempdir()?;
/// let catalogue = Catalogue::open(folder.path());
/// assert!(catalogue.list()?.images.is_empty());
/// assert!(catalogue.image(&"demo".parse()?).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Catalogue {
    folder: PathBuf,
}

/// One image with the generations that can be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its name.
    pub name: ImageName,
    /// What new clients boot; `None` when the pointer is missing or names no good generation.
    pub current: Option<GenerationId>,
    /// What they booted before.
    pub previous: Option<GenerationId>,
    /// Generations that nothing removes until they are unpinned.
    pub pinned: Vec<GenerationId>,
    /// Every good generation, the newest first.
    pub generations: Vec<Generation>,
}

impl Image {
    /// The generation that new clients boot.
    pub fn current(&self) -> Option<&Generation> {
        self.generation(self.current?)
    }

    /// One of the generations.
    pub fn generation(&self, id: GenerationId) -> Option<&Generation> {
        self.generations.iter().find(|g| g.id == id)
    }
}

/// One generation of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generation {
    /// Its id.
    pub id: GenerationId,
    /// The folder with its files.
    pub folder: PathBuf,
    /// What is written down about it.
    pub manifest: Manifest,
}

/// What the catalogue holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Images with at least one good generation, by name.
    pub images: Vec<Image>,
    /// What was skipped, and why, a line each.
    pub warnings: Vec<String>,
}

impl Catalogue {
    /// The catalogue in `<state_dir>/images`. Touches nothing: that folder is made by the first
    /// build.
    pub fn open(state_dir: &Path) -> Self {
        Self {
            folder: state_dir.join("images"),
        }
    }

    /// The folder that holds the images.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Every image. What is damaged is skipped and told in [`Listing::warnings`].
    pub fn list(&self) -> Result<Listing, CatalogueError> {
        let mut listing = Listing::default();
        for name in names(&self.folder)? {
            if name.starts_with('.') {
                continue;
            }
            match name.parse() {
                Ok(name) => {
                    let image = self.read_image(name, &mut listing.warnings)?;
                    if !image.generations.is_empty() {
                        listing.images.push(image);
                    }
                }
                Err(error) => {
                    let path = self.folder.join(&name);
                    let warning = format!("skipped {}: {error}", path.display());
                    listing.warnings.push(warning);
                }
            }
        }
        Ok(listing)
    }

    /// One image; `NoImage` when it has no good generation.
    pub fn image(&self, name: &ImageName) -> Result<Image, CatalogueError> {
        let image = self.read_image(name.clone(), &mut Vec::new())?;
        if image.generations.is_empty() {
            return Err(CatalogueError::NoImage(name.clone()));
        }
        Ok(image)
    }

    /// Starts a new generation. `Busy` while another one of the same image is being made.
    /// What broken-off builds of the image left behind is removed first.
    pub fn begin(&self, name: &ImageName) -> Result<Draft, CatalogueError> {
        Draft::begin(self.image_folder(name), name.clone())
    }

    /// Lets new clients boot another generation of the image.
    pub fn set_current(
        &self,
        name: &ImageName,
        generation: GenerationId,
    ) -> Result<(), CatalogueError> {
        let image = self.image(name)?;
        if image.generation(generation).is_none() {
            return Err(CatalogueError::NoGeneration(name.clone(), generation));
        }
        let folder = self.image_folder(name);
        let _lock = Lock::wait(&folder)?;
        pointer::set_current(&folder, generation)
    }

    /// Lets new clients boot what they booted before the last change; doing it twice changes
    /// nothing. Without such a generation, the newest other one. The one that is current now.
    pub fn rollback(&self, name: &ImageName) -> Result<GenerationId, CatalogueError> {
        let image = self.image(name)?;
        let others = || {
            let ids = image.generations.iter().map(|g| g.id);
            ids.filter(|id| Some(*id) != image.current)
        };
        let target = image
            .previous
            .filter(|previous| others().any(|id| id == *previous))
            .or_else(|| others().next())
            .ok_or_else(|| CatalogueError::NothingBefore(name.clone()))?;
        self.set_current(name, target)?;
        Ok(target)
    }

    /// Removes what broken-off builds left behind, of every image that is not being built. For
    /// the start of the daemon.
    pub fn clean(&self) -> Result<(), CatalogueError> {
        for name in names(&self.folder)? {
            if let Ok(name) = name.parse::<ImageName>() {
                match Draft::clean(&self.image_folder(&name)) {
                    Ok(()) | Err(CatalogueError::Busy { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    fn image_folder(&self, name: &ImageName) -> PathBuf {
        self.folder.join(name.as_str())
    }

    fn read_image(
        &self,
        name: ImageName,
        warnings: &mut Vec<String>,
    ) -> Result<Image, CatalogueError> {
        let folder = self.image_folder(&name);
        let mut generations = Vec::new();
        let mut pinned = Vec::new();
        for entry in names(&folder)? {
            pinned.extend(keep::pinned(&entry));
            let Ok(id) = entry.parse() else {
                continue; // pointers, locks, drafts, an operator's notes
            };
            let folder = folder.join(entry);
            match read_generation(id, &folder) {
                Ok(generation) => generations.push(generation),
                Err(why) => warnings.push(format!("skipped {}: {why}", folder.display())),
            }
        }
        generations.sort_by_key(|g| (std::cmp::Reverse(g.manifest.created), g.id));
        let mut pointer = |link: &str| {
            let id = pointer::read(&folder, link)?;
            let good = generations.iter().any(|g| g.id == id);
            if !good {
                let link = folder.join(link);
                warnings.push(format!(
                    "{} names the generation {id}, which is missing or damaged",
                    link.display()
                ));
            }
            good.then_some(id)
        };
        Ok(Image {
            current: pointer(pointer::CURRENT),
            previous: pointer(pointer::PREVIOUS),
            pinned,
            name,
            generations,
        })
    }
}

/// Reads a generation, or says what is wrong with it. Sizes are checked, contents are not.
fn read_generation(id: GenerationId, folder: &Path) -> Result<Generation, String> {
    let path = folder.join(MANIFEST_FILE);
    let failed = |error: io::Error| format!("{MANIFEST_FILE}: {error}");
    if fs::metadata(&path).map_err(failed)?.len() > MANIFEST_MAX {
        return Err(format!("{MANIFEST_FILE} is too long"));
    }
    let text = fs::read(&path).map_err(failed)?;
    let manifest: Manifest =
        serde_json::from_slice(&text).map_err(|error| format!("{MANIFEST_FILE}: {error}"))?;
    if manifest.format != FORMAT {
        return Err(format!(
            "{MANIFEST_FILE} has format {}, this netbootd reads {FORMAT}",
            manifest.format
        ));
    }
    if manifest.generation != id {
        return Err(format!(
            "{MANIFEST_FILE} is that of generation {}",
            manifest.generation
        ));
    }
    for (name, record) in manifest.files.iter() {
        let metadata = fs::symlink_metadata(folder.join(name));
        let metadata = metadata.map_err(|error| format!("{name}: {error}"))?;
        if !metadata.is_file() || metadata.len() != record.bytes {
            return Err(format!(
                "{name} has {} bytes instead of {}",
                metadata.len(),
                record.bytes
            ));
        }
    }
    Ok(Generation {
        id,
        folder: folder.to_owned(),
        manifest,
    })
}

/// The names in a folder, sorted; none when it does not exist or is not a folder.
fn names(folder: &Path) -> Result<Vec<String>, CatalogueError> {
    let failed = CatalogueError::io("list", folder);
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(Vec::new());
        }
        Err(error) => return Err(failed(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(CatalogueError::io("list", folder))?;
        if let Ok(name) = name.file_name().into_string() {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests;
