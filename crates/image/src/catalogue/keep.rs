//! Which generations stay: pins, removal, retention.

use std::fs;
use std::io;

use model::{GenerationId, ImageName};

use super::draft::remove_folder;
use super::lock::Lock;
use super::pointer::{self, sync_folder};
use super::{Catalogue, CatalogueError, Image};

/// A pin is an empty file of this name with the generation behind it, beside the generation's folder.
const PIN: &str = ".pinned-";

impl Catalogue {
    /// Keeps a generation until it is unpinned: neither [`Catalogue::prune`] nor [`Catalogue::remove`]
    /// takes it.
    pub fn pin(&self, name: &ImageName, generation: GenerationId) -> Result<(), CatalogueError> {
        self.known(name, generation)?;
        let folder = self.image_folder(name);
        let _lock = Lock::wait(&folder)?;
        let path = folder.join(format!("{PIN}{generation}"));
        fs::File::create(&path).map_err(CatalogueError::io("make", &path))?;
        sync_folder(&folder)
    }

    /// Takes a pin away; without one nothing happens.
    pub fn unpin(&self, name: &ImageName, generation: GenerationId) -> Result<(), CatalogueError> {
        let folder = self.image_folder(name);
        let path = folder.join(format!("{PIN}{generation}"));
        match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(CatalogueError::io("remove", &path)),
        }
    }

    /// Removes one generation, which must be neither current nor pinned; `needed` says why it is needed
    /// otherwise: `a client runs it`.
    pub fn remove(
        &self,
        name: &ImageName,
        generation: GenerationId,
        needed: &dyn Fn(GenerationId) -> Option<&'static str>,
    ) -> Result<(), CatalogueError> {
        let folder = self.image_folder(name);
        self.known(name, generation)?;
        let _lock = Lock::wait(&folder)?;
        let image = self.known(name, generation)?;
        let why = match generation {
            id if image.current == Some(id) => "new boots get it",
            id if image.pinned.contains(&id) => "it is pinned",
            id => match needed(id) {
                Some(why) => why,
                None => {
                    if image.previous == Some(id) {
                        pointer::forget_previous(&folder)?;
                    }
                    return remove_folder(&folder, &folder.join(id.to_string()));
                }
            },
        };
        Err(CatalogueError::Needed(name.clone(), generation, why))
    }

    /// Removes an image with all its generations, of which none may be pinned or `needed`.
    pub fn remove_image(
        &self,
        name: &ImageName,
        needed: &dyn Fn(GenerationId) -> Option<&'static str>,
    ) -> Result<(), CatalogueError> {
        let image = self.image(name)?;
        let folder = self.image_folder(name);
        let _building = Lock::for_build(&folder)?;
        for generation in &image.generations {
            let why = match image.pinned.contains(&generation.id) {
                true => Some("it is pinned"),
                false => needed(generation.id),
            };
            if let Some(why) = why {
                return Err(CatalogueError::Needed(name.clone(), generation.id, why));
            }
        }
        // Away by one rename: nobody sees half of it.
        let aside = self.folder().join(format!(".removed-{name}"));
        match fs::remove_dir_all(&aside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(CatalogueError::io("remove", &aside)(error));
            }
            _ => {}
        }
        fs::rename(&folder, &aside).map_err(CatalogueError::io("remove", &folder))?;
        fs::remove_dir_all(&aside).map_err(CatalogueError::io("remove", &aside))
    }

    /// Removes all but the newest `keep` generations of the image, the current and the previous one, those
    /// that are pinned and those that are `needed`. What was removed.
    pub fn prune(
        &self,
        name: &ImageName,
        keep: usize,
        needed: &dyn Fn(GenerationId) -> Option<&'static str>,
    ) -> Result<Vec<GenerationId>, CatalogueError> {
        let folder = self.image_folder(name);
        self.image(name)?;
        let _lock = Lock::wait(&folder)?;
        let image = self.image(name)?;
        let mut removed = Vec::new();
        for generation in image.generations.iter().skip(keep) {
            let id = generation.id;
            let stays = [image.current, image.previous].contains(&Some(id))
                || image.pinned.contains(&id)
                || needed(id).is_some();
            if !stays {
                remove_folder(&folder, &generation.folder)?;
                removed.push(id);
            }
        }
        Ok(removed)
    }

    /// The image, if it has this generation.
    fn known(&self, name: &ImageName, generation: GenerationId) -> Result<Image, CatalogueError> {
        let image = self.image(name)?;
        match image.generation(generation) {
            Some(_) => Ok(image),
            None => Err(CatalogueError::NoGeneration(name.clone(), generation)),
        }
    }
}

/// The generation that a name in an image's folder pins.
pub(super) fn pinned(name: &str) -> Option<GenerationId> {
    name.strip_prefix(PIN)?.parse().ok()
}
