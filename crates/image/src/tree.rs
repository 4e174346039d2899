//! A Linux file tree that is read, never changed: what kernels and modules are looked for in.
//!
//! Symbolic links are followed as the system in the tree would follow them: an absolute target
//! starts at the tree's root, and nothing leads out of it. So a link in a hostile tree cannot make
//! a build read a file of the server.

mod directory;

pub use directory::Directory;

use std::io;

/// What a name in a tree is, links followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file of this many bytes.
    File(u64),
    /// A folder.
    Folder,
    /// A device, socket or pipe.
    Other,
}

/// A tree of files. Paths are relative to its root, separated by `/`; `""` is the root itself.
///
/// Names that are not UTF-8 are not listed: no kernel, module or firmware file has one.
pub trait Tree: Sync {
    /// What `path` is, links followed; `None` when it does not exist or a link to it dangles.
    fn kind(&self, path: &str) -> io::Result<Option<Kind>>;

    /// The names in the folder `path`, sorted. A folder that does not exist is `NotFound`.
    fn list(&self, path: &str) -> io::Result<Vec<String>>;

    /// The regular file `path` whole. Longer than `limit` bytes is `FileTooLarge`.
    fn read(&self, path: &str, limit: u64) -> io::Result<Vec<u8>>;

    /// The first `len` bytes of the regular file `path`, fewer when it is shorter.
    fn head(&self, path: &str, len: usize) -> io::Result<Vec<u8>>;

    /// The regular file `path`, to be read from front to end.
    fn reader(&self, path: &str) -> io::Result<Box<dyn io::Read + '_>>;

    /// `path` without links: where in the tree it really is.
    fn resolve(&self, path: &str) -> io::Result<String>;
}

impl dyn Tree + '_ {
    /// [`Tree::list`], where a folder that does not exist is an empty one.
    pub fn list_if_there(&self, path: &str) -> io::Result<Vec<String>> {
        match self.list(path) {
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                Ok(Vec::new())
            }
            result => result,
        }
    }

    /// [`Tree::read`] as text with `U+FFFD` for what is not UTF-8; `None` when it does not exist.
    pub fn text_if_there(&self, path: &str, limit: u64) -> io::Result<Option<String>> {
        match self.kind(path)? {
            Some(Kind::File(_)) => {
                let bytes = self.read(path, limit)?;
                Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
            }
            _ => Ok(None),
        }
    }
}
