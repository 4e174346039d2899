//! A live medium as a layer: the squashfs in an ISO image, and the kernels beside it.

use std::sync::Arc;

use super::Error;
use super::archive::failed;
use super::gathered::{Gathering, Layer};
use super::listing::Meta;
use super::squashfs::Image;
use super::window::{Disk, Window};
use crate::entry::Content;
use crate::iso9660::{self, Found};

/// Where live media have their system.
const SYSTEMS: [&str; 4] = [
    "casper/filesystem.squashfs",
    "live/filesystem.squashfs",
    "LiveOS/squashfs.img",
    "arch/x86_64/airootfs.sfs",
];
/// Where they have a kernel that their system may lack (the loader's table of places has the same).
const KERNELS: [(&str, &str); 6] = [
    ("casper", "vmlinuz"),
    ("live", "vmlinuz"),
    ("isolinux", "vmlinuz"),
    ("images/pxeboot", "vmlinuz"),
    ("boot/x86_64/loader", "linux"),
    ("arch/boot/x86_64", "vmlinuz"),
];
/// Tokens with this bit are numbers of kernels.
const KERNEL: u64 = 1 << 63;

/// A live medium.
pub(super) struct LiveMedium {
    disk: Disk,
    system: Image,
    kernels: Vec<(String, Found)>,
}

impl LiveMedium {
    /// The medium, and the file that its system is in.
    pub(super) fn open(name: &str, disk: Disk) -> Result<(Self, &'static str), Error> {
        let failed = |cause| failed(name, cause);
        for path in SYSTEMS {
            let Some(found) = iso9660::find(&*disk, path).map_err(failed)? else {
                continue;
            };
            let window = Arc::new(window(&disk, &found));
            let system = Image::open(format!("{name}: {path}"), window)?;
            let mut kernels = Vec::new();
            for (folder, prefix) in KERNELS {
                let files = iso9660::list(&*disk, folder).map_err(failed)?;
                for file in files.into_iter().flatten() {
                    if !file.directory && file.name.starts_with(prefix) {
                        kernels.push((format!("{folder}/{}", file.name), file));
                    }
                }
            }
            let medium = Self {
                disk,
                system,
                kernels,
            };
            return Ok((medium, path));
        }
        let mut others = Vec::new();
        for folder in ["casper", "live"] {
            let files = iso9660::list(&*disk, folder).map_err(failed)?;
            let files = files.into_iter().flatten().map(|file| file.name);
            others.extend(
                files
                    .filter(|file| file.ends_with(".squashfs"))
                    .map(|file| format!("{folder}/{file}")),
            );
        }
        let mut what = format!(
            "is an ISO image without a live system: looked for {}",
            SYSTEMS.join(", ")
        );
        if !others.is_empty() {
            what += &format!(
                "; its system is in layers ({}): copy those out that make it, and name them in their order",
                others.join(", ")
            );
        }
        Err(Error::Broken {
            name: name.to_owned(),
            what,
        })
    }

    /// The file system inside the system, where there is one (Fedora).
    pub(super) fn inner(&self) -> Result<Option<Disk>, Error> {
        self.system.file("LiveOS/rootfs.img")
    }

    fn put_beside(&self, gathering: &mut Gathering<'_>) -> Result<(), Error> {
        for (number, (path, found)) in self.kernels.iter().enumerate() {
            let body = gathering.file(found.length, KERNEL | number as u64);
            let put = gathering.beside.put(path.as_bytes(), Meta::default(), body);
            put.map_err(|why| Error::Entry {
                path: path.clone(),
                why,
            })?;
        }
        Ok(())
    }
}

impl Layer for LiveMedium {
    fn list(&mut self, gathering: &mut Gathering<'_>) -> Result<(), Error> {
        self.put_beside(gathering)?;
        self.system.list(gathering)
    }

    fn open(&self, token: u64, size: u64, path: &[u8]) -> Result<Box<dyn Content>, Error> {
        match self.kernels.get((token & !KERNEL) as usize) {
            Some((_, found)) if token & KERNEL != 0 => Ok(Box::new(window(&self.disk, found))),
            _ => self.system.open(token, size, path),
        }
    }
}

fn window(disk: &Disk, found: &Found) -> Window {
    Window {
        disk: Arc::clone(disk),
        start: found.start,
        length: found.length,
    }
}
