//! Builds an image: from a Linux system in a folder to a published generation.
//!
//! ```text
//! kernel ─► initrd plan ─► draft, locks ─► survey ─► space ─┬─► squash ──────┬─► vmlinuz ─► publish
//!                                                           └─► pack initrd ─┘
//! ```
//!
//! What can be known to fail is found before the long work starts. A build that fails or is
//! stopped leaves nothing behind; one that is killed leaves a draft, which the next one removes.

mod compression;
mod copy;
mod error;
mod initrd;
mod open;
mod packages;
mod preview;
mod rules;
mod space;

pub use error::BuildError;
pub use preview::{Preview, preview};

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use model::ImageName;

use crate::catalogue::{Catalogue, Published, Reported};
use crate::digest::PIECE;
use crate::entry::Entry;
use crate::initrd::{Drivers, Plan};
use crate::kernel;
use crate::manifest::{
    self, DirectoryRecord, FileRecord, Files, KernelRecord, LeftOut, Manifest, RootRecord,
};
use crate::progress::{Progress, Stage};
use crate::scrub::{Accounts, Edited, Pattern, Rules};
use crate::secrets::{Found, Scan};
use crate::sizes::{Size, Sizes};
use crate::source::{self, SourceOptions, Unreadable};
use crate::squash::{self, Compression};
use crate::{ROOT_FILE, hex};
use compression::{compression, compression_name};
use copy::{Hashed, copy_kernel};
use rules::rules;

/// What to build.
#[derive(Clone, Debug)]
pub struct BuildOptions {
    /// Name of the image.
    pub name: ImageName,
    /// A Linux system: a folder (`/` is the running one), or whatever else [`source::Source`] reads.
    pub source: PathBuf,
    /// What lies over it, each over the ones before.
    pub overlays: Vec<PathBuf>,
    /// How the source is to be read.
    pub source_options: SourceOptions,
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
    /// Whether the root gets a hash tree by which clients check every block that they read of it; without it, if
    /// the image's kernel can.
    pub verity: Option<bool>,
    /// What is left out of the image.
    pub rules: Rules,
    /// Files that may hold secrets.
    pub allow_secrets: Vec<Pattern>,
    /// Whether a file of a directory is taken for what it was in the last build when its file system says that
    /// nobody wrote to it since: same device, number, size, time of the last change and time of that. It is not
    /// read then, nor searched for secrets again. What is written through a memory mapping may show late.
    pub trust_times: bool,
}

impl BuildOptions {
    /// Everything else as it is best for most.
    pub fn new(name: ImageName, source: &Path, state_dir: &Path, init: &Path) -> Self {
        Self {
            name,
            source: source.to_owned(),
            overlays: Vec::new(),
            source_options: SourceOptions::default(),
            state_dir: state_dir.to_owned(),
            init: init.to_owned(),
            kernel: None,
            drivers: Drivers::All,
            compression: None,
            verity: None,
            rules: Rules::standard(),
            allow_secrets: Vec::new(),
            trust_times: false,
        }
    }

    /// The source and what lies over it.
    fn paths(&self) -> Vec<PathBuf> {
        let paths = std::iter::once(&self.source).chain(&self.overlays);
        paths.cloned().collect()
    }

    fn shown_source(&self) -> String {
        let paths = self.paths();
        let shown: Vec<_> = paths
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        shown.join(" ")
    }
}

/// Builds and publishes an image. Ends soon after `stop` became true, with
/// [`BuildError::Stopped`] and nothing changed.
///
/// ```
/// use std::fs;
/// use image::{BuildOptions, build, catalogue::Catalogue};
///
/// # let lab = tempfile::tempdir()?;
/// # let folder = lab.path();
/// # fs::create_dir_all(folder.join("root/usr/lib/modules/6.1"))?;
/// # fs::create_dir_all(folder.join("root/boot"))?;
/// # let mut kernel = vec![0; 0x400];
/// # kernel[0x202..0x206].copy_from_slice(b"HdrS");
/// # kernel[0x20e..0x210].copy_from_slice(&0x200u16.to_le_bytes());
/// # kernel.extend_from_slice(b"6.1 (someone@somewhere) #1 SMP\0");
/// # fs::write(folder.join("root/boot/vmlinuz-6.1"), kernel)?;
/// # let config = "CONFIG_RD_ZSTD=y\nCONFIG_BLK_DEV_INITRD=y\nCONFIG_SQUASHFS_ZSTD=y\n";
/// # fs::write(folder.join("root/boot/config-6.1"), config)?;
/// # let builtin = ["overlay", "nfs", "nfsv3", "squashfs", "loop"].map(|name| format!("kernel/{name}.ko\n"));
/// # fs::write(folder.join("root/usr/lib/modules/6.1/modules.builtin"), builtin.concat())?;
/// # std::os::unix::fs::symlink("usr/lib", folder.join("root/lib"))?;
/// # let mut program = vec![0; 0x40];
/// # program[..6].copy_from_slice(b"\x7fELF\x02\x01");
/// # program[0x12] = 62;
/// # fs::write(folder.join("init"), program)?;
/// // A Linux system in `root`, its kernel in `root/boot`, and our static program `init`.
/// let (root, state, init) = (folder.join("root"), folder.join("state"), folder.join("init"));
/// let options = BuildOptions::new("demo".parse()?, &root, &state, &init);
/// let published = build(&options, &(), &Default::default())?;
/// assert_eq!(published.manifest.kernel.version, "6.1");
/// assert!(published.folder.join("root.squashfs").exists());
///
/// // New boots get it.
/// let image = Catalogue::open(&state).image(&options.name)?;
/// assert_eq!(image.current, Some(published.generation));
/// // The same source makes the same generation.
/// assert!(build(&options, &(), &Default::default())?.known);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Whatever stops a build leaves the generations that were there as they were, see [`BuildError`].
pub fn build(
    options: &BuildOptions,
    progress: &dyn Progress,
    stop: &AtomicBool,
) -> Result<Published, BuildError> {
    let catalogue = Catalogue::open(&options.state_dir);
    let reported = Reported::new(&catalogue, &options.name, options.shown_source(), progress);
    let result = match attempt(options, &catalogue, &reported, stop) {
        // Whatever failed because of it, this is why.
        Err(_) if stop.load(Ordering::Relaxed) => Err(BuildError::Stopped),
        Err(error) => Err(error.or_full(&options.state_dir)),
        published => published,
    };
    reported.ended(match &result {
        Ok(published) => Ok(published.generation.to_string()),
        Err(error) => Err(error.to_string()),
    });
    result
}

fn attempt(
    options: &BuildOptions,
    catalogue: &Catalogue,
    progress: &Reported<'_>,
    stop: &AtomicBool,
) -> Result<Published, BuildError> {
    let rules = rules(options)?;
    let source = open::source(
        options,
        &rules,
        options.source_options.unreadable,
        progress,
        stop,
    )?;
    let tree = source.tree();
    let kernel =
        kernel::find(tree, options.kernel.as_deref()).map_err(|error| BuildError::Kernel {
            source_dir: options.source.clone(),
            error,
        })?;
    let compression = compression(options, &kernel, progress)?;
    let verity = options.verity != Some(false);
    let plan = Plan::new(tree, &kernel, &options.init, &options.drivers, verity)?;
    plan.notes().iter().for_each(|note| progress.note(note));
    let verity = verity && can_verify(options, &plan, &kernel, progress)?;

    let draft = catalogue.begin(&options.name)?;
    progress.begin();
    let locked = source
        .directory()
        .map(|tree| packages::lock(tree, progress, stop));
    let _packages = locked.transpose()?;
    let accounts = Accounts::plan(tree, &rules).map_err(BuildError::Accounts)?;
    progress.stage(Stage::Scan, None);
    let survey = source.survey(progress, stop)?;
    if options.source_options.unreadable == Unreadable::Fail && survey.unreadable_count > 0 {
        let (names, count) = (survey.unreadable, survey.unreadable_count);
        return Err(BuildError::Unreadable(names, count));
    }
    space::check(&options.state_dir, survey.bytes)?;

    let root = draft.create(ROOT_FILE)?;
    let settings = squash::Options {
        compression,
        verity,
        previous: previous(catalogue, &options.name),
        trusted: match options.trust_times {
            true => draft.remembered().map(Arc::new),
            false => None,
        },
        remember: Some(Arc::new(draft.remember()?)),
        ..squash::Options::default()
    };
    progress.stage(Stage::Squash, Some(survey.bytes));
    let in_vain = AtomicBool::new(false);
    let (root, initrd) = thread::scope(|scope| {
        let initrd = scope.spawn(|| initrd::write(catalogue, &draft, &plan, [stop, &in_vain]));
        let entries = Edited::new(source.entries(progress), &accounts);
        let scan = Scan::new(entries, tree, options.allow_secrets.clone());
        let root = write_root(scan, root, &settings, progress, stop, &in_vain);
        in_vain.store(root.is_err(), Ordering::Relaxed);
        progress.stage(Stage::Initrd, None);
        let initrd = match initrd.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        (root, initrd)
    });
    let ((summary, secrets), initrd) = (root?, initrd?);
    let vmlinuz = copy_kernel(tree, &kernel, &draft, progress)?;

    progress.stage(Stage::Publish, None);
    let manifest = Manifest {
        format: manifest::FORMAT,
        name: options.name.clone(),
        generation: manifest::generation_id(summary.digest, vmlinuz.1, initrd.sha256),
        created: now(),
        source: options.shown_source(),
        built_by: format!("netbootd {}", env!("CARGO_PKG_VERSION")),
        kernel: KernelRecord {
            version: kernel.version,
            path: kernel.path,
            format: kernel.format,
        },
        files: Files {
            root: FileRecord {
                piece: PIECE as u32,
                ..record(summary.bytes, &summary.digest)
            },
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
            blocks: summary.blocks,
            reused_blocks: summary.reused,
            unread_files: summary.unread,
            directories: directories(&summary.sizes),
            verity: summary.verity,
        },
        initrd: initrd.report,
        initrd_content: initrd.content,
        init_sha256: plan.init_sha256(),
        left_out: accounts
            .report()
            .tallies
            .iter()
            .chain(&survey.left_out.tallies)
            .map(left_out)
            .collect(),
        rules: rules.iter().map(Into::into).collect(),
        secrets: secrets.allowed,
        unreadable: survey.unreadable,
    };
    if stop.load(Ordering::Relaxed) {
        return Err(BuildError::Stopped);
    }
    Ok(draft.publish(manifest)?)
}

/// Whether a hash tree is of use: an error if it was asked for, and is not.
fn can_verify(
    options: &BuildOptions,
    plan: &Plan<'_>,
    kernel: &kernel::Kernel,
    progress: &dyn Progress,
) -> Result<bool, BuildError> {
    match plan.unchecked() {
        None => Ok(true),
        Some(why) if options.verity == Some(true) => Err(BuildError::Verity {
            kernel: kernel.version.clone(),
            why: why.to_owned(),
        }),
        Some(why) => {
            progress.note(&format!(
                "clients of this image do not check what they read of its root: {why}"
            ));
            Ok(false)
        }
    }
}

/// Writes the root image of the entries that `scan` passes on. At a secret it stops writing, tells
/// `in_vain`, and only looks for more of them.
fn write_root<I>(
    mut scan: Scan<'_, I>,
    out: File,
    settings: &squash::Options,
    progress: &dyn Progress,
    stop: &AtomicBool,
    in_vain: &AtomicBool,
) -> Result<(squash::Summary, Found), BuildError>
where
    I: Iterator<Item = Result<Entry, source::Error>>,
{
    let written = squash::write(&mut scan, out, settings, progress, stop);
    if matches!(written, Err(squash::Error::Source(source::Error::Secret))) {
        in_vain.store(true, Ordering::Relaxed);
        scan.read_on(progress, stop)?;
    } else if let Err(error) = written {
        return Err(error.into());
    }
    let found = scan.finish()?;
    if !found.refused.is_empty() {
        return Err(BuildError::Secrets(found.refused, found.more));
    }
    Ok((written?, found))
}

/// The root image whose blocks are most like those of the next one.
fn previous(catalogue: &Catalogue, name: &ImageName) -> Option<Arc<File>> {
    let image = catalogue.image(name).ok()?;
    let generation = image.current().or(image.generations.first())?;
    let file = File::open(generation.folder.join(ROOT_FILE)).ok()?;
    Some(Arc::new(file))
}

fn record(bytes: u64, sha256: &[u8; 32]) -> FileRecord {
    FileRecord {
        bytes,
        sha256: hex(sha256),
        piece: 0,
    }
}

/// The largest directories, for the manifest.
fn directories(sizes: &Sizes) -> Vec<DirectoryRecord> {
    let largest = sizes.largest(40).into_iter();
    let record = |(path, size): (String, Size)| DirectoryRecord {
        path,
        files: size.files,
        bytes: size.bytes,
        packed: size.packed,
    };
    largest.map(record).collect()
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

#[cfg(test)]
mod tests;
