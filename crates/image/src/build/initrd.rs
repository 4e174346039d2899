//! Writes the initrd into a draft, or takes it from a generation that has the same one.

use std::fs::File;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use super::{BuildError, Hashed};
use crate::INITRD_FILE;
use crate::catalogue::{Catalogue, Draft, Generation};
use crate::hex;
use crate::initrd::{Plan, Report};

/// An initrd in a draft.
pub(super) struct Initrd {
    pub(super) report: Report,
    pub(super) sha256: [u8; 32],
    /// [`Plan::digest`].
    pub(super) content: String,
}

/// Packing takes a minute of a processor, and the content changes only with the kernel, `init` or
/// the drivers: so the file is copied when any generation has it already. Fails soon after one of
/// `stop` became true.
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
        if let Some(initrd) = copy(&generation, draft)? {
            return Ok(initrd);
        }
    }
    let mut out = Stoppable {
        out: Hashed::new(draft.create(INITRD_FILE)?),
        stop,
    };
    let report = plan.write(&mut out)?;
    let (_, sha256) = out.out.finish();
    Ok(Initrd {
        report,
        sha256,
        content,
    })
}

/// Copies the initrd of a generation; `None` when it is not what its manifest says.
fn copy(generation: &Generation, draft: &Draft) -> Result<Option<Initrd>, BuildError> {
    let from = generation.folder.join(INITRD_FILE);
    let to = draft.folder().join(INITRD_FILE);
    let mut out = Hashed::new(draft.create(INITRD_FILE)?);
    let copied = File::open(&from).and_then(|mut from| io::copy(&mut from, &mut out));
    let (_, sha256) = out.finish();
    if copied.is_ok() && hex(&sha256) == generation.manifest.files.initrd.sha256 {
        return Ok(Some(Initrd {
            report: generation.manifest.initrd.clone(),
            sha256,
            content: generation.manifest.initrd_content.clone(),
        }));
    }
    std::fs::remove_file(&to).map_err(BuildError::io("remove", &to))?;
    Ok(None)
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
