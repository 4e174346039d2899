//! Shows how far a build is.

use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use image::catalogue::BuildStatus;
use image::progress::{Pace, Progress, Stage};
use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

/// How often a line is written where there is no terminal.
const EVERY: Duration = Duration::from_secs(10);

/// Shows a build: a bar on a terminal; elsewhere a line for each stage, and in a long one every ten seconds.
pub(super) struct Shown {
    bar: Option<ProgressBar>,
    files: Arc<AtomicU64>,
    lines: Mutex<Lines>,
}

/// What is known of the stage that is shown in lines.
struct Lines {
    pace: Pace,
    said: Instant,
}

impl Shown {
    pub(super) fn new() -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        let lines = Lines {
            pace: Pace::new(Stage::Scan, None),
            said: Instant::now(),
        };
        Self {
            bar,
            files: Arc::default(),
            lines: Mutex::new(lines),
        }
    }

    pub(super) fn done(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn style(&self, stage: Stage, total: Option<u64>) -> Option<ProgressStyle> {
        let template = match (stage, total) {
            (Stage::Scan, _) => "{spinner} {msg}: {human_pos} entries",
            (_, None) => "{spinner} {msg} ({elapsed})",
            (Stage::Read | Stage::Squash, Some(_)) => {
                "{msg} [{bar:24}] {bytes} of {total_bytes}, {files} files, {bytes_per_sec}, {eta} left"
            }
            (_, Some(_)) => {
                "{msg} [{bar:24}] {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left"
            }
        };
        let files = Arc::clone(&self.files);
        let style = ProgressStyle::with_template(template).ok()?;
        let count = move |_: &ProgressState, text: &mut dyn std::fmt::Write| {
            // A text that cannot be written is not shown.
            let _ = write!(text, "{}", files.load(Ordering::Relaxed));
        };
        Some(style.progress_chars("=> ").with_key("files", count))
    }

    fn lines(&self) -> std::sync::MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress for Shown {
    fn stage(&self, stage: Stage, total: Option<u64>) {
        self.files.store(0, Ordering::Relaxed);
        let Some(bar) = &self.bar else {
            *self.lines() = Lines {
                pace: Pace::new(stage, total),
                said: Instant::now(),
            };
            let total = match (stage, total) {
                (Stage::Scan, _) | (_, None) => String::new(),
                (_, Some(total)) => format!(", {}", HumanBytes(total)),
            };
            eprintln!("{}{total}", stage.as_str());
            return;
        };
        if let Some(style) = self.style(stage, total) {
            bar.set_style(style);
        }
        bar.reset();
        bar.set_length(total.unwrap_or(0));
        bar.set_message(stage.as_str());
    }

    fn advance(&self, amount: u64) {
        if let Some(bar) = &self.bar {
            return bar.inc(amount);
        }
        let mut lines = self.lines();
        lines.pace.done += amount;
        let now = Instant::now();
        if now - lines.said >= EVERY
            && let Some(total) = lines.pace.total
        {
            lines.said = now;
            let (pace, files) = (&lines.pace, self.files.load(Ordering::Relaxed));
            let (rate, left) = (pace.rate(now), pace.left(now));
            let line = line(pace.stage.as_str(), (pace.done, total), files, rate, left);
            eprintln!("{line}");
        }
    }

    fn file(&self) {
        self.files.fetch_add(1, Ordering::Relaxed);
    }

    fn note(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("note: {text}")),
            None => eprintln!("note: {text}"),
        }
    }
}

/// How far a build is that another process makes.
pub(in super::super) fn how_far(build: &BuildStatus) -> String {
    match build.total {
        Some(total) => line(
            &build.phase,
            (build.done, total),
            build.files,
            build.rate,
            build.left,
        ),
        None => build.phase.clone(),
    }
}

/// A stage, how many of how many bytes of it are done, the files among them, bytes and seconds.
fn line(
    stage: &str,
    (done, total): (u64, u64),
    files: u64,
    rate: u64,
    left: Option<u64>,
) -> String {
    let files = match files {
        0 => String::new(),
        files => format!(", {files} files"),
    };
    format!(
        "{stage}: {} of {}{files}, {}/s, {} s left",
        HumanBytes(done),
        HumanBytes(total),
        HumanBytes(rate),
        left.unwrap_or(0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_bytes_files_rate_and_time_left() {
        assert_eq!(
            line(
                "writing the root image",
                (100 << 20, 300 << 20),
                1234,
                10 << 20,
                Some(20)
            ),
            "writing the root image: 100.00 MiB of 300.00 MiB, 1234 files, 10.00 MiB/s, 20 s left"
        );
    }
}
