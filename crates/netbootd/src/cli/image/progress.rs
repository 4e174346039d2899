//! Shows how far a build is.

use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use image::progress::{Progress, Stage};
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
    stage: Stage,
    total: u64,
    done: u64,
    began: Instant,
    said: Instant,
}

impl Shown {
    pub(super) fn new() -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        let now = Instant::now();
        let lines = Lines {
            stage: Stage::Scan,
            total: 0,
            done: 0,
            began: now,
            said: now,
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
            let now = Instant::now();
            *self.lines() = Lines {
                stage,
                total: total.unwrap_or(0),
                done: 0,
                began: now,
                said: now,
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
        lines.done += amount;
        let now = Instant::now();
        if now - lines.said >= EVERY && lines.total > 0 {
            lines.said = now;
            let files = self.files.load(Ordering::Relaxed);
            eprintln!("{}", lines.line(now - lines.began, files));
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

impl Lines {
    /// How far the stage is after this time.
    fn line(&self, elapsed: Duration, files: u64) -> String {
        let rate = self.done as f64 / elapsed.as_secs_f64().max(0.001);
        let left = self.total.saturating_sub(self.done) as f64 / rate.max(1.0);
        let files = match files {
            0 => String::new(),
            files => format!(", {files} files"),
        };
        format!(
            "{}: {} of {}{files}, {}/s, {left:.0} s left",
            self.stage.as_str(),
            HumanBytes(self.done),
            HumanBytes(self.total),
            HumanBytes(rate as u64),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_bytes_files_rate_and_time_left() {
        let now = Instant::now();
        let lines = Lines {
            stage: Stage::Squash,
            total: 300 << 20,
            done: 100 << 20,
            began: now,
            said: now,
        };
        assert_eq!(
            lines.line(Duration::from_secs(10), 1234),
            "writing the root image: 100.00 MiB of 300.00 MiB, 1234 files, 10.00 MiB/s, 20 s left"
        );
    }
}
