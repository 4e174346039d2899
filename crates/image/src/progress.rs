//! How a long build tells what it is doing.

use std::time::Instant;

/// A step of a build, in the order in which a build passes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Counting what the source holds (unit: entries).
    Scan,
    /// Reading the source without writing anything (unit: bytes of file content read).
    Read,
    /// Writing `root.squashfs` (unit: bytes of file content read).
    Squash,
    /// Copying the kernel out of the source (unit: bytes).
    Kernel,
    /// Writing the initrd (unit: bytes).
    Initrd,
    /// Making the generation visible (no unit).
    Publish,
}

impl Stage {
    /// What the stage does, as one would say it to the person who waits.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scan => "scanning the source",
            Self::Read => "reading the source",
            Self::Squash => "writing the root image",
            Self::Kernel => "copying the kernel",
            Self::Initrd => "writing the initrd",
            Self::Publish => "publishing",
        }
    }
}

/// How far a stage is, and how fast.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Which.
    pub stage: Stage,
    /// How much there is to do, in the stage's unit, where that is known.
    pub total: Option<u64>,
    /// How much is done.
    pub done: u64,
    /// Files that were read.
    pub files: u64,
    began: Instant,
}

impl Pace {
    /// The stage begins now.
    pub fn new(stage: Stage, total: Option<u64>) -> Self {
        Self {
            stage,
            total,
            done: 0,
            files: 0,
            began: Instant::now(),
        }
    }

    /// Done in a second, up to `now`.
    pub fn rate(&self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.began).as_secs_f64();
        (self.done as f64 / elapsed.max(0.001)) as u64
    }

    /// Seconds until the stage is done at this rate, where it is known how much there is to do.
    pub fn left(&self, now: Instant) -> Option<u64> {
        let rest = self.total?.saturating_sub(self.done);
        Some(rest / self.rate(now).max(1))
    }
}

/// Told by the builder, shown by whoever started the build: a progress bar, a log, nothing.
///
/// The calls must return soon. They come from the thread that runs the build, but [`Progress::note`] may come from
/// others as well.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// use image::progress::{Progress, Stage};
///
/// #[derive(Default)]
/// struct Count(AtomicU64);
///
/// impl Progress for Count {
///     fn stage(&self, stage: Stage, total: Option<u64>) {
///         println!("{}: {total:?} to do", stage.as_str());
///     }
///     fn advance(&self, amount: u64) {
///         self.0.fetch_add(amount, Ordering::Relaxed);
///     }
///     fn note(&self, text: &str) {
///         eprintln!("{text}");
///     }
/// }
/// ```
pub trait Progress: Sync {
    /// The build enters `stage`; `total` is how far [`advance`](Self::advance) will count, when that is known.
    fn stage(&self, stage: Stage, total: Option<u64>);

    /// `amount` more of the current stage's unit is done.
    fn advance(&self, amount: u64);

    /// One more regular file has been read, in a stage that reads them. Nobody has to count.
    fn file(&self) {}

    /// Something the person who started the build should know, although it did not stop the build:
    /// a file that changed while it was read, a mount that was not entered.
    fn note(&self, text: &str);
}

/// Nobody is watching.
impl Progress for () {
    fn stage(&self, _stage: Stage, _total: Option<u64>) {}
    fn advance(&self, _amount: u64) {}
    fn note(&self, _text: &str) {}
}
