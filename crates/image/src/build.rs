//! Builds an image: from a Linux system in a folder to a published generation.
//!
//! ```text
//! kernel ─► initrd plan ─► draft, locks ─► survey ─► space ─┬─► squash ──────┬─► vmlinuz ─► publish
//!                                                           └─► pack initrd ─┘
//! ```
//!
//! What can be known to fail is found before the long work starts. A build that fails or is
//! stopped leaves nothing behind; one that is killed leaves a draft, which the next one removes.

mod error;
mod initrd;
mod packages;
mod space;

pub use error::BuildError;

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use model::ImageName;
use sha2::{Digest, Sha256};

use crate::catalogue::{Catalogue, Draft, Published};
use crate::initrd::{Drivers, Plan};
use crate::kernel::{self, Kernel, Setting};
use crate::manifest::{self, FileRecord, Files, KernelRecord, LeftOut, Manifest, RootRecord};
use crate::progress::{Progress, Stage};
use crate::scrub::{Action, Rule, Rules};
use crate::squash::{self, Compression};
use crate::tree::Directory;
use crate::{KERNEL_FILE, ROOT_FILE, hex, source};

/// What to build.
#[derive(Clone, Debug)]
pub struct BuildOptions {
    /// Name of the image.
    pub name: ImageName,
    /// The root folder of a Linux system; `/` is the running one.
    pub source: PathBuf,
    /// Where the catalogue is.
    pub state_dir: PathBuf,
    /// The static program for `/init`, see [`crate::initrd::find_init`].
    pub init: PathBuf,
    /// Which kernel, see [`kernel::find`]; the newest without it.
    pub kernel: Option<String>,
    /// Which network cards the clients have.
    pub drivers: Drivers,
    /// Compression of the root; the best that the kernel reads without it.
    pub compression: Option<Compression>,
    /// What is left out of the image.
    pub rules: Rules,
}

impl BuildOptions {
    /// Everything else as it is best for most.
    pub fn new(name: ImageName, source: &Path, state_dir: &Path, init: &Path) -> Self {
        Self {
            name,
            source: source.to_owned(),
            state_dir: state_dir.to_owned(),
            init: init.to_owned(),
            kernel: None,
            drivers: Drivers::All,
            compression: None,
            rules: Rules::standard(),
        }
    }
}

/// Builds and publishes an image. Ends soon after `stop` became true, with
/// [`BuildError::Stopped`] and nothing changed.
pub fn build(
    options: &BuildOptions,
    progress: &dyn Progress,
    stop: &AtomicBool,
) -> Result<Published, BuildError> {
    let result = attempt(options, progress, stop);
    match result {
        // Whatever failed because of it, this is why.
        Err(_) if stop.load(Ordering::Relaxed) => Err(BuildError::Stopped),
        Err(error) => Err(error.or_full(&options.state_dir)),
        published => published,
    }
}

fn attempt(
    options: &BuildOptions,
    progress: &dyn Progress,
    stop: &AtomicBool,
) -> Result<Published, BuildError> {
    let tree = Directory::open(&options.source)
        .map_err(BuildError::io("open the source", &options.source))?;
    let kernel =
        kernel::find(&tree, options.kernel.as_deref()).map_err(|error| BuildError::Kernel {
            source_dir: options.source.clone(),
            error,
        })?;
    let compression = compression(options, &kernel, progress)?;
    let plan = Plan::new(&tree, &kernel, &options.init, &options.drivers)?;
    plan.notes().iter().for_each(|note| progress.note(note));

    let catalogue = Catalogue::open(&options.state_dir);
    let draft = catalogue.begin(&options.name)?;
    let _packages = packages::lock(&tree, progress, stop)?;
    let source = source::Directory::open(&options.source, rules(options)?)?;
    progress.stage(Stage::Scan, None);
    let survey = source.survey(progress, stop)?;
    space::check(&options.state_dir, survey.bytes)?;

    let root = draft.create(ROOT_FILE)?;
    let settings = squash::Options {
        compression,
        previous: previous(&catalogue, &options.name),
        ..squash::Options::default()
    };
    progress.stage(Stage::Squash, Some(survey.bytes));
    let in_vain = AtomicBool::new(false);
    let (summary, initrd) = thread::scope(|scope| {
        let initrd = scope.spawn(|| initrd::write(&catalogue, &draft, &plan, [stop, &in_vain]));
        let mut entries = source.entries(progress);
        let summary = squash::write(&mut entries, root, &settings, progress, stop);
        in_vain.store(summary.is_err(), Ordering::Relaxed);
        progress.stage(Stage::Initrd, None);
        let initrd = match initrd.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        (summary, initrd)
    });
    let (summary, initrd) = (summary?, initrd?);
    let vmlinuz = copy_kernel(&tree, &kernel, &draft, progress)?;

    progress.stage(Stage::Publish, None);
    let manifest = Manifest {
        format: manifest::FORMAT,
        name: options.name.clone(),
        generation: manifest::generation_id(summary.sha256, vmlinuz.1, initrd.sha256),
        created: now(),
        source: options.source.display().to_string(),
        built_by: format!("netbootd {}", env!("CARGO_PKG_VERSION")),
        kernel: KernelRecord {
            version: kernel.version,
            path: kernel.path,
            format: kernel.format,
        },
        files: Files {
            root: record(summary.bytes, &summary.sha256),
            kernel: record(vmlinuz.0, &vmlinuz.1),
            initrd: record(initrd.report.packed, &initrd.sha256),
            drivers: Some(initrd.drivers),
            driver_index: Some(initrd.driver_index),
        },
        root: RootRecord {
            compression: compression_name(compression).to_owned(),
            block_size: settings.block_size.bytes() as u32, // at most 1 MiB
            inodes: summary.inodes,
            files: summary.files,
            file_bytes: summary.file_bytes,
        },
        initrd: initrd.report,
        initrd_content: initrd.content,
        init_sha256: plan.init_sha256(),
        left_out: survey.left_out.tallies.iter().map(left_out).collect(),
    };
    if stop.load(Ordering::Relaxed) {
        return Err(BuildError::Stopped);
    }
    Ok(draft.publish(manifest)?)
}

/// The root image whose blocks are most like those of the next one.
fn previous(catalogue: &Catalogue, name: &ImageName) -> Option<Arc<File>> {
    let image = catalogue.image(name).ok()?;
    let generation = image.current().or(image.generations.first())?;
    let file = File::open(generation.folder.join(ROOT_FILE)).ok()?;
    Some(Arc::new(file))
}

/// What was asked for, or zstd unless the kernel is known not to read it.
fn compression(
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

fn compression_name(compression: Compression) -> &'static str {
    match compression {
        Compression::None => "none",
        Compression::Gzip { .. } => "gzip",
        Compression::Lz4 => "lz4",
        Compression::Xz { .. } => "xz",
        Compression::Zstd { .. } => "zstd",
    }
}

/// The rules that were asked for, and what must not be in an image whatever was asked for.
fn rules(options: &BuildOptions) -> Result<Rules, BuildError> {
    let mut rules = options.rules.clone().with(packages::rule());
    let place = |path: &Path| path.canonicalize();
    let state = place(&options.state_dir).map_err(BuildError::io(
        "open the state directory",
        &options.state_dir,
    ))?;
    let source =
        place(&options.source).map_err(BuildError::io("open the source", &options.source))?;
    if let Some(inside) = state.strip_prefix(&source).ok().and_then(Path::to_str)
        && !inside.is_empty()
    {
        let rule = Rule::new(
            "state-directory",
            "the images of this server, this one among them",
            Action::LeaveOut,
            &[&format!("{inside}/*")],
        );
        if let Ok(rule) = rule {
            rules = rules.with(rule);
        }
    }
    Ok(rules)
}

fn copy_kernel(
    tree: &Directory,
    kernel: &Kernel,
    draft: &Draft,
    progress: &dyn Progress,
) -> Result<(u64, [u8; 32]), BuildError> {
    let from = tree.path().join(&kernel.path);
    let mut source = tree
        .open_file(&kernel.path)
        .map_err(BuildError::io("read the kernel", &from))?;
    let total = source.metadata().map(|metadata| metadata.len()).ok();
    progress.stage(Stage::Kernel, total);
    let mut copy = Hashed::new(draft.create(KERNEL_FILE)?);
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let len = source
            .read(&mut buffer)
            .map_err(BuildError::io("read the kernel", &from))?;
        if len == 0 {
            return Ok(copy.finish());
        }
        copy.write_all(&buffer[..len])
            .map_err(BuildError::io("write", &draft.folder().join(KERNEL_FILE)))?;
        progress.advance(len as u64);
    }
}

fn record(bytes: u64, sha256: &[u8; 32]) -> FileRecord {
    FileRecord {
        bytes,
        sha256: hex(sha256),
    }
}

fn left_out(tally: &crate::scrub::Tally) -> LeftOut {
    LeftOut {
        rule: tally.rule.to_string(),
        reason: tally.reason.to_string(),
        entries: tally.entries,
        bytes: tally.bytes,
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// A file of which the SHA-256 is known when it is written.
struct Hashed {
    file: File,
    hash: Sha256,
    bytes: u64,
}

impl Hashed {
    fn new(file: File) -> Self {
        Self {
            file,
            hash: Sha256::new(),
            bytes: 0,
        }
    }

    fn finish(self) -> (u64, [u8; 32]) {
        (self.bytes, self.hash.finalize().into())
    }
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = self.file.write(bytes)?;
        self.hash.update(&bytes[..len]);
        self.bytes += len as u64;
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests;
