//! The one door of the tests: a lab comes up, the test runs in it, and what is worth reading is
//! shown when it fails.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;

use anyhow::Result;

use crate::lab::{Client, Lab};
use crate::process::tail;
use crate::roots::{self, Root};
use crate::subject::{Server, Setup};

/// Runs a test in a fresh lab, named after the test.
///
/// When the test fails, the last lines of every log and the path of the capture are printed, and
/// the lab's folder is kept. When it passes, the folder is removed.
///
/// # Panics
///
/// When the lab cannot be made (not root, a tool that is missing) or the test fails.
pub fn in_lab(test: impl FnOnce(&Lab) -> Result<()>) {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("test").to_owned();
    let lab = Lab::new(&name).unwrap_or_else(|error| panic!("no lab: {error:#}"));
    let outcome = catch_unwind(AssertUnwindSafe(|| test(&lab)));
    lab.close_capture();
    let folder = lab.folder().to_owned();
    drop(lab);
    match outcome {
        Ok(Ok(())) => {
            let _ = std::fs::remove_dir_all(&folder);
        }
        Ok(Err(error)) => {
            show(&folder);
            panic!("{error:#}");
        }
        Err(panic) => {
            show(&folder);
            resume_unwind(panic);
        }
    }
}

/// Runs a test in a fresh lab, in which a server that is begun by `start` serves the small image, and
/// a client has an address.
pub fn in_lab_with_small(
    start: impl FnOnce(&Lab, &Setup<'_>) -> Result<Server>,
    test: impl FnOnce(&Lab, &mut Server, &Client, &Root) -> Result<()>,
) {
    in_lab(|lab| {
        let small = roots::small()?;
        let setup = Setup {
            image: Some(&small),
            ..Setup::default()
        };
        let mut server = start(lab, &setup)?;
        let client = lab.client()?;
        client.set_address("192.168.67.7".parse()?)?;
        test(lab, &mut server, &client, &small)?;
        server.must_run()
    });
}

/// Prints the ends of the logs in this folder, and where everything is.
fn show(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    let mut logs: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .filter(|path| !path.ends_with("tcpdump.log"))
        .collect();
    logs.sort();
    for log in logs {
        let bytes = std::fs::read(&log).unwrap_or_default();
        let text = crate::console::plain(&bytes);
        if !text.trim().is_empty() {
            let name = log.file_name().unwrap_or_default().to_string_lossy();
            // The console tells most. Whole logs are in the folder.
            let lines = if name.starts_with("console") { 30 } else { 8 };
            eprintln!("──── the end of {name}\n{}", tail(&text, lines));
        }
    }
    eprintln!("──── kept: {} (link.pcap is the capture)", folder.display());
}
