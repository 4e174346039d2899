//! Telling the server how far the boot has come, without ever holding it up.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use model::{BootArguments, Report, Stage};

use crate::{ask, say};

const TRIES: u32 = 3;

/// A thread of its own that sends reports in order.
pub(crate) struct Reporter {
    token: String,
    secure_boot: Arc<OnceLock<bool>>,
    queue: Sender<Report>,
    thread: JoinHandle<()>,
}

impl Reporter {
    /// Starts once the network is up. `secure_boot` goes with every report from when it is known.
    pub(crate) fn start(arguments: &BootArguments, secure_boot: Arc<OnceLock<bool>>) -> Self {
        let (queue, reports) = mpsc::channel();
        let of_thread = arguments.clone();
        Self {
            token: arguments.token.clone(),
            secure_boot,
            queue,
            thread: thread::spawn(move || send_all(&of_thread, &reports)),
        }
    }

    /// The boot has reached `stage`.
    pub(crate) fn reached(&self, stage: Stage, message: &str) {
        self.tell(stage, false, message);
    }

    /// `stage` was tried and failed.
    pub(crate) fn failed(&self, stage: Stage, message: &str) {
        self.tell(stage, true, message);
    }

    fn tell(&self, stage: Stage, failed: bool, message: &str) {
        // The thread only ends when this queue is dropped.
        let _ = self.queue.send(Report {
            token: self.token.clone(),
            stage,
            failed,
            secure_boot: self.secure_boot.get().copied(),
            message: message.to_owned(),
        });
    }

    /// Waits until everything is sent, at most `patience`.
    pub(crate) fn finish(self, patience: Duration) {
        drop(self.queue);
        let deadline = Instant::now() + patience;
        while !self.thread.is_finished() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn send_all(arguments: &BootArguments, reports: &Receiver<Report>) {
    let mut silent = false;
    for report in reports {
        match send(arguments, &report, TRIES) {
            Ok(()) => silent = false,
            // Said once: the boot goes on, and what it needs from the server fails on its own.
            Err(error) if !silent => {
                silent = true;
                say!(
                    "{} was not told of stage {}: {error}",
                    arguments.http(),
                    report.stage
                );
            }
            Err(_) => {}
        }
    }
}

/// Sends one report, `tries` times at most.
pub(crate) fn send(arguments: &BootArguments, report: &Report, tries: u32) -> Result<(), String> {
    ask::post(arguments, "report", &report.render(), tries).map(drop)
}
