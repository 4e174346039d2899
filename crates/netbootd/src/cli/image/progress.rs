//! Shows how far a build is.

use std::io::{self, IsTerminal};
use std::time::Duration;

use image::progress::{Progress, Stage};
use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Shows a build: a bar on a terminal, a line for each stage elsewhere.
pub(super) struct Shown {
    bar: Option<ProgressBar>,
}

impl Shown {
    pub(super) fn new() -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Self { bar }
    }

    pub(super) fn done(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Progress for Shown {
    fn stage(&self, stage: Stage, total: Option<u64>) {
        let Some(bar) = &self.bar else {
            let total = match (stage, total) {
                (Stage::Scan, _) | (_, None) => String::new(),
                (_, Some(total)) => format!(", {}", HumanBytes(total)),
            };
            eprintln!("{}{total}", stage.as_str());
            return;
        };
        let template = match (stage, total) {
            (Stage::Scan, _) => "{spinner} {msg}: {human_pos} entries",
            (_, None) => "{spinner} {msg} ({elapsed})",
            (_, Some(_)) => {
                "{msg} [{bar:30}] {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left"
            }
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.reset();
        bar.set_length(total.unwrap_or(0));
        bar.set_message(stage.as_str());
    }

    fn advance(&self, amount: u64) {
        if let Some(bar) = &self.bar {
            bar.inc(amount);
        }
    }

    fn note(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("note: {text}")),
            None => eprintln!("note: {text}"),
        }
    }
}
