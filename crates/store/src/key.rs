//! The site's secret key.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Reads the 16-byte key at `path`, or makes one from the kernel's random source. Two servers with
/// the same key and images accept each other's file handles, so the file may be copied.
pub fn load_or_create(path: &Path) -> io::Result<[u8; 16]> {
    match File::open(path) {
        Ok(mut file) => {
            let mut bytes = Vec::new();
            Read::by_ref(&mut file).take(17).read_to_end(&mut bytes)?;
            bytes.try_into().map_err(|_| {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the key is not 16 bytes; remove the file for a new one (running clients must then reboot)",
                )
            })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(path),
        Err(error) => Err(error),
    }
}

fn create(path: &Path) -> io::Result<[u8; 16]> {
    let mut key = [0; 16];
    getrandom::fill(&mut key).map_err(|error| io::Error::other(error.to_string()))?;
    crate::file::replace(path, &key)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_key_is_made_once_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("handle.key");
        let key = load_or_create(&path).unwrap();
        assert_eq!(load_or_create(&path).unwrap(), key);
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        std::fs::write(&path, b"short").unwrap();
        assert!(load_or_create(&path).is_err());
    }
}
