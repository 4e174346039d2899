//! Writes the initrd and its drivers into a draft, or takes them from a generation that has the
//! same ones.

use std::fs::File;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use super::{BuildError, Hashed, record};
use crate::catalogue::{Catalogue, Draft, Generation};
use crate::initrd::{Plan, Report};
use crate::manifest::FileRecord;
use crate::{DRIVER_INDEX_FILE, DRIVERS_FILE, INITRD_FILE, hex};

/// An initrd in a draft.
pub(super) struct Initrd {
    pub(super) report: Report,
    pub(super) sha256: [u8; 32],
    pub(super) drivers: FileRecord,
    pub(super) driver_index: FileRecord,
    /// [`Plan::digest`].
    pub(super) content: String,
}

/// Packing takes most of a minute of a processor, and the content changes only with the kernel,
/// `init` or the drivers: so the files are copied when any generation has them already. Fails soon
/// after one of `stop` became true.
pub(super) fn write(
    catalogue: &Catalogue,
    draft: &Draft,
    plan: &Plan<'_>,
    stop: [&AtomicBool; 2],
) -> Result<Initrd, BuildError> {
    let content = plan.digest()?;
    let known = catalogue.list()?.images.into_iter();
    let same = known
        .flat_map(|image| image.generations)
        .filter(|generation| generation.manifest.initrd_content == content);
    for generation in same {
        if let Some(initrd) = copy_all(&generation, draft)? {
            return Ok(initrd);
        }
    }
    let create = |name| -> Result<_, BuildError> {
        let out = Hashed::new(draft.create(name)?);
        Ok(Stoppable { out, stop })
    };
    let mut out = create(INITRD_FILE)?;
    let report = plan.write(&mut out)?;
    let (_, sha256) = out.out.finish();

    let mut out = create(DRIVERS_FILE)?;
    let index = plan.write_drivers(report.base, &mut out)?;
    let (bytes, digest) = out.out.finish();
    let drivers = record(bytes, &digest);

    let mut out = create(DRIVER_INDEX_FILE)?;
    let text = serde_json::to_vec(&index).expect("an index is plain data");
    let path = draft.folder().join(DRIVER_INDEX_FILE);
    out.write_all(&text)
        .map_err(BuildError::io("write", &path))?;
    let (bytes, digest) = out.out.finish();
    Ok(Initrd {
        report,
        sha256,
        drivers,
        driver_index: record(bytes, &digest),
        content,
    })
}

/// Copies the files of a generation; `None` when one is not what its manifest says.
fn copy_all(generation: &Generation, draft: &Draft) -> Result<Option<Initrd>, BuildError> {
    let files = &generation.manifest.files;
    let (Some(drivers), Some(driver_index)) = (&files.drivers, &files.driver_index) else {
        return Ok(None);
    };
    let mut sha256 = [0; 32];
    let expected = [
        (DRIVER_INDEX_FILE, driver_index),
        (DRIVERS_FILE, drivers),
        (INITRD_FILE, &files.initrd),
    ];
    for (index, (name, record)) in expected.iter().enumerate() {
        let from = generation.folder.join(name);
        let mut out = Hashed::new(draft.create(name)?);
        let copied = File::open(&from).and_then(|mut from| io::copy(&mut from, &mut out));
        (_, sha256) = out.finish();
        if copied.is_err() || hex(&sha256) != record.sha256 {
            for (name, _) in &expected[..=index] {
                let path = draft.folder().join(name);
                std::fs::remove_file(&path).map_err(BuildError::io("remove", &path))?;
            }
            return Ok(None);
        }
    }
    Ok(Some(Initrd {
        report: generation.manifest.initrd.clone(),
        sha256,
        drivers: drivers.clone(),
        driver_index: driver_index.clone(),
        content: generation.manifest.initrd_content.clone(),
    }))
}

/// Fails soon after one of `stop` became true.
struct Stoppable<'a, W> {
    out: W,
    stop: [&'a AtomicBool; 2],
}

impl<W: Write> Write for Stoppable<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.stop.iter().any(|stop| stop.load(Ordering::Relaxed)) {
            return Err(io::Error::other("stopped"));
        }
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
