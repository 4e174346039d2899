//! The rules of a build.

use std::io;
use std::path::{Path, PathBuf};

use super::{BuildError, BuildOptions, packages};
use crate::scrub::{Action, Rule, Rules};

/// The rules that were asked for, and what must not be in an image whatever was asked for.
pub(super) fn rules(options: &BuildOptions) -> Result<Rules, BuildError> {
    let mut rules = options.rules.clone().with(packages::rule());
    let state = place(&options.state_dir).map_err(BuildError::io(
        "open the state directory",
        &options.state_dir,
    ))?;
    for source in options.paths().iter().filter(|path| path.is_dir()) {
        let source = place(source).map_err(BuildError::io("open the source", source))?;
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
    }
    Ok(rules)
}

/// Where a path leads; what does not exist yet is where it will be.
fn place(path: &Path) -> io::Result<PathBuf> {
    match (path.canonicalize(), path.parent(), path.file_name()) {
        (Err(error), Some(parent), Some(name)) if error.kind() == io::ErrorKind::NotFound => {
            let parent = match parent.as_os_str().is_empty() {
                true => Path::new("."),
                false => parent,
            };
            Ok(place(parent)?.join(name))
        }
        (found, _, _) => found,
    }
}
