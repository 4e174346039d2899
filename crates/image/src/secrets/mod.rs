//! Secrets that would be in an image, found while its files are read.
//!
//! Whoever can boot can read the whole image, so a private key, a password hash or a token in it is everybody's.
//! [`Scan`] looks at the bytes of every regular file as the writer reads them: nothing is read twice but the
//! few files in which something was found. A file that its distribution's package ships just so (a test key,
//! an example) is public already and does not count; dpkg's checksums tell, other packagers' are not read.
//!
//! ```
//! use image::scrub::Rules;
//! use image::secrets::Scan;
//! use image::{source, tree};
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path();
//! std::fs::write(path.join(".netrc"), "machine example.org login me password hunter2\n")?;
//! let (tree, source) = (tree::Directory::open(path)?, source::Directory::open(path, Rules::standard())?);
//! let mut scan = Scan::new(source.entries(&()), &tree, Vec::new());
//! scan.read_on(&(), &Default::default())?; // or hand it to `squash::write`
//! let found = scan.finish()?;
//! assert_eq!(found.refused[0].to_string(), ".netrc: a password (.netrc)");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod content;
mod files;
mod hashes;
mod look;
mod markers;
mod packages;
mod scan;

pub use scan::Scan;

use std::fmt;

use serde::{Deserialize, Serialize};

/// To be raised when the search finds more than it did, so that files that were searched before are searched again.
pub(crate) const REVISION: u32 = 2;

/// Secrets listed by name; beyond that they are counted.
const LISTED: usize = 1000;

/// Something in a file that is not for everybody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    /// The file, below the source's root.
    pub path: String,
    /// What is in it: `a private key (PEM)`.
    pub what: String,
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.what)
    }
}

/// What a [`Scan`] found, in the order of the source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// What forbids to publish the image.
    pub refused: Vec<Secret>,
    /// What the operator allowed.
    pub allowed: Vec<Secret>,
    /// Files that hold something like it, as their package ships it to everybody.
    pub public: u64,
    /// What was found beyond the 1000 that [`Found::refused`] lists.
    pub more: u64,
}

/// What is in one file that is not for everybody, by its path below the root and its whole content.
///
/// ```
/// let secret = image::secrets::in_file("home/alice/.netrc", b"machine a login b password hunter2\n");
/// assert_eq!(secret, Some("a password (.netrc)"));
/// ```
pub fn in_file(path: &str, content: &[u8]) -> Option<&'static str> {
    let mut look = look::Look::new(path.as_bytes(), content.len() as u64);
    look.at(content, 0);
    look.finish()
}
