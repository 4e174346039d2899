//! The initrd of a generation: whole, or with the drivers of one network card alone.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use image::initrd::DriverIndex;
use image::{DRIVER_INDEX_FILE, DRIVERS_FILE, INITRD_FILE};
use model::PciId;
use tracing::debug;

use crate::slice::Slice;

/// The open files of an initrd.
pub struct Initrd {
    /// `initrd.img`, with all drivers.
    pub file: Arc<File>,
    len: u64,
    /// `drivers.img` and what is in it; `None` in generations that were built without.
    apart: Option<(Arc<File>, DriverIndex)>,
}

impl Initrd {
    /// Opens the files in a generation's `folder`.
    pub fn open(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(INITRD_FILE);
        let file = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
        let path = folder.join(DRIVERS_FILE);
        let apart = match File::open(&path) {
            Ok(drivers) => {
                let path = folder.join(DRIVER_INDEX_FILE);
                let index = fs::read(&path)
                    .map_err(anyhow::Error::from)
                    .and_then(|text| Ok(serde_json::from_slice(&text)?))
                    .with_context(|| format!("cannot read {}", path.display()))?;
                Some((Arc::new(drivers), index))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                return Err(error).with_context(|| format!("cannot open {}", path.display()));
            }
        };
        Ok(Self {
            len: file.metadata()?.len(),
            file: Arc::new(file),
            apart,
        })
    }

    /// What a client needs whose network card iPXE calls `bus_id`: the first archive of the
    /// initrd, and the drivers of the card. `None` when only all of them will do.
    pub fn for_card(&self, bus_id: &str) -> Option<Vec<Slice>> {
        let card = PciId::from_bus_id(bus_id).ok()?;
        let (drivers, index) = self.apart.as_ref()?;
        let Some(ranges) = index.for_card(card) else {
            debug!(%card, "no driver is known for this card; sending all");
            return None;
        };
        let mut parts = vec![Slice::head(&self.file, index.base.min(self.len))];
        parts.extend(ranges.into_iter().map(|range| Slice {
            file: Arc::clone(drivers),
            start: range.start,
            len: range.end - range.start,
        }));
        Some(parts)
    }
}
