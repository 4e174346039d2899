//! What a build tells those who did not start it: a file beside the image's locks, replaced every half second.
//!
//! The daemon reads it when it is asked. It needs no connection, and a build needs no daemon.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use model::ImageName;
use serde::{Deserialize, Serialize};

use super::{Catalogue, CatalogueError, names};
use crate::progress::{Pace, Progress, Stage};

/// The file, and the name under which it is written.
const FILE: &str = ".build";
const UNFINISHED: &str = ".build.new";
/// How often it is replaced at most.
const EVERY: Duration = Duration::from_millis(500);
/// It is shorter than this, in bytes.
const LIMIT: u64 = 1 << 20;

/// Whether a name in an image's folder is one of ours.
pub(super) fn is_ours(name: &str) -> bool {
    name == FILE || name == UNFINISHED
}

/// A build: the one that runs, or the last one of its image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildStatus {
    /// The image.
    pub name: ImageName,
    /// What it is made of.
    pub source: String,
    /// The process that builds.
    pub process: u32,
    /// When it began, in seconds since 1970.
    pub began: u64,
    /// What it is at: [`Stage::as_str`].
    pub phase: String,
    /// How much of the phase is done, most often in bytes.
    pub done: u64,
    /// How much there is to do, where that is known.
    pub total: Option<u64>,
    /// Files that were read in this phase.
    pub files: u64,
    /// Done in a second.
    pub rate: u64,
    /// Seconds that the phase will take at this rate.
    pub left: Option<u64>,
    /// How it stands.
    pub state: BuildState,
    /// The generation that it published.
    pub generation: Option<String>,
    /// Why it failed; empty when it did not.
    pub error: String,
}

/// How a build stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BuildState {
    /// It is under way.
    Running,
    /// It has published a generation.
    Published,
    /// It has ended, and nothing was published.
    Failed,
    /// Its process was killed, or the machine went down.
    Broken,
}

impl Catalogue {
    /// The last build of each image, those that run among them.
    ///
    /// # Errors
    /// When the folder of the images cannot be listed. What is no report of a build is skipped.
    pub fn builds(&self) -> Result<Vec<BuildStatus>, CatalogueError> {
        let mut builds = Vec::new();
        for name in names(self.folder())? {
            let folder = self.folder().join(&name);
            let path = folder.join(FILE);
            let short = fs::metadata(&path).is_ok_and(|file| file.len() < LIMIT);
            let read = short.then(|| fs::read(&path).ok()).flatten();
            let Some(mut build) =
                read.and_then(|text| serde_json::from_slice::<BuildStatus>(&text).ok())
            else {
                continue;
            };
            if build.state == BuildState::Running && !is_alive(&folder, build.process) {
                build.state = BuildState::Broken;
            }
            builds.push(build);
        }
        Ok(builds)
    }
}

/// Whether the process is there, and the folder into which it builds.
fn is_alive(folder: &Path, process: u32) -> bool {
    let pid = i32::try_from(process).ok();
    let pid = pid.and_then(rustix::process::Pid::from_raw);
    let there = pid
        .is_some_and(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH));
    there && folder.join(super::draft::folder_name(process)).is_dir()
}

/// Passes progress on, and writes it down.
pub(crate) struct Reported<'a> {
    inner: &'a dyn Progress,
    folder: PathBuf,
    state: Mutex<State>,
}

struct State {
    status: BuildStatus,
    pace: Pace,
    /// Whether the build holds the image's lock, so that this is its report.
    begun: bool,
    written: Option<Instant>,
}

impl<'a> Reported<'a> {
    /// Will report a build of `name` from `source`.
    pub(crate) fn new(
        catalogue: &Catalogue,
        name: &ImageName,
        source: String,
        inner: &'a dyn Progress,
    ) -> Self {
        let began = SystemTime::now().duration_since(UNIX_EPOCH);
        let status = BuildStatus {
            name: name.clone(),
            source,
            process: std::process::id(),
            began: began.map_or(0, |began| began.as_secs()),
            phase: Stage::Scan.as_str().to_owned(),
            done: 0,
            total: None,
            files: 0,
            rate: 0,
            left: None,
            state: BuildState::Running,
            generation: None,
            error: String::new(),
        };
        Self {
            inner,
            folder: catalogue.image_folder(name),
            state: Mutex::new(State {
                status,
                pace: Pace::new(Stage::Scan, None),
                begun: false,
                written: None,
            }),
        }
    }

    /// The build holds its image's lock.
    pub(crate) fn begin(&self) {
        self.change(true, |state| state.begun = true);
    }

    /// The build has ended.
    pub(crate) fn ended(&self, result: Result<String, String>) {
        self.change(true, |state| {
            let status = &mut state.status;
            match result {
                Ok(generation) => {
                    status.state = BuildState::Published;
                    status.generation = Some(generation);
                }
                Err(error) => {
                    status.state = BuildState::Failed;
                    status.error = error;
                }
            }
        });
    }

    fn change(&self, at_once: bool, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state);
        let now = Instant::now();
        if !state.begun {
            return;
        }
        if !at_once && state.written.is_some_and(|written| now - written < EVERY) {
            return;
        }
        state.written = Some(now);
        let State { status, pace, .. } = &mut *state;
        status.phase = pace.stage.as_str().to_owned();
        (status.done, status.total, status.files) = (pace.done, pace.total, pace.files);
        (status.rate, status.left) = (pace.rate(now), pace.left(now));
        let text = serde_json::to_vec(status).expect("a status is plain data");
        let unfinished = self.folder.join(UNFINISHED);
        // A build does not fail because nobody can be told how far it is.
        let _ = fs::write(&unfinished, text)
            .and_then(|()| fs::rename(&unfinished, self.folder.join(FILE)));
    }
}

impl Progress for Reported<'_> {
    fn stage(&self, stage: Stage, total: Option<u64>) {
        self.inner.stage(stage, total);
        self.change(true, |state| state.pace = Pace::new(stage, total));
    }

    fn advance(&self, amount: u64) {
        self.inner.advance(amount);
        self.change(false, |state| state.pace.done += amount);
    }

    fn file(&self) {
        self.inner.file();
        self.change(false, |state| state.pace.files += 1);
    }

    fn note(&self, text: &str) {
        self.inner.note(text);
    }
}
