//! File handles, opaque to this crate.

use std::fmt;

/// What a client holds to name a file (`nfs_fh3`, RFC 1813 section 2.3.3): 1 to 32 bytes.
///
/// The RFC allows 64; ours stay within the 32 that every client, klibc's included, has room for.
/// What is inside is the affair of whoever implements [`ReadOnlyFs`](crate::ReadOnlyFs).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileHandle {
    len: u8,
    bytes: [u8; Self::MAX_LEN],
}

impl FileHandle {
    /// Longest handle, in bytes.
    pub const MAX_LEN: usize = 32;

    /// A handle of these bytes, unless there are none or more than [`FileHandle::MAX_LEN`].
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mut handle = Self {
            len: u8::try_from(bytes.len()).ok().filter(|len| *len > 0)?,
            bytes: [0; Self::MAX_LEN],
        };
        handle.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(handle)
    }

    /// The bytes, as the client sees them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl fmt::Debug for FileHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileHandle(")?;
        for byte in self.as_bytes() {
            write!(f, "{byte:02x}")?;
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_has_1_to_32_bytes() {
        assert_eq!(FileHandle::new(&[]), None);
        assert_eq!(FileHandle::new(&[0; 33]), None);
        assert_eq!(FileHandle::new(&[0; 1000]), None);
        assert_eq!(FileHandle::new(&[7; 32]).unwrap().as_bytes(), [7; 32]);
        assert_eq!(FileHandle::new(b"a").unwrap().as_bytes(), b"a");
    }
}
