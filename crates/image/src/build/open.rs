//! Opens the source of a build.

use std::sync::atomic::AtomicBool;

use super::{BuildError, BuildOptions};
use crate::progress::Progress;
use crate::scrub::Rules;
use crate::source::{Source, SourceOptions, Unreadable};

/// Opens the source and what lies over it; says what it is unless it is a folder.
pub(super) fn source(
    options: &BuildOptions,
    rules: &Rules,
    unreadable: Unreadable,
    progress: &dyn Progress,
    stop: &AtomicBool,
) -> Result<Source, BuildError> {
    let how = SourceOptions {
        unreadable,
        ..options.source_options.clone()
    };
    let (paths, spool) = (options.paths(), &options.state_dir);
    let source = Source::open(&paths, &how, rules.clone(), spool, progress, stop)?;
    if source.directory().is_none() {
        progress.note(&format!("the source is a {}", source.description()));
    }
    Ok(source)
}
