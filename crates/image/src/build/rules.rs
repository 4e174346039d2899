//! The rules of a build.

use std::io;
use std::path::Path;

use super::{BuildError, BuildOptions, packages};
use crate::scrub::{Action, Rule, Rules};

/// The rules that were asked for, and what must not be in an image whatever was asked for.
pub(super) fn rules(options: &BuildOptions) -> Result<Rules, BuildError> {
    let mut rules = options.rules.clone().with(packages::rule());
    // Not there yet when nothing has been built and this only looks.
    let state = match options.state_dir.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(rules),
        state => state.map_err(BuildError::io(
            "open the state directory",
            &options.state_dir,
        ))?,
    };
    let source = options.source.canonicalize();
    let source = source.map_err(BuildError::io("open the source", &options.source))?;
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
    Ok(rules)
}
