//! Small files that are replaced as a whole.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Writes `content` to `path`, for its owner alone; returns when it is on the disk. Whoever reads the file, also after a
/// crash, sees the old content or the new one, never a part.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    replace_with_mode(path, content, 0o600)
}

/// As [`replace`], for those whom the permission bits of `mode` let.
pub fn replace_with_mode(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let write = || {
        let mut file = File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&fresh)?;
        file.write_all(content)?;
        file.set_permissions(Permissions::from_mode(mode))?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    };
    // On a disk without room a part of the new content would have what room there is.
    write().inspect_err(|_| drop(fs::remove_file(&fresh)))?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// The text at `path`; none if there is no such file. More than `max` bytes are an error.
pub fn read(path: &Path, max: u64) -> io::Result<Option<String>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut text = String::new();
    file.take(max + 1).read_to_string(&mut text)?;
    if text.len() as u64 > max {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the file is too long to be ours",
        ));
    }
    Ok(Some(text))
}

/// As [`read`]; if there is no such file, what `make` gives, written there first as by [`replace`].
pub fn read_or_make(
    path: &Path,
    max: u64,
    make: impl FnOnce() -> io::Result<String>,
) -> io::Result<String> {
    if let Some(text) = read(path, max)? {
        return Ok(text);
    }
    let text = make()?;
    replace(path, text.as_bytes())?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clients.json");
        replace(&path, b"a longer first content").unwrap();
        replace(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ssh-ca.key");
        let read = |max, text: &str| read_or_make(&path, max, || Ok(text.to_owned()));
        assert_eq!(read(9, "first").unwrap(), "first");
        assert_eq!(read(9, "second").unwrap(), "first");
        assert!(read(4, "third").is_err());
    }

    #[test]
    fn a_folder_that_is_gone_is_an_error() {
        assert!(replace(Path::new("/nonexistent/clients.json"), b"").is_err());
    }
}
