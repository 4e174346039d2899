//! What a build would make, without making it.

use std::cell::RefCell;
use std::sync::atomic::AtomicBool;

use super::{BuildError, BuildOptions, open, rules};
use crate::entry::Kind;
use crate::kernel;
use crate::progress::{Progress, Stage};
use crate::scrub::{Accounts, Edited};
use crate::secrets::{Found, Scan};
use crate::sizes::Sizes;
use crate::source::{self, Survey, Unreadable};

/// What a build would make, see [`preview`].
#[derive(Debug)]
pub struct Preview {
    /// Version of the kernel that would be taken, or why there is none.
    pub kernel: Result<String, String>,
    /// What would go into the image, and what would not.
    pub survey: Survey,
    /// The names of the accounts that would be taken out.
    pub users: Vec<String>,
    /// The names of the accounts that would lose their password.
    pub passwords: Vec<String>,
    /// Where the bytes are.
    pub sizes: Sizes,
    /// The secrets that would be in the image.
    pub secrets: Found,
}

/// Reads the source as [`build`](super::build) would, and writes nothing: neither into the state directory nor
/// into the source.
///
/// ```
/// use image::{BuildOptions, preview};
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// std::fs::create_dir(folder.join("etc"))?;
/// std::fs::write(folder.join("etc/machine-id"), "0123456789abcdef0123456789abcdef\n")?;
/// let options = BuildOptions::new("demo".parse()?, folder, "state".as_ref(), "init".as_ref());
/// let seen = preview(&options, &(), &Default::default())?;
/// assert!(seen.kernel.is_err()); // none is there, and a build would fail
/// assert!(seen.secrets.refused.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// When the source cannot be read, and [`BuildError::Stopped`] soon after `stop` became true. A source
/// without a kernel, with secrets or with files that cannot be read is no error here.
pub fn preview(
    options: &BuildOptions,
    progress: &dyn Progress,
    stop: &AtomicBool,
) -> Result<Preview, BuildError> {
    let rules = rules(options)?;
    let source = open::source(options, &rules, Unreadable::Skip, progress, stop)?;
    let tree = source.tree();
    let kernel = kernel::find(tree, options.kernel.as_deref());
    let accounts = Accounts::plan(tree, &rules).map_err(BuildError::Accounts)?;
    progress.stage(Stage::Scan, None);
    let survey = source.survey(progress, stop)?;

    progress.stage(Stage::Read, Some(survey.bytes));
    let sizes = RefCell::new(Sizes::default());
    let entries = Edited::new(source.entries(progress), &accounts).inspect(|entry| {
        if let Ok(entry) = entry
            && let Kind::File { size, .. } = entry.kind
        {
            sizes.borrow_mut().add(&entry.path, size, 0);
        }
    });
    let mut scan = Scan::new(entries, tree, options.allow_secrets.clone());
    match scan.read_on(progress, stop) {
        Err(source::Error::Stopped) => return Err(BuildError::Stopped),
        read => read?,
    }
    let secrets = scan.finish()?;
    Ok(Preview {
        kernel: kernel
            .map(|kernel| kernel.version)
            .map_err(|error| error.to_string()),
        survey,
        users: accounts.users().to_vec(),
        passwords: accounts.passwords().to_vec(),
        sizes: sizes.into_inner(),
        secrets,
    })
}
